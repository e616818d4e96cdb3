/** Snappy's block format (`google/snappy`, `format_description.txt`), in which the specifications' tests are kept. */

/** @throws Error where the bytes are not of the format */
export function uncompress(input: Uint8Array): Uint8Array {
  const length = readVarint(input)
  const output = new Uint8Array(length.value)
  let at = length.end
  let written = 0
  const littleEndian = (start: number, bytes: number) =>
    input.subarray(start, start + bytes).reduceRight((sum, byte) => sum * 256 + byte, 0)
  while (at < input.length) {
    const tag = input[at++] as number
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const extra = Math.max(0, short - 59)
      const size = (extra === 0 ? short : littleEndian(at, extra)) + 1
      at += extra
      output.set(input.subarray(at, at + size), written)
      at += size
      written += size
    } else {
      const size = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
      const bytes = kind === 1 ? 1 : kind === 2 ? 2 : 4
      const offset = littleEndian(at, bytes) + (kind === 1 ? (tag >> 5) * 256 : 0)
      at += bytes
      if (offset === 0 || offset > written) throw new Error('a copy from before the beginning')
      // byte by byte: a copy may reach into what it writes
      for (let index = 0; index < size; index++, written++) {
        output[written] = output[written - offset] as number
      }
    }
  }
  if (written !== output.length) throw new Error('another length than announced')
  return output
}

function readVarint(input: Uint8Array): { value: number; end: number } {
  let value = 0
  for (let index = 0; index < 5; index++) {
    const byte = input[index] as number
    value += (byte & 127) * 2 ** (7 * index)
    if (byte < 128) return { value, end: index + 1 }
  }
  throw new Error('a length of more than 32 bits')
}
