/**
 * A cache that is bounded by bytes and keeps the values in use.
 *
 * It has two generations. A use moves a value into the newer generation. When that is full, the older generation is
 * dropped as a whole and the newer one takes its place. So a use costs one look-up and no list has to be reordered.
 */
export interface ByteCache<T> {
  /** The value, which then counts as used last. */
  get(name: string): T | undefined
  /**
   * Stores a value. A value larger than half of the cache is not stored.
   *
   * @param bytes size of the value without its name
   */
  set(name: string, value: T, bytes: number): void
  delete(name: string): void
  /** Bytes in use, names and overhead included. */
  readonly bytes: () => number
}

interface CacheGeneration<T> {
  readonly entries: Map<string, { readonly value: T; readonly bytes: number }>
  bytes: number
}

/** Estimated overhead of one entry in addition to its name and its value, bytes. */
const entryBytes = 128

/**
 * @param maxBytes limit for names, values and overhead together
 *
 * @example
 * const nodes = createByteCache<TrieNode>(64 * 2 ** 20)
 * nodes.set(hash, node, encoded.length)
 */
export function createByteCache<T>(maxBytes: number): ByteCache<T> {
  const createGeneration = (): CacheGeneration<T> => ({ entries: new Map(), bytes: 0 })
  let newer = createGeneration()
  let older = createGeneration()
  const remove = (generation: CacheGeneration<T>, name: string) => {
    generation.bytes -= generation.entries.get(name)?.bytes ?? 0
    generation.entries.delete(name)
  }
  const add = (name: string, value: T, bytes: number) => {
    if (newer.bytes + bytes > maxBytes / 2) {
      older = newer
      newer = createGeneration()
    }
    newer.entries.set(name, { value, bytes })
    newer.bytes += bytes
  }
  return {
    get: (name) => {
      const recent = newer.entries.get(name)
      if (recent !== undefined) return recent.value
      const entry = older.entries.get(name)
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
