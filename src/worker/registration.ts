/**
 * Brings the key of an instance on-chain and keeps it there: the proof of the key in `Instances`, and its place among the
 * workers of the app in `Requests`. Each call goes through the outbox.
 */
import { z } from 'zod'

import { instancesAbi, requestsAbi } from '../chain/abi.ts'
import type { Call } from '../chain/call.ts'
import type { InstanceProof } from '../chain/registries/instance-proof.ts'
import {
  endOfInstance,
  type InstanceContracts,
  isStepDone,
  judgeInstance,
  missingSteps,
  type RegistrationStep,
  readInstanceFacts,
  registrationOf,
  type Standing,
} from '../chain/registries/instances.ts'
import {
  joinWorkers,
  type RequestsContract,
  readWorker,
  toContractSignature,
  workerDigest,
} from '../chain/registries/requests.ts'
import { k256PublicKey } from '../kms/keys/derive.ts'
import { type Hex, to0x } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { k256Address, signK256Digest } from '../lib/k256.ts'
import { addressSchema, bytes32Schema, bytesSchema } from '../lib/schema.ts'
import type { Database } from '../relayer/database/database.ts'
import { type QuorumReader, readBlockTime } from '../relayer/endpoints/quorum.ts'
import { check, type Target } from '../relayer/outbox/intent-targets.ts'
import { enqueueIntent } from '../relayer/outbox/intents.ts'

/** Everything that a registration needs. */
export interface RegistrationOptions {
  readonly db: Database
  readonly reader: QuorumReader
  readonly contracts: InstanceContracts
  readonly requests: RequestsContract
  readonly app: Hex
  /** The host of this CVM, 32 bytes. */
  readonly deviceId: Hex
  /** The account that sends: the operator of the worker. */
  readonly account: Hex
  /** The most requests at the same time. */
  readonly capacity: number
  /** Private key of the instance, 32 bytes. */
  readonly key: Uint8Array
  /** Makes a proof of the key that commits to this block. @throws TEE_*, KMS_* */
  readonly prove: (block: { readonly number: bigint; readonly hash: Hex }) => Promise<InstanceProof>
  readonly clock: Clock
  /** Called when an intent was put into the outbox. */
  readonly onAccepted: () => void
}

/** Where the key is. */
export interface RegistrationState {
  readonly standing: Standing
  /** Unix seconds: when it stops to count without another transaction; 0: it does not count. */
  readonly endsAt: number
  /** Whether it is in the list of workers. */
  readonly isJoined: boolean
}

/** Kind of the intents. */
export const registrationKind = 'worker-registration'

/** Seconds before the end of a proof from which it is renewed: a fifth of its life, at most two days. */
const renewalPart = 5
const longestRenewal = 2 * 86_400
/** Between two proofs. */
const proofPauseMs = 300_000
/** Seconds after which an intent is not wanted any more: a proof commits to a block that grows old. */
const intentSeconds = 1_800

/** Keeps one key registered. */
export interface Registration {
  /**
   * Reads where the key is, and asks for the next step if one is missing.
   *
   * @throws RELAYER_CHAIN_*, TEE_*, KMS_*
   */
  advance(): Promise<RegistrationState>
}

/** @example while (true) console.log(await registration.advance()) */
export function createRegistration(options: RegistrationOptions): Registration {
  const key = to0x(k256Address(k256PublicKey(options.key)))
  let proof: InstanceProof | undefined
  let provenAt = Number.NEGATIVE_INFINITY
  return {
    async advance() {
      const state = await readState(options, key)
      if (!isDue(state)) {
        proof = undefined
        if (!state.isJoined) await join(options, key)
        return state
      }
      const now = performance.now()
      if (proof === undefined || now - provenAt >= proofPauseMs) {
        provenAt = now
        proof = await options.prove(await newestBlock(options.reader))
      }
      await register(options, key, proof)
      return state
    },
  }
}

interface FoundState extends RegistrationState {
  readonly provenAt: number
  /** The chain's time. */
  readonly at: number
}

async function readState(options: RegistrationOptions, key: Hex): Promise<FoundState> {
  const { reader, contracts, requests, capacity } = options
  const { latest } = await reader.heights()
  const [at, facts, worker] = await Promise.all([
    readBlockTime(reader, latest),
    reader.agree('instance', (client) => readInstanceFacts(client, contracts, key, latest)),
    reader.agree('worker', (client) => readWorker(client, requests.requests, key, latest)),
  ])
  const standing = judgeInstance(facts, at)
  return {
    standing,
    endsAt: standing === 'live' ? endOfInstance(facts) : 0,
    isJoined: worker.place !== 0 && worker.capacity === capacity,
    provenAt: facts.record.provenAt,
    at,
  }
}

