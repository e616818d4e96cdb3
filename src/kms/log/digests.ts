/** Entry digests of one segment in a single buffer: a hundred thousand small arrays would take more memory than the log. */
import { nextChain } from './format.ts'

/** Bytes of one digest. */
const width = 32

/** A growing list of SHA-256 digests. */
export class DigestList {
  #bytes = new Uint8Array(1024 * width)
  #count = 0

  /** Digests in the list. */
  get count(): number {
    return this.#count
  }

  /** Appends a digest of 32 bytes. */
  add(digest: Uint8Array): void {
    const at = this.#count * width
    if (at === this.#bytes.length) {
      const larger = new Uint8Array(2 * at)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.set(digest, at)
    this.#count++
  }

  /** Drops all digests after the first `count`. */
  keep(count: number): void {
    this.#count = Math.min(this.#count, count)
  }

  /** A copy of at most `limit` digests, concatenated. */
  slice(from: number, limit: number): Uint8Array {
    return this.#bytes.slice(from * width, Math.min(this.#count, from + limit) * width)
  }

  /** The hash chain after the first `count` digests. @param start the hash chain before the first one */
  foldTo(start: Uint8Array, count: number): Uint8Array {
    let chain = start
    for (let at = 0; at < Math.min(count, this.#count) * width; at += width) {
      chain = nextChain(chain, this.#bytes.subarray(at, at + width))
    }
    return chain
  }
}
