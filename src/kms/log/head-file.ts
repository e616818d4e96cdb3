/**
 * How far the log went, kept apart from the log: a log that is shorter than this was cut.
 *
 * Two slots are written in turns, so that a torn write leaves the one before. It is never ahead of what the
 * log has on the disk, and behind by as much as a power failure takes from the page cache.
 */
import { AssentError } from '../../errors/index.ts'
import { concatBytes, equalBytes, utf8ToBytes } from '../../lib/bytes.ts'
import type { LogDisk, LogFileHandle } from './file-system.ts'
import type { LogHead } from './format.ts'
import type { LogKey } from './key.ts'

export type Position = Pick<LogHead, 'entries' | 'chain'>

export interface HeadFile {
  write(position: Position): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

const magic = utf8ToBytes('ASNTHEAD')
const bodyLength = 8 + 8 + 32
const slotLength = bodyLength + 32

export async function createHeadFile(disk: LogDisk, path: string, key: LogKey, position: Position) {
  const slot = encode(key, position)
  await disk.create(path, concatBytes(slot, slot))
}

/** @throws KMS_LOG_HEAD_UNREADABLE; `undefined` if there is none */
export async function readHeadFile(
  disk: LogDisk,
  path: string,
  key: LogKey,
): Promise<Position | undefined> {
  const bytes = await disk.read(path)
  if (bytes === undefined) return undefined
  const slots = [0, slotLength]
    .map((at) => decode(key, bytes.subarray(at, at + slotLength)))
    .filter((slot) => slot !== undefined)
    .sort((a, b) => b.entries - a.entries)
  if (slots[0] === undefined || bytes.length !== 2 * slotLength) {
    throw new AssentError(
      'KMS_LOG_HEAD_UNREADABLE',
      'The head file of the log is not this log’s.',
      {
        facts: { path },
      },
    )
  }
  return slots[0]
}

export async function openHeadFile(disk: LogDisk, path: string, key: LogKey): Promise<HeadFile> {
  const file: LogFileHandle = await disk.open(path)
  let turn = 0
  return {
    write: async (position) => {
      await file.write(encode(key, position), turn * slotLength)
      turn = 1 - turn
    },
    sync: () => file.sync(),
    close: () => file.close(),
  }
}

function encode(key: LogKey, { entries, chain }: Position): Uint8Array {
  const count = new Uint8Array(8)
  new DataView(count.buffer).setBigUint64(0, BigInt(entries))
  const body = concatBytes(magic, count, chain)
  return concatBytes(body, key.mac(body))
}

function decode(key: LogKey, slot: Uint8Array): Position | undefined {
  if (slot.length !== slotLength) return undefined
  const body = slot.subarray(0, bodyLength)
  if (!equalBytes(key.mac(body), slot.subarray(bodyLength))) return undefined
  if (!equalBytes(body.subarray(0, 8), magic)) return undefined
  const view = new DataView(slot.buffer, slot.byteOffset)
  return { entries: Number(view.getBigUint64(8)), chain: body.slice(16) }
}
