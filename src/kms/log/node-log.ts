/** The release log as the running node has it: watched by others, read again in the quiet, halted for good. */
import { join } from 'node:path'

import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { type SeenLog, seenFromJson, seenToJson, writeAnswer } from './answer.ts'
import { type LogDisk, systemDisk } from './disk.ts'
import type { LogSink } from './journal.ts'
import { openReleaseLog } from './log.ts'
import { createPeer } from './peer.ts'
import { createWitness, type Peer, type Witness } from './witness.ts'
import type { LogPlace, ReleaseLog } from './writer.ts'

export interface NodeLogOptions {
  readonly place: LogPlace
  /** `insecure-none`: nobody notices if this node's disk is set back. */
  readonly witnesses: WitnessSettings | 'insecure-none'
  readonly logger: Logger
  /** Seconds that only go forward. */
  readonly uptime?: Clock
  readonly connect?: (url: string) => Peer
}

export interface WitnessSettings {
  readonly urls: readonly string[]
  readonly atLeast: number
  readonly everySeconds: number
  readonly maxAgeSeconds: number
}

export interface LogStatus {
  readonly entries: number
  readonly segments: number
  readonly bytes: number
  readonly halted: boolean
  readonly witnessed: boolean
  readonly peerFaults: number
}

/** What a KMS needs of its log, in its own process or from a worker. */
export interface NodeLog extends LogSink {
  /** A signed answer to who asks for the head. */
  answer(nonce: string): Promise<string>
  digests(from: number): Promise<Uint8Array>
  segment(number: number): Promise<Uint8Array | undefined>
  status(): LogStatus
}

export interface RunningNodeLog extends NodeLog {
  /** One round with the witnesses, now. */
  askWitnesses(): Promise<void>
  /** Reads the next older file again; what does not hold halts the node. */
  scrub(): Promise<void>
  close(): Promise<void>
}

const haltFile = 'halted.json'
const seenFile = 'seen.json'
const scrubSeconds = 60

const haltSchema = z.object({ code: z.string(), message: z.string() })

/** @throws KMS_LOG_HALTED and whatever keeps the log from being opened */
export async function openNodeLog(options: NodeLogOptions): Promise<RunningNodeLog> {
  const { place, witnesses, logger, connect = createPeer } = options
  const uptime = options.uptime ?? (() => Math.floor(performance.now() / 1000))
  const { disk = systemDisk, folder } = place
  await requireNotHalted(disk, folder)
  const log = await openReleaseLog(place)
  let halted: AssentError | undefined
  const halt = async (error: AssentError) => {
    if (halted) return
    halted = error
    logger.fatal({ err: error }, 'the release log does not hold: nothing is released any more')
    const content = Buffer.from(`${JSON.stringify(error.toJSON(), null, 2)}\n`)
    await disk.replace(join(folder, haltFile), new Uint8Array(content)).catch((cause) => {
      logger.error({ err: cause }, 'the halt could not be written down')
    })
  }
  const guarded = async (run: () => Promise<void>) => {
    try {
      await run()
    } catch (error) {
      if (isAssentError(error) && breaksTrust(error)) await halt(error)
      else logger.error({ err: error }, 'the release log could not be looked after')
    }
  }

  const witness =
    witnesses === 'insecure-none'
      ? undefined
      : createWitness(
          log,
          { ...witnesses, peers: witnesses.urls.map(connect) },
          { uptime, logger, known: await readSeen(disk, folder) },
        )
  let asking: Promise<void> | undefined
  const askWitnesses = () => {
    asking ??= guarded(async () => {
      await witness?.ask()
      if (witness) await writeSeen(disk, folder, witness.seen())
    }).finally(() => {
      asking = undefined
    })
    return asking
  }
  const scrub = () => guarded(() => log.scrub())
  const everySeconds = witnesses === 'insecure-none' ? scrubSeconds : witnesses.everySeconds
  const timers = [repeat(askWitnesses, everySeconds), repeat(scrub, scrubSeconds)]
  void askWitnesses()

  const requireSound = () => {
    if (halted) throw halted
    witness?.requireWitnessed()
  }
  return {
    append: (entry, evidence) => log.append(entry, evidence),
    requireSound,
    answer: async (nonce) =>
      writeAnswer(log.key, nonce, { head: log.head(), seen: witness?.seen() ?? [] }),
    digests: (from) => log.digests(from),
    segment: (number) => log.segment(number),
    status: () => statusOf(log, witness, halted !== undefined),
    askWitnesses,
    scrub,
    close: async () => {
      for (const timer of timers) clearInterval(timer)
      await log.close()
    },
  }
}

function statusOf(log: ReleaseLog, witness: Witness | undefined, halted: boolean): LogStatus {
  return {
    entries: log.head().entries,
    ...log.size(),
    halted,
    witnessed: isWitnessed(witness),
    peerFaults: witness?.faults() ?? 0,
  }
}

function isWitnessed(witness: Witness | undefined): boolean {
  try {
    witness?.requireWitnessed()
    return witness !== undefined
  } catch {
    return false
  }
}

/** What a restart does not heal. */
function breaksTrust({ code }: AssentError): boolean {
  return ['KMS_LOG_ROLLED_BACK', 'KMS_LOG_FORKED', 'KMS_LOG_BROKEN', 'KMS_LOG_CUT'].includes(code)
}

async function requireNotHalted(disk: LogDisk, folder: string): Promise<void> {
  const bytes = await disk.read(join(folder, haltFile))
  if (bytes === undefined) return
  const why = haltSchema.safeParse(parseJson(bytes))
  throw new AssentError('KMS_LOG_HALTED', 'This node was halted because of its release log.', {
    facts: { folder, found: why.success ? why.data.code : 'unreadable' },
  })
}

/** A convenience: what is lost here is learnt again, and is in the log itself. */
async function readSeen(disk: LogDisk, folder: string): Promise<readonly SeenLog[]> {
  const bytes = await disk.read(join(folder, seenFile))
  return bytes === undefined ? [] : seenFromJson(parseJson(bytes))
}

async function writeSeen(disk: LogDisk, folder: string, seen: readonly SeenLog[]): Promise<void> {
  const content = Buffer.from(JSON.stringify(seenToJson(seen)))
  await disk.replace(join(folder, seenFile), new Uint8Array(content))
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}

function repeat(run: () => Promise<void>, seconds: number): NodeJS.Timeout {
  const timer = setInterval(() => void run(), seconds * 1000)
  timer.unref()
  return timer
}