function isDue({ standing, endsAt, provenAt, at }: FoundState): boolean {
  if (standing !== 'live') return standing !== 'ended'
  const before = Math.min((endsAt - provenAt) / renewalPart, longestRenewal)
  return at >= endsAt - before
}

/** The block before the newest one, which a reorg replaces more rarely. */
function newestBlock(reader: QuorumReader) {
  return reader.heights().then(({ latest }) => {
    const number = latest > 0n ? latest - 1n : latest
    return reader.agree('block', async (client) => {
      const { hash } = await client.getBlock({ blockNumber: number })
      return { number, hash }
    })
  })
}

/** The steps before it, or the registration itself when none is missing. */
async function register(options: RegistrationOptions, key: Hex, proof: InstanceProof) {
  const { reader, contracts } = options
  const steps = await reader.agree('steps', (client) => missingSteps(client, contracts, proof))
  for (const { kind, id, call } of steps) await put(options, { step: kind, id }, call)
  if (steps.length > 0) return
  const block = Number(proof.binding.block.number)
  await put(
    options,
    { step: 'register', id: key, block },
    registrationOf(contracts.instances, proof),
  )
}

async function join(options: RegistrationOptions, key: Hex): Promise<void> {
  const { requests, app, deviceId, capacity, account, key: secret } = options
  const digest = workerDigest(requests, { app, operator: account, deviceId })
  const signature = toContractSignature(signK256Digest(secret, digest))
  const call = joinWorkers(requests.requests, { app, key, deviceId, capacity }, signature)
  await put(options, { step: 'join', id: key, capacity }, call)
}

/* INTENTS */

const callFields = { to: addressSchema, data: bytesSchema }
const payloadSchema = z.discriminatedUnion('step', [
  z.strictObject({ step: z.literal('boot'), id: bytes32Schema, ...callFields }),
  z.strictObject({ step: z.literal('root-key'), id: addressSchema, ...callFields }),
  z.strictObject({
    step: z.literal('register'),
    id: addressSchema,
    block: z.int().min(0),
    ...callFields,
  }),
  z.strictObject({
    step: z.literal('join'),
    id: addressSchema,
    capacity: z.int().min(1),
    ...callFields,
  }),
])

type Step = { readonly id: Hex } & (
  | { readonly step: RegistrationStep['kind'] }
  | { readonly step: 'register'; readonly block: number }
  | { readonly step: 'join'; readonly capacity: number }
)

async function put(options: RegistrationOptions, step: Step, { to, data }: Call): Promise<void> {
  const { db, requests, clock } = options
  const at = clock()
  const part = step.step === 'register' ? step.block : step.step === 'join' ? step.capacity : ''
  const intent = await enqueueIntent(db, {
    chainId: requests.chainId,
    kind: registrationKind,
    key: `${step.step}:${step.id}:${part}`.toLowerCase(),
    payload: { ...step, to: to.toLowerCase(), data },
    expiresAt: at + intentSeconds,
    at,
    isMissing: true,
  })
  if (intent.isNew) options.onAccepted()
}

/** Sends the steps of a registration. */
export function createRegistrationTarget(
  { instances }: Pick<InstanceContracts, 'instances'>,
  requests: Hex,
): Target {
  return {
    errors: [...instancesAbi, ...requestsAbi],
    encode({ payload }) {
      const { to, data } = check(payloadSchema, payload, 'Payload')
      return { to, data }
    },
    async isDone({ payload }, client, blockNumber) {
      const step = check(payloadSchema, payload, 'Payload')
      if (step.step === 'join') {
        const { place, capacity } = await readWorker(client, requests, step.id, blockNumber)
        return place !== 0 && capacity === step.capacity
      }
      if (step.step === 'register') {
        const asked = { address: instances, abi: instancesAbi, functionName: 'instanceOf' } as const
        const [record] = await client.readContract({ ...asked, args: [step.id], blockNumber })
        return record.provenAtBlock >= step.block
      }
      return isStepDone(client, instances, { kind: step.step, id: step.id }, blockNumber)
    },
  }
}
