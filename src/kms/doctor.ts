/** `assent kms doctor`: checks everything that a key release needs and says what to change. It changes nothing. */
import { randomBytes } from 'node:crypto'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'

import type { BootAuthorizer } from '../chain/boot/boot.ts'
import {
  type BootChainConfig,
  connectHeartbeatRelayers,
  openChain,
  type ProvenChainView,
} from '../chain/boot/boot-config.ts'
import { type NonceRelayer, slotOf } from '../chain/heartbeat/heartbeat.ts'
import { type BlockHeader, type HeaderField, quantitySchema } from '../chain/proven/header.ts'
import { fetchHeader } from '../chain/proven/header-quorum.ts'
import { proofSchema, verifyProof } from '../chain/proven/proof.ts'
import { connectEndpoint, type Endpoint, endpointNames } from '../chain/proven/rpc-endpoint.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import { type Hex, to0x, toHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import {
  type DoctorFinding,
  examineSkew,
  failed,
  guard,
  ok,
  warning,
} from '../lib/doctor-finding.ts'
import { readCertificates } from '../lib/files.ts'
import { quoteOf } from '../quote/attestation.ts'
import {
  checkPccs,
  fetchCollateralFrom,
  type PlatformFamily,
  platformFamily,
} from '../quote/collateral/pccs.ts'
import type { AgentClient } from '../tee/agent.ts'
import { createSelfAuthorizer } from './authorization/self-authorization.ts'
import { attest } from './certificates/ratls.ts'
import type { KmsConfig } from './config.ts'
import { readRules } from './dependencies.ts'
import { deriveCheckpointKey } from './keys/derive.ts'
import { type KeyStore, wipeKeys } from './keys/key-store.ts'
import { deriveLogKey } from './log/key.ts'
import { createWitnessClient } from './log/peer.ts'
import { readAnswer } from './log/witness-response.ts'

/** The subjects of the doctor's checks. */
export interface KmsDoctorOptions {
  /** Parsed settings. */
  readonly config: KmsConfig
  /** Guest agent of this CVM. */
  readonly agent: AgentClient
  /** Root keys; the doctor only checks that they can be opened. */
  readonly store: KeyStore
  /** Unix seconds. The doctor compares it with block times and with the clocks of the collateral services. */
  readonly clock: Clock
}

/** Runs all checks, also after a failed one. @returns one finding per check */
export async function examineKms(options: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const groups = await Promise.all([
    guard('keys', () => examineKeys(options)),
    guard('endpoints', () => examineEndpoints(options)),
    guard('chain view', () => examineView(options)),
    guard('heartbeat', () => examineHeartbeat(options)),
    guard('heartbeat contract', () => examinePosts(options)),
    guard('collateral services', () => examineCollateral(options)),
    guard('release log', () => examineLog(options)),
    guard('witnesses', () => examineWitnesses(options)),
    guard('this KMS', () => examineSelf(options)),
  ])
  return groups.flat()
}

/* KEYS */

async function examineKeys({ store, config }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const check = 'keys'
  const keys = await store.load()
  if (keys === undefined) {
    return [
      failed(
        check,
        `no keys in ${config.keysFolder}`,
        'Run `assent kms bootstrap`, or `assent kms onboard` for a replica.',
      ),
    ]
  }
  wipeKeys(keys)
  if (config.keyProtection === 'sealed') return [ok(check, 'sealed, and this CVM can open them')]
  return [warning(check, 'the key file is not sealed', 'Use `"keyProtection": "sealed"`.')]
}

/* CHAIN */

/** Each RPC endpoint alone, and the local clock against the newest block. */
async function examineEndpoints(options: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { config, clock } = options
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) {
    const nextStep = 'Use `chainView.endpoints` of two or more operators.'
    return [warning('endpoints', 'one endpoint is trusted, nothing is proven', nextStep)]
  }
  const checks = await Promise.all(
    chainsOf(config, chainView).flatMap((chain) => {
      const names = endpointNames(chain.endpoints)
      return chain.endpoints.map((url, index) => {
        const name = `${chain.prefix}${names[index]}`
        const endpoint = connectEndpoint({ url, name, timeoutMs: config.rpcTimeoutMs })
        return examineEndpoint(endpoint, chain, clock)
      })
    }),
  )
  const newest = Math.max(0, ...checks.map(({ headTime }) => headTime))
  const findings = checks.map(({ finding }) => finding)
  // a newest block from the future means that the local clock is slow
  return newest === 0 ? findings : [...findings, examineSkew('clock', newest - clock(), 15)]
}

