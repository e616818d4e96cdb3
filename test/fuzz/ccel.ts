/** Creates valid and invalid firmware event logs. */
import { concatBytes, utf8ToBytes } from '../../src/lib/bytes.ts'

const u16 = (value: number) => Uint8Array.of(value & 0xff, value >> 8)
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer)

export interface CcelRecord {
  readonly register?: number
  readonly eventType?: number
  readonly digests?: readonly (readonly [algorithm: number, digest: Uint8Array])[]
  readonly payload?: Uint8Array
}

export function ccelRecord(record: CcelRecord = {}): Uint8Array {
  const { digests = [[0x0c, new Uint8Array(48)]], payload = Uint8Array.of(9) } = record
  return concatBytes(
    u32(record.register ?? 1),
    u32(record.eventType ?? 0x8000_0001),
    u32(digests.length),
    ...digests.flatMap(([algorithm, digest]) => [u16(algorithm), digest]),
    u32(payload.length),
    payload,
  )
}

/** @param wrong values that replace the correct ones; `size` is added to the size in the header */
export function ccelOf(
  records: readonly Uint8Array[],
  wrong: { signature?: string; digestSize?: number; size?: number } = {},
): Uint8Array {
  const header = concatBytes(
    utf8ToBytes(wrong.signature ?? 'Spec ID Event03\0'),
    Uint8Array.of(0, 0, 0, 0, 0, 2, 0, 2),
    u32(1),
    u16(0x0c),
    u16(wrong.digestSize ?? 48),
    Uint8Array.of(0),
  )
  return concatBytes(
    ...[u32(1), u32(3), new Uint8Array(20), u32(header.length + (wrong.size ?? 0)), header],
    ...records,
    u32(0xffff_ffff),
  )
}
