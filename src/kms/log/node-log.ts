/** The release log as the running node has it: watched by others, read again in the quiet, halted for good. */
import { join } from 'node:path'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { Entry } from './entry.ts'
import { type LogDisk, systemDisk } from './file-system.ts'
import { openReleaseLog } from './log.ts'
import { createWitnessClient } from './peer.ts'
import type { LogSink } from './record-decision.ts'
import type { SealedSegment } from './segment.ts'
import {
  createWitness,
  isExpectedReplica,
  isPermanentFailure,
  type OnboardingNode,
  type Witness,
  type WitnessClient,
  type WitnessNode,
  type WitnessRules,
} from './witness.ts'
import { type KnownLog, seenFromJson, seenToJson, writeAnswer } from './witness-response.ts'
import type { LogLocation, ReleaseLog } from './writer.ts'

export interface NodeLogOptions {
  readonly place: LogLocation
  /** `insecure-none`: nobody notices if this node's disk is set back. */
  readonly witnesses: WitnessSettings | 'insecure-none'
  readonly logger: Logger
  /** Seconds that only go forward. */
  readonly uptime?: Clock
  readonly connect?: (url: string) => WitnessClient
  /** For all questions of a round to one witness. */
  readonly turnMs?: number
}

export interface WitnessSettings {
  /** Replicas by the names of their logs; they need not exist yet. */
  readonly nodes?: readonly WitnessNode[]
  /** Replicas whose names are not stated. */
  readonly urls?: readonly string[]
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
  /** Devices of witnesses that were not seen yet. */
  readonly expectedDevices: readonly string[]
  readonly peerFaults: number
}

/** What a KMS needs of its log, in its own process or from a worker. */
export interface NodeLog extends LogSink {
  /** A signed answer to who asks for the head. */
  answer(nonce: string): Promise<string>
  digests(from: number): Promise<Uint8Array>
  /** The sealed part of one segment; undefined if there is no such file. */
  segment(number: number): Promise<SealedSegment | undefined>
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
/** How often witnesses are asked while too few have answered. */
const unwitnessedSeconds = 5

const haltSchema = z.object({ code: z.string(), message: z.string() })

/** @throws KMS_LOG_HALTED and whatever keeps the log from being opened */
export async function openNodeLog(options: NodeLogOptions): Promise<RunningNodeLog> {
  const { place, witnesses, logger, connect = createWitnessClient } = options
  const uptime = options.uptime ?? (() => Math.floor(performance.now() / 1000))
  const { disk = systemDisk, folder } = place
  await requireNotHalted(disk, folder)
  const log = await openReleaseLog(place)
  let halted: AssentError | undefined
  const halt = async (error: AssentError) => {
    if (halted) return
    halted = error
    // before anything else: what waits to be written must not be written any more
    log.halt(error)
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
      if (isPermanentFailure(error)) await halt(error)
      else logger.error({ err: error }, 'the release log could not be looked after')
    }
  }

  const witness =
    witnesses === 'insecure-none'
      ? undefined
      : createWitness(log, rulesOf(witnesses, connect), {
          uptime,
          logger,
          known: await readSeen(disk, folder),
          halt,
          ...(options.turnMs === undefined ? {} : { turnMs: options.turnMs }),
        })
  let saving = Promise.resolve()
  const askWitnesses = async () => {
    await witness?.ask()
    // one after the other, since each goes over the same file
    saving = saving.then(() =>
      guarded(async () => witness && writeSeen(disk, folder, witness.seen())),
    )
    await saving
  }
  const scrub = () => guarded(() => log.scrub())

  const requireReleasable = (onboardingNode?: OnboardingNode) => {
    if (halted) throw halted
    if (isExpectedReplica(witness?.expectedDevices() ?? [], onboardingNode)) return
    witness?.requireWitnessed()
  }
  const askEvery = () => {
    if (witnesses === 'insecure-none') return scrubSeconds
    const { everySeconds } = witnesses
    return isWitnessed(witness) ? everySeconds : Math.min(everySeconds, unwitnessedSeconds)
  }
  const timers = [repeat(askWitnesses, askEvery), repeat(scrub, () => scrubSeconds)]
  void askWitnesses()
  return {
    append: async (entry, evidence) => {
      if (halted) throw halted
      if (gives(entry)) requireReleasable(onboardingNodeOf(entry))
      await log.append(entry, evidence)
    },
    requireReleasable,
    answer: async (nonce) =>
      writeAnswer(log.key, nonce, { head: log.head(), seen: witness?.seen() ?? [] }),
    digests: (from) => log.digests(from),
    segment: (number) => log.segment(number),
    status: () => statusOf(log, witness, halted !== undefined),
    askWitnesses,
    scrub,
    close: async () => {
      for (const stop of timers) stop()
      await saving
      await log.close()
    },
  }
}

function rulesOf(settings: WitnessSettings, connect: (url: string) => WitnessClient): WitnessRules {
  const { nodes = [], urls = [], atLeast, maxAgeSeconds } = settings
  const stated: readonly WitnessNode[] = [...nodes, ...urls.map((url) => ({ url }))]
  const witnesses = stated.map((each) => ({ ...each, peer: connect(each.url) }))
  return { witnesses, atLeast, maxAgeSeconds }
}

/** Whether somebody gets something by it. */
function gives({ kind }: Entry): boolean {
  return kind === 'release' || kind === 'handover' || kind === 'certificate'
}

/** Only root keys are given to machines that will be witnesses, never keys of apps. */
function onboardingNodeOf(entry: Entry): OnboardingNode | undefined {
  return entry.kind === 'handover' ? { device: entry.boot.deviceId } : undefined
}

/** Keeps what the node from which the root keys came showed of its log, so that it cannot take that back. */
export async function rememberSource(folder: string, source: KnownLog): Promise<void> {
  await writeSeen(systemDisk, folder, [source])
}

function statusOf(log: ReleaseLog, witness: Witness | undefined, halted: boolean): LogStatus {
  return {
    entries: log.head().entries,
    ...log.size(),
    halted,
    witnessed: isWitnessed(witness),
    expectedDevices: witness?.expectedDevices() ?? [],
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

async function requireNotHalted(disk: LogDisk, folder: string): Promise<void> {
  const bytes = await disk.read(join(folder, haltFile))
  if (bytes === undefined) return
  const why = haltSchema.safeParse(parseJson(bytes))
  throw new AssentError('KMS_LOG_HALTED', 'This node was halted because of its release log.', {
    facts: { folder, found: why.success ? why.data.code : 'unreadable' },
  })
}

/** A convenience: what is lost here is learnt again, and is in the log itself. */
async function readSeen(disk: LogDisk, folder: string): Promise<readonly KnownLog[]> {
  const bytes = await disk.read(join(folder, seenFile))
  return bytes === undefined ? [] : seenFromJson(parseJson(bytes))
}

async function writeSeen(disk: LogDisk, folder: string, seen: readonly KnownLog[]): Promise<void> {
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

/** @returns what ends it */
function repeat(run: () => Promise<void>, seconds: () => number): () => void {
  let timer: NodeJS.Timeout
  const wait = () => {
    timer = setTimeout(() => {
      void run()
      wait()
    }, seconds() * 1000)
    timer.unref()
  }
  wait()
  return () => clearTimeout(timer)
}