/** A chain that a node reads: its own, and L1 on an OP Stack chain. */
interface ReadChain extends Pick<BootChainConfig, 'chainId' | 'finality' | 'maxBlockAgeSeconds'> {
  readonly endpoints: readonly string[]
  /** Before the names of its endpoints. */
  readonly prefix: string
  /** A contract that is read. */
  readonly address: Hex
  readonly headerFields: readonly HeaderField[]
  /** With a light client it decides which block is final, and not the endpoint. */
  readonly consensus?: object | undefined
}

function chainsOf(
  config: BootChainConfig,
  { endpoints, headerFields, opStack, consensus }: ProvenChainView,
): ReadChain[] {
  const address = config.kmsContract
  const own = { ...config, endpoints, headerFields, consensus, prefix: '', address }
  if (opStack === undefined || opStack === 'agreed') return [own]
  const { l1, anchorStateRegistry } = opStack
  return [own, { ...l1, finality: 'finalized', prefix: 'l1-', address: anchorStateRegistry }]
}

interface EndpointCheck {
  readonly finding: DoctorFinding
  /** Unix time of its newest block; 0 if it returned none. */
  readonly headTime: number
}

async function examineEndpoint(
  endpoint: Endpoint,
  chain: ReadChain,
  clock: Clock,
): Promise<EndpointCheck> {
  const check = `endpoint ${endpoint.name}`
  const failedCheck = (error: unknown, nextStep: string, headTime = 0) => ({
    finding: failed(check, describe(error), nextStep),
    headTime,
  })
  let head: BlockHeader
  let final: BlockHeader
  try {
    const chainId = Number(await endpoint.request('eth_chainId', [], quantitySchema))
    if (chainId !== chain.chainId) {
      const found = `it serves chain ${chainId}, not ${chain.chainId}`
      return { finding: failed(check, found, 'Correct the address or `chainId`.'), headTime: 0 }
    }
    head = await fetchHeader(endpoint, 'latest', chain.headerFields)
  } catch (error) {
    return failedCheck(error, 'Check the address and the network, or use another endpoint.')
  }
  try {
    final = await fetchFinal(endpoint, head, chain)
  } catch (error) {
    const nextStep =
      'It does not serve the block that `finality` names: change the endpoint or the setting.'
    return failedCheck(error, nextStep, head.timestamp)
  }
  try {
    const { address } = chain
    const number = `0x${final.number.toString(16)}` as const
    const answer = await endpoint.request('eth_getProof', [address, [], number], proofSchema)
    await verifyProof(answer, { stateRoot: final.stateRoot, address, slots: [] })
  } catch (error) {
    const nextStep =
      'It serves no proof at the final block, so no decision can be made with it. Keep older state (reth: ' +
      '--rpc.eth-proof-window, erigon: --prune.include-commitment-history), or use another endpoint.'
    return failedCheck(error, nextStep, head.timestamp)
  }
  const age = clock() - final.timestamp
  const found = `final block ${final.number}, ${age} s old, with a valid proof`
  const isOld = chain.consensus === undefined && age > chain.maxBlockAgeSeconds
  const nextStep =
    'The endpoint is late, or `maxBlockAgeSeconds` is shorter than the finality of this chain.'
  return {
    finding: isOld ? failed(check, found, nextStep) : ok(check, found),
    headTime: head.timestamp,
  }
}

async function fetchFinal(
  endpoint: Endpoint,
  head: BlockHeader,
  { finality, headerFields }: ReadChain,
): Promise<BlockHeader> {
  const block =
    typeof finality === 'string' ? finality : head.number - BigInt(finality.confirmations)
  return fetchHeader(endpoint, block, headerFields)
}

/** The RPC quorum and the pinned code, as a decision needs them. */
async function examineView(options: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { config } = options
  const { block } = await (await openView(options)).facts()
  const how =
    'insecureSingleEndpoint' in config.chainView ? 'from one endpoint' : 'agreed on and proven'
  return [ok('chain view', `block ${block.number} ${how}, contract code is pinned`)]
}

