/** The release log of a running node: witnessed, re-read in the background, and halted permanently if it was changed. */
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

/** Dependencies of the log of a node. */
export interface NodeLogOptions {
  /** Folder, key and clock of the log. */
  readonly location: LogLocation
  /** `insecure-none`: a rollback of this node's disk is not detected. */
  readonly witnesses: WitnessSettings | 'insecure-none'
  readonly logger: Logger
  /** Monotonic seconds. */
  readonly uptime?: Clock
  /** Connects to a witness; default: HTTPS. */
  readonly connect?: (url: string) => WitnessClient
  /** Milliseconds for all questions to one witness in one round. */
  readonly turnMs?: number
}

/** The replicas that watch this node's log, and how many of them must answer. */
export interface WitnessSettings {
  /** Replicas with stated node names; they need not exist yet. */
  readonly nodes?: readonly WitnessNode[]
  /** Replicas without stated node names. */
  readonly urls?: readonly string[]
  /** Witnesses that must have confirmed the log within `maxAgeSeconds`. Otherwise no keys are released. */
  readonly atLeast: number
  /** Pause between two rounds of questions. */
  readonly everySeconds: number
  /** How long the confirmation of a witness counts. */
  readonly maxAgeSeconds: number
}

/** State of the log, for metrics and for workers. */
export interface LogStatus {
  /** Entries since the log began, archived ones included. */
  readonly entries: number
  /** Files of the log, archived ones included. */
  readonly segments: number
  /** Size of the newest segment. */
  readonly bytes: number
  /** True after a rollback, fork or damage was found. A halted node releases nothing until an operator decides. */
  readonly halted: boolean
  /** Whether enough witnesses confirmed the log recently. */
  readonly witnessed: boolean
  /** Device ids of configured witnesses that never answered. */
  readonly expectedDevices: readonly string[]
  /** How often another node's log was found rolled back or forked. */
  readonly peerFaults: number
}

/** The log as the KMS uses it, in the process that writes it or in a worker. */
export interface NodeLog extends LogSink {
  /** The answer to `/log/head`, signed over the caller's nonce. */
  answer(nonce: string): Promise<string>
  /** Entry digests from this entry on. @throws KMS_LOG_ARCHIVED */
  digests(from: number): Promise<Uint8Array>
  /** The sealed part of one segment; undefined if there is no such file. */
  segment(number: number): Promise<SealedSegment | undefined>
  /** The current state; never throws. */
  status(): LogStatus
}

/** The log in the process that writes it. */
export interface RunningNodeLog extends NodeLog {
  /** Asks all witnesses now. */
  askWitnesses(): Promise<void>
  /** Verifies the next older segment again. The node halts if it was changed. */
  scrub(): Promise<void>
  /** Writes a last entry and seals the log. */
  close(): Promise<void>
}

const haltFile = 'halted.json'
const seenFile = 'seen.json'
const scrubSeconds = 60
/** Seconds between two rounds while too few witnesses have answered. */
const unwitnessedSeconds = 5

const haltSchema = z.object({ code: z.string(), message: z.string() })

/** Opens the log and starts the background jobs. @throws KMS_LOG_HALTED, and as openReleaseLog */
export async function openNodeLog(options: NodeLogOptions): Promise<RunningNodeLog> {
  const { location, witnesses, logger, connect = createWitnessClient } = options
  const uptime = options.uptime ?? (() => Math.floor(performance.now() / 1000))
  const { disk = systemDisk, folder } = location
  await requireNotHalted(disk, folder)
  const log = await openReleaseLog(location)
  let halted: AssentError | undefined
  const halt = async (error: AssentError) => {
    if (halted) return
    halted = error
    // first of all, so that queued entries are not written any more
    log.halt(error)
    logger.fatal({ err: error }, 'the release log was changed: no keys are released any more')
    const content = Buffer.from(`${JSON.stringify(error.toJSON(), null, 2)}\n`)
    await disk.replace(join(folder, haltFile), new Uint8Array(content)).catch((cause) => {
      logger.error({ err: cause }, 'the halt could not be stored')
    })
  }
  const guarded = async (run: () => Promise<void>) => {
    try {
      await run()
    } catch (error) {
      if (isPermanentFailure(error)) await halt(error)
      else logger.error({ err: error }, 'background work on the release log failed')
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
    // one after the other, because all write the same file
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
      if (isRelease(entry)) requireReleasable(onboardingNodeOf(entry))
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

/** Tells if an entry releases keys or a certificate. */
function isRelease({ kind }: Entry): boolean {
  return kind === 'release' || kind === 'handover' || kind === 'certificate'
}

/** Configured witnesses may get root keys before they are witnesses; app keys are never released to them this way. */
function onboardingNodeOf(entry: Entry): OnboardingNode | undefined {
  return entry.kind === 'handover' ? { device: entry.boot.deviceId } : undefined
}

/** Stores the head of the log of the node that gave the root keys, so that this node cannot roll it back later. */
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

/** Known logs of the last run. If the file is lost, they are learnt again from the witnesses. */
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

/** Runs a job repeatedly. @returns a function that stops it */
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
