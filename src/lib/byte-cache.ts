/**
 * Remembers values up to a number of bytes. What is used stays: values lie in two halves, a use moves a value to
 * the newer half, and when that is full, the older one is forgotten as a whole. A use costs one look-up, where a
 * list in the order of use would move an entry each time.
 */
export interface ByteCache<T> {
  get(name: string): T | undefined
  /** @param bytes what the value takes, its name not counted; what is larger than half of the cache is not kept */
  set(name: string, value: T, bytes: number): void
  delete(name: string): void
  readonly bytes: () => number
}

interface CacheGeneration<T> {
  readonly known: Map<string, { readonly value: T; readonly bytes: number }>
  bytes: number
}

/** What an entry costs beside its name and value. */
const entryBytes = 128

/** @param maxBytes of names, values and their entries together */
export function createByteCache<T>(maxBytes: number): ByteCache<T> {
  const empty = (): CacheGeneration<T> => ({ known: new Map(), bytes: 0 })
  let newer = empty()
  let older = empty()
  const remove = (half: CacheGeneration<T>, name: string) => {
    half.bytes -= half.known.get(name)?.bytes ?? 0
    half.known.delete(name)
  }
  const add = (name: string, value: T, bytes: number) => {
    if (newer.bytes + bytes > maxBytes / 2) {
      older = newer
      newer = empty()
    }
    newer.known.set(name, { value, bytes })
    newer.bytes += bytes
  }
  return {
    get: (name) => {
      const recent = newer.known.get(name)
      if (recent !== undefined) return recent.value
      const entry = older.known.get(name)
      if (entry === undefined) return undefined
      remove(older, name)
      add(name, entry.value, entry.bytes)
      return entry.value
    },
    set: (name, value, bytes) => {
      remove(newer, name)
      remove(older, name)
      const size = bytes + name.length + entryBytes
      if (size <= maxBytes / 2) add(name, value, size)
    },
    delete: (name) => {
      remove(newer, name)
      remove(older, name)
    },
    bytes: () => newer.bytes + older.bytes,
  }
}