/** The chain as this node would read it: from its own light-client store, if it has keys. Nothing is written. */
async function openView({ config, store, clock }: KmsDoctorOptions): Promise<BootAuthorizer> {
  // broken keys are another finding
  const keys = await store.load().catch(() => undefined)
  if (keys === undefined) return openChain(config, { clock, checkpointKey: 'none-yet' })
  const checkpointKey = deriveCheckpointKey(keys)
  wipeKeys(keys)
  return openChain(config, { clock, checkpointKey, readOnly: true })
}

/** Each relayer of the heartbeat: its token file, and if it answers. One that works is enough. Nothing is posted. */
async function examineHeartbeat({ config }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { chainView, rpcTimeoutMs } = config
  if ('insecureSingleEndpoint' in chainView || chainView.heartbeat === undefined) return []
  const relayers = connectHeartbeatRelayers(chainView.heartbeat, rpcTimeoutMs)
  const faults = await Promise.all(relayers.map(faultOfRelayer))
  const report = faults.includes(undefined) ? warning : failed
  return relayers.map(({ name }, index) => {
    const check = `heartbeat relayer ${name}`
    const fault = faults[index]
    if (fault === undefined) return ok(check, 'answers and accepts the token')
    return report(check, describe(fault), nextStepOfRelayer(fault))
  })
}

/** Asks for a nonce that no node has sent. undefined: the relayer answers that it does not know it. */
async function faultOfRelayer({ prove }: NonceRelayer): Promise<unknown> {
  try {
    await prove(to0x(randomBytes(32)))
    return undefined
  } catch (error) {
    return error
  }
}

function nextStepOfRelayer(fault: unknown): string {
  if (isAssentError(fault, 'FILE_UNREADABLE') || isAssentError(fault, 'HEARTBEAT_TOKEN_INVALID')) {
    return 'Give the node the token: docs/heartbeat.md, "The token". Without it no nonce is posted, and the node decides nothing.'
  }
  return 'Check the address, and that the relayer runs with the setting `heartbeat`.'
}

/** The accounts of the relayers in the contract, by the first endpoint that proves its newest state. */
async function examinePosts({ config }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { chainView, rpcTimeoutMs: timeoutMs } = config
  if ('insecureSingleEndpoint' in chainView || chainView.heartbeat === undefined) return []
  const { endpoints, headerFields, heartbeat } = chainView
  const { contract: address, relayers } = heartbeat
  const slots = relayers.map(({ poster }) => slotOf(poster))
  const names = endpointNames(endpoints)
  const read = async (url: string, index: number) => {
    const endpoint = connectEndpoint({ url, name: names[index] ?? url, timeoutMs })
    const { number, stateRoot } = await fetchHeader(endpoint, 'latest', headerFields)
    const block = `0x${number.toString(16)}` as const
    const answer = await endpoint.request('eth_getProof', [address, slots, block], proofSchema)
    return verifyProof(answer, { stateRoot, address, slots })
  }
  const check = 'heartbeat contract'
  const proven = await Promise.any(endpoints.map(read)).catch(() => undefined)
  if (proven === undefined) {
    return [failed(check, 'no endpoint proves its storage', 'See the findings of the endpoints.')]
  }
  if (proven.account === undefined) {
    return [failed(check, `there is none at ${address}`, 'Correct `heartbeat.contract`.')]
  }
  return relayers.map(({ poster }, index) => {
    if (proven.slots.get(slots[index] as Hex) !== 0n) return ok(check, `${poster} has posted`)
    const nextStep =
      'Normal before the first nonce. Otherwise compare `poster` and `contract` with the settings of the relayer.'
    return warning(check, `${poster} has not posted yet`, nextStep)
  })
}

/* COLLATERAL */

async function examineCollateral({ config, agent }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { collateral } = config
  if ('file' in collateral) {
    const nextStep = 'Use `pccsUrls` for real hosts: collateral in a file expires after 30 days.'
    return [warning('collateral services', 'a fixed file is used', nextStep)]
  }
  const { pccsUrls, caFile, timeoutMs, update } = collateral
  const ca = caFile === undefined ? undefined : await readCertificates(caFile)
  const family = await familyOf(agent)
  return Promise.all(
    pccsUrls.map(async (url) => {
      const check = `collateral service ${new URL(url).host}`
      try {
        if (family === undefined) await checkPccs(url, { ca, timeoutMs })
        else await fetchCollateralFrom(url, family, update, { ca, timeoutMs })
        return ok(check, family === undefined ? 'answers' : `has collateral for ${family.fmspc}`)
      } catch (error) {
        return failed(check, describe(error), 'Check that it runs and serves this platform family.')
      }
    }),
  )
}

