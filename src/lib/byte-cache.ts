/** Remembers values up to a number of bytes; what was used longest ago is forgotten first. */
export interface ByteCache<T> {
  get(name: string): T | undefined
  /** @param bytes what the value takes, its name not counted; one that is larger than the cache is not kept */
  set(name: string, value: T, bytes: number): void
  delete(name: string): void
  readonly bytes: () => number
}

/** What an entry costs beside its name and value. */
const entryBytes = 128

/** @param maxBytes of names, values and their entries together */
export function createByteCache<T>(maxBytes: number): ByteCache<T> {
  const known = new Map<string, { readonly value: T; readonly bytes: number }>()
  let total = 0
  const remove = (name: string) => {
    total -= known.get(name)?.bytes ?? 0
    known.delete(name)
  }
  return {
    get: (name) => {
      const entry = known.get(name)
      if (entry === undefined) return undefined
      known.delete(name)
      known.set(name, entry)
      return entry.value
    },
    set: (name, value, bytes) => {
      remove(name)
      const size = bytes + name.length + entryBytes
      if (size > maxBytes) return
      known.set(name, { value, bytes: size })
      total += size
      for (const oldest of known.keys()) {
        if (total <= maxBytes) break
        remove(oldest)
      }
    },
    delete: remove,
    bytes: () => total,
  }
}
