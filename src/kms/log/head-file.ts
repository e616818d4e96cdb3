/**
 * The head file: the node's own copy of its newest head, apart from the log. A log that is shorter was cut.
 *
 * Two slots are written in turns, so an interrupted write leaves the other one. The file is never ahead of the log on
 * disk. After a power failure it can be behind by the writes that were only in the page cache.
 */
import { AssentError } from '../../errors/index.ts'
import { concatBytes, equalBytes, utf8ToBytes } from '../../lib/bytes.ts'
import type { LogDisk, LogFileHandle } from './file-system.ts'
import type { LogHead } from './format.ts'
import type { LogKey } from './key.ts'

/** A position in a log: number of entries and hash chain. */
export type Position = Pick<LogHead, 'entries' | 'chain'>

/**
 * A small file with the newest position of the log, in two slots. An interrupted write damages one slot only, and the
 * other still says where the log ended. So entries that disappear from the end of the log are noticed.
 */
export interface HeadFile {
  /** Writes into the slot that is not the newest; durable after `sync`. */
  write(position: Position): Promise<void>
  /** Returns when the last written position is on the disk. */
  sync(): Promise<void>
  close(): Promise<void>
}

const magic = utf8ToBytes('ASNTHEAD')
const bodyLength = 8 + 8 + 32
const slotLength = bodyLength + 32

/** Creates the head file of a new log; fails if it exists. */
export async function createHeadFile(disk: LogDisk, path: string, key: LogKey, position: Position) {
  const slot = encode(key, position)
  await disk.create(path, concatBytes(slot, slot))
}

/** The newest valid slot; undefined if there is no file. @throws KMS_LOG_HEAD_UNREADABLE */
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
    throw new AssentError('KMS_LOG_HEAD_UNREADABLE', 'The head file does not belong to this log.', {
      facts: { path },
    })
  }
  return slots[0]
}

/** Opens the head file for writing. */
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
