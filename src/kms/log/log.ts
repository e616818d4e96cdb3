/** Begins a node's release log, and opens it after checking that nothing of it was taken away. */
import { join } from 'node:path'

import { AssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import { type LogDisk, systemDisk } from './disk.ts'
import { genesisChain, headerLine, type SealedHead, sha256 } from './format.ts'
import { createHeadFile, openHeadFile, type Position, readHeadFile } from './head-file.ts'
import {
  broken,
  readHeader,
  readSeal,
  readSegment,
  type Segment,
  segmentName,
  segmentNumber,
  splitLines,
} from './segment.ts'
import { encodeLines, type LogPlace, LogWriter, type ReleaseLog } from './writer.ts'

const defaultSegmentBytes = 64 * 2 ** 20

/** The first file of a new log, empty. Killed in between, it can be done again. @throws KMS_LOG_EXISTS */
export async function createReleaseLog(place: LogPlace): Promise<void> {
  const { folder, headFile, key, disk = systemDisk } = place
  const genesis = { entries: 0, chain: genesisChain(key.identity) }
  const path = join(folder, segmentName(0))
  const header = encodeLines([headerLine(key.identity, 0, genesis)])
  const begun = await disk.read(path)
  const others = (await listSegments(disk, folder)).some((number) => number !== 0)
  const isFree = !others && (await disk.read(headFile)) === undefined
  if (!isFree || (begun && !equalBytes(begun, header))) {
    throw new AssentError('KMS_LOG_EXISTS', 'This node already has a release log.', {
      facts: { folder, headFile },
    })
  }
  try {
    if (begun === undefined) await disk.create(path, header)
    await createHeadFile(disk, headFile, key, genesis)
  } catch (cause) {
    throw new AssentError('KMS_LOG_UNWRITABLE', 'The release log could not be begun.', {
      cause,
      facts: { folder, headFile },
    })
  }
}

/** @throws KMS_LOG_MISSING, KMS_LOG_CUT, KMS_LOG_BROKEN, KMS_LOG_HEAD_UNREADABLE */
export async function openReleaseLog(place: LogPlace): Promise<ReleaseLog> {
  const { folder, key, disk = systemDisk, segmentBytes = defaultSegmentBytes } = place
  const known = await readHeadFile(disk, place.headFile, key)
  const numbers = (await listSegments(disk, folder)).sort((a, b) => a - b)
  if (known === undefined || numbers.length === 0) {
    const what = known === undefined ? 'head file' : 'files'
    throw new AssentError('KMS_LOG_MISSING', `The release log has no ${what}.`, {
      facts: { folder, headFile: place.headFile },
    })
  }
  const { segment, torn } = await openNewest(place, disk, numbers)
  await requireAllFollow(place, disk, segment)
  requireReaches(segment, known)
  const file = await disk.open(join(folder, segmentName(segment.number)))
  if (torn.length > 0) await file.truncate(segment.sealedBytes)
  const head = await openHeadFile(disk, place.headFile, key)
  const log = new LogWriter({ place, disk, segmentBytes, segment, file, head })
  if (torn.length > 0) {
    await log.append({ kind: 'recovered', bytes: torn.length, digest: toHex(sha256(torn)) })
  }
  return log
}

async function listSegments(disk: LogDisk, folder: string): Promise<number[]> {
  return (await disk.list(folder)).map(segmentNumber).filter((number) => number !== undefined)
}

async function openNewest({ folder, key }: LogPlace, disk: LogDisk, numbers: readonly number[]) {
  const number = numbers.at(-1) as number
  const bytes = await disk.read(join(folder, segmentName(number)))
  if (bytes === undefined) throw broken(number, 'cannot be read')
  const segment = readSegment(key.identity, number, bytes)
  return { segment, torn: bytes.slice(segment.sealedBytes) }
}

/** Each older file must end where the next begins; what lies between is read by `scrub` and by the verifier. */
async function requireAllFollow({ folder, key }: LogPlace, disk: LogDisk, newest: Segment) {
  let next: Position = newest.start
  for (let number = newest.number - 1; number >= 0; number--) {
    const path = join(folder, segmentName(number))
    const bytes = await disk.readPart(path, 0, 4096).catch((cause) => {
      throw new AssentError('KMS_LOG_CUT', `Segment ${number} of the release log is not there.`, {
        cause,
        facts: { segment: number },
      })
    })
    const [header] = splitLines(bytes)
    if (header === undefined) throw broken(number, 'has no header')
    const { start } = readHeader(key.identity, number, header.bytes)
    const seal = await readLastSeal(disk, path)
    const follows = seal && seal.entries === next.entries && equalBytes(seal.chain, next.chain)
    if (!follows) throw broken(number, 'does not lead to the next one', { entries: next.entries })
    next = start
  }
}

async function readLastSeal(disk: LogDisk, path: string): Promise<SealedHead | undefined> {
  const whole = await disk.read(path)
  const tail = splitLines(whole?.subarray(-1024) ?? new Uint8Array()).at(-1)
  return tail && readSeal(tail.bytes)
}

/** @throws KMS_LOG_CUT: the log once went further than its files do */
function requireReaches(segment: Segment, known: Position): void {
  const { start, sealed, digests } = segment
  const facts = { entries: sealed.entries, known: known.entries }
  if (sealed.entries < known.entries) {
    throw new AssentError('KMS_LOG_CUT', 'The release log is shorter than it was.', { facts })
  }
  const here =
    known.entries >= start.entries && digests.foldTo(start.chain, known.entries - start.entries)
  if (!here || !equalBytes(here, known.chain)) {
    throw new AssentError(
      'KMS_LOG_CUT',
      'The release log and its head file are of two histories.',
      {
        facts,
      },
    )
  }
}
