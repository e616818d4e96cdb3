/** Collects the pieces of a message in one block of memory, so that many small pieces cost no more than a few large ones. */

export interface GrowingBuffer {
  /**
   * Copies a piece to the end.
   *
   * @returns false if `grow` refused; then nothing is copied
   * @throws RangeError if the message becomes longer than `longest`
   */
  append(piece: Uint8Array): boolean
  /** The message so far, in the memory of this buffer. */
  bytes(): Buffer
}

/** Bytes of the first block. */
const firstBlock = 4 * 1024

/**
 * The block doubles when it is full, so it has at most twice the length of the message (and at least 4 KiB).
 *
 * @param longest limit of the message in bytes
 * @param grow asked before more memory is taken, with the number of additional bytes; false refuses
 */
export function createGrowingBuffer(
  longest: number,
  grow: (bytes: number) => boolean = () => true,
): GrowingBuffer {
  let block = Buffer.alloc(0)
  let length = 0
  const reserve = (needed: number): boolean => {
    if (needed <= block.length) return true
    const doubled = Math.max(firstBlock, 2 ** Math.ceil(Math.log2(needed)))
    const size = Math.min(doubled, Math.max(longest, needed))
    if (!grow(size - block.length)) return false
    const larger = Buffer.allocUnsafeSlow(size)
    block.copy(larger, 0, 0, length)
    block = larger
    return true
  }
  return {
    append: (piece) => {
      if (length + piece.length > longest) {
        throw new RangeError(`The message has more than ${longest} bytes.`)
      }
      if (!reserve(length + piece.length)) return false
      block.set(piece, length)
      length += piece.length
      return true
    },
    bytes: () => block.subarray(0, length),
  }
}
