/** Creates a node's release log, and opens it after checking that nothing was removed. */
import { join } from 'node:path'

import { AssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import { type LogDisk, systemDisk } from './file-system.ts'
import { genesisChain, headerLine, type SealedHead, sha256 } from './format.ts'
import { createHeadFile, openHeadFile, type Position, readHeadFile } from './head-file.ts'
import {
  broken,
  readHeader,
  readKeptFrom,
  readSeal,
  readSegment,
  type Segment,
  type SegmentHeader,
  segmentName,
  segmentNumber,
  splitLines,
} from './segment.ts'
import { encodeLines, type LogLocation, LogWriter, type ReleaseLog } from './writer.ts'

const defaultSegmentBytes = 64 * 2 ** 20

/**
 * Creates an empty log: first segment and head file. It can be killed at any point and run again.
 *
 * @throws KMS_LOG_EXISTS, KMS_LOG_UNWRITABLE
 */
export async function createReleaseLog(location: LogLocation): Promise<void> {
  const { folder, headFile, key, disk = systemDisk } = location
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
    throw new AssentError('KMS_LOG_UNWRITABLE', 'The release log could not be created.', {
      cause,
      facts: { folder, headFile },
    })
  }
}

/**
 * Opens the log. It reads the newest segment completely and of the others beginning and end. Bytes after the last seal
 * were never acknowledged; they are dropped, and an entry says so.
 *
 * @throws KMS_LOG_MISSING, KMS_LOG_CUT, KMS_LOG_BROKEN, KMS_LOG_HEAD_UNREADABLE
 */
export async function openReleaseLog(location: LogLocation): Promise<ReleaseLog> {
  const { folder, key, disk = systemDisk, segmentBytes = defaultSegmentBytes } = location
  const known = await readHeadFile(disk, location.headFile, key)
  const numbers = (await listSegments(disk, folder)).sort((a, b) => a - b)
  if (known === undefined || numbers.length === 0) {
    const what = known === undefined ? 'head file' : 'files'
    throw new AssentError('KMS_LOG_MISSING', `The release log has no ${what}.`, {
      facts: { folder, headFile: location.headFile },
    })
  }
  const newest = numbers.at(-1) as number
  const path = join(folder, segmentName(newest))
  const segment = await readSegment(key.identity, newest, { disk, path })
  const { older, checkpoint } = await requireAllFollow(location, disk, segment)
  requireReaches(segment, known)
  // segments that the log declares deleted, left by a crash during the deletion
  const oldest = older[0]?.number ?? newest
  const left = numbers.filter((number) => number < oldest).map((number) => segmentName(number))
  for (const name of left) await disk.remove(join(folder, name))
  const tornBytes = ((await disk.size(path)) ?? 0) - segment.sealedBytes
  const torn = await disk.readPart(path, segment.sealedBytes, tornBytes)
  const file = await disk.open(path)
  if (torn.length > 0) await file.truncate(segment.sealedBytes)
  const head = await openHeadFile(disk, location.headFile, key)
  const log = new LogWriter({
    location,
    disk,
    segmentBytes,
    segment,
    older,
    checkpoint,
    file,
    head,
  })
  if (torn.length > 0) {
    await log.append({ kind: 'recovered', bytes: torn.length, digest: toHex(sha256(torn)) })
  }
  return log
}

async function listSegments(disk: LogDisk, folder: string): Promise<number[]> {
  return (await disk.list(folder)).map(segmentNumber).filter((number) => number !== undefined)
}

/**
 * Each older segment must end where the next one begins; `scrub` and the verifier read what is between. Segments may be
 * missing at the beginning if the log declares them deleted and the next one is a checkpoint.
 */
async function requireAllFollow(location: LogLocation, disk: LogDisk, newest: Segment) {
  const own = await readBeginning(location, disk, newest.number)
  const older: SegmentHeader[] = []
  let next: SegmentHeader = own.header
  // a segment without entries does not declare anything
  let keptFrom = newest.digests.count > 0 ? newest.keptFrom : undefined
  for (let number = newest.number - 1; number >= 0; number--) {
    const path = join(location.folder, segmentName(number))
    if ((await disk.size(path)) === undefined) {
      if (number < (keptFrom ?? 0) && next.checkpoint !== undefined) break
      const message = `Segment ${number} of the release log is missing.`
      throw new AssentError('KMS_LOG_CUT', message, { facts: { segment: number } })
    }
    const found = await readBeginning(location, disk, number)
    const seal = await readLastSeal(disk, path)
    const { start } = next
    const follows = seal && seal.entries === start.entries && equalBytes(seal.chain, start.chain)
    if (!follows) throw broken(number, 'does not lead to the next one', { entries: start.entries })
    older.unshift(found.header)
    keptFrom ??= found.keptFrom
    next = found.header
  }
  return { older, checkpoint: own.header.checkpoint }
}

/** The header, and the first entry's declaration of deleted segments: it is always the first entry. */
async function readBeginning({ folder, key }: LogLocation, disk: LogDisk, number: number) {
  const path = join(folder, segmentName(number))
  const [line, first] = splitLines(await disk.readPart(path, 0, 4096))
  if (line === undefined) throw broken(number, 'has no header')
  return {
    header: readHeader(key.identity, number, line.bytes),
    keptFrom: readKeptFrom(first?.bytes),
  }
}

async function readLastSeal(disk: LogDisk, path: string): Promise<SealedHead | undefined> {
  const size = (await disk.size(path)) ?? 0
  const tail = await disk.readPart(path, Math.max(0, size - 1024), 1024)
  const last = splitLines(tail).at(-1)
  return last && readSeal(last.bytes)
}

/** Compares the segment with the head file. @throws KMS_LOG_CUT if the log was longer or had another history */
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
      'The release log and its head file have different histories.',
      {
        facts,
      },
    )
  }
}
