/** An RLP decoder (Ethereum yellow paper, appendix B). It accepts canonical encodings only. */

/** A byte string or a list. */
export type Rlp = Buffer | readonly Rlp[]

/** Decodes exactly one item. @throws RangeError for trailing bytes or another encoding */
export function decodeRlp(bytes: Buffer): Rlp {
  const { item, end } = read(bytes, 0, bytes.length, 0)
  if (end !== bytes.length) throw new RangeError('bytes after the item')
  return item
}

function read(bytes: Buffer, at: number, limit: number, depth: number): { item: Rlp; end: number } {
  if (depth > 16) throw new RangeError('nested too deeply')
  const first = bytes[at]
  if (at >= limit || first === undefined) throw new RangeError('cut off')
  if (first < 0x80) return { item: bytes.subarray(at, at + 1), end: at + 1 }
  const isList = first >= 0xc0
  const { start, length } = readLength(bytes, at, first - (isList ? 0xc0 : 0x80), limit)
  const end = start + length
  if (end > limit) throw new RangeError('longer than the list around it')
  if (!isList) {
    const item = bytes.subarray(start, end)
    if (length === 1 && (item[0] as number) < 0x80) throw new RangeError('a byte in two forms')
    return { item, end }
  }
  const items: Rlp[] = []
  for (let next = start; next < end; ) {
    const inner = read(bytes, next, end, depth + 1)
    items.push(inner.item)
    next = inner.end
  }
  return { item: items, end }
}

function readLength(bytes: Buffer, at: number, marker: number, limit: number) {
  if (marker < 56) return { start: at + 1, length: marker }
  const width = marker - 55
  if (width > 4 || at + 1 + width > limit) throw new RangeError('a length that no item has')
  const length = bytes.readUIntBE(at + 1, width)
  if (length < 56 || bytes[at + 1] === 0) throw new RangeError('a length in two forms')
  return { start: at + 1 + width, length }
}