/** The platform family of this host; undefined if it gives no quote, which is another finding. */
async function familyOf(agent: AgentClient): Promise<PlatformFamily | undefined> {
  try {
    return platformFamily(quoteOf(await attest(agent, new Uint8Array(64))))
  } catch {
    return undefined
  }
}

/* LOG */

async function examineLog({ config }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { releaseLog, keysFolder } = config
  const check = 'release log'
  if (releaseLog === 'insecure-off') {
    return [
      warning(
        check,
        'there is none',
        'Set `releaseLog`: without it nothing proves which keys were released.',
      ),
    ]
  }
  const { folder } = releaseLog
  const halted = join(folder, 'halted.json')
  if (await isThere(halted)) {
    const nextStep = 'Read that file and docs/release-log.md. A halted node must not continue.'
    return [failed(check, `halted: ${halted}`, nextStep)]
  }
  const begun = await isThere(join(keysFolder, 'log-head.bin'))
  if (!begun) return [failed(check, 'not created', 'Run `assent kms log create`.')]
  return (await isThere(folder, constants.W_OK))
    ? [ok(check, folder)]
    : [
        failed(
          check,
          `${folder} cannot be written`,
          'Give the folder to the user of the KMS process.',
        ),
      ]
}

async function isThere(path: string, mode = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}

async function examineWitnesses({ config, store }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { releaseLog } = config
  if (releaseLog === 'insecure-off') return []
  const { witnesses } = releaseLog
  if (witnesses === 'insecure-none') {
    const nextStep = 'Set `witnesses` as soon as there is a replica.'
    return [warning('witnesses', 'a rollback of this node would not be detected', nextStep)]
  }
  const keys = await store.load()
  if (keys === undefined) return []
  const { rootKey } = deriveLogKey(keys.k256, releaseLog.node).identity
  wipeKeys(keys)
  const urls = [...witnesses.nodes.map(({ url }) => url), ...witnesses.urls]
  const asked = await Promise.all(urls.map((url) => examineWitness(url, rootKey)))
  const fit = asked.filter(({ status }) => status === 'ok').length
  const found = `${fit} of ${urls.length} answer, ${witnesses.atLeast} required`
  const nextStep = 'Repair or add witnesses: with fewer, no keys are released.'
  const enough =
    fit >= witnesses.atLeast ? ok('witnesses', found) : failed('witnesses', found, nextStep)
  return [...asked, enough]
}

async function examineWitness(url: string, rootKey: Uint8Array): Promise<DoctorFinding> {
  const check = `witness ${new URL(url).host}`
  try {
    const nonce = randomBytes(16).toString('hex')
    const { identity, head } = readAnswer(
      await createWitnessClient(url).head(nonce),
      nonce,
      rootKey,
    )
    return ok(check, `${identity.node}, ${head.entries} entries`)
  } catch (error) {
    const nextStep = 'Check that it runs, is a replica of this KMS, and can be reached from here.'
    return warning(check, describe(error), nextStep)
  }
}

/* SELF */

/** Self-authorization, which every key release needs: own quote, collateral, and the chain's decision. */
async function examineSelf({
  config,
  agent,
  store,
  clock,
}: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const rules = await readRules(config)
  const { authorize: ask } = await openView({ config, agent, store, clock })
  const { boot } = await createSelfAuthorizer(agent, rules, ask).authorize()
  const found = `allowed, as ${toHex(boot.bootInfo.mrAggregated)}`
  if (config.selfAuthorization === 'required') return [ok('this KMS', found)]
  const nextStep = 'Use `"selfAuthorization": "required"`.'
  return [warning('this KMS', `${found}, but not required`, nextStep)]
}

/** An error with its direct cause, which often contains the other side's message. */
function describe(error: unknown): string {
  if (!isAssentError(error)) return 'the check failed unexpectedly'
  const below = error.cause instanceof AssentError ? ` (${error.cause.message})` : ''
  return `${error.code}: ${error.message}${below}`
}
