/** `assent kms doctor`: looks at everything that a release needs, and says what to change. Changes nothing anywhere. */
import { randomBytes } from 'node:crypto'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'

import { type BootChainConfig, openChain } from '../chain/boot-config.ts'
import { type BlockHeader, quantitySchema } from '../chain/proven/header.ts'
import { fetchHeader } from '../chain/proven/header-quorum.ts'
import { proofSchema, verifyProof } from '../chain/proven/proof.ts'
import { connectEndpoint, type Endpoint, endpointNames } from '../chain/proven/rpc-endpoint.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import { toHex } from '../lib/bytes.ts'
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
import { type KeyStore, wipeKeys } from './keys/key-store.ts'
import { deriveLogKey } from './log/key.ts'
import { createWitnessClient } from './log/peer.ts'
import { readAnswer } from './log/witness-response.ts'

export interface KmsDoctorOptions {
  readonly config: KmsConfig
  readonly agent: AgentClient
  readonly store: KeyStore
  readonly clock: Clock
}

/** Every check, also after one failed. */
export async function examineKms(options: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const groups = await Promise.all([
    guard('keys', () => examineKeys(options)),
    guard('endpoints', () => examineEndpoints(options)),
    guard('chain view', () => examineView(options)),
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
        `${config.keysFolder} holds none`,
        'Run `assent kms bootstrap`, or `assent kms onboard` for a replica.',
      ),
    ]
  }
  wipeKeys(keys)
  if (config.keyProtection === 'sealed') return [ok(check, 'sealed, and this CVM opens them')]
  return [warning(check, 'in a file that is not sealed', 'Use `"keyProtection": "sealed"`.')]
}

/* CHAIN */

/** A final block older than that is of an endpoint that lags; decisions have their own bound. */
async function examineEndpoints(options: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { config, clock } = options
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) {
    const todo = 'Use `chainView.endpoints` of two operators or more.'
    return [warning('endpoints', 'one is believed, nothing is proven', todo)]
  }
  const names = endpointNames(chainView.endpoints)
  const looks = await Promise.all(
    chainView.endpoints.map((url, index) => {
      const name = names[index] ?? `${index + 1}`
      const endpoint = connectEndpoint({ url, name, timeoutMs: config.rpcTimeoutMs })
      return examineEndpoint(endpoint, options)
    }),
  )
  const newest = Math.max(0, ...looks.map(({ seen }) => seen))
  const findings = looks.map(({ finding }) => finding)
  // the newest block cannot be from the future
  return newest === 0 ? findings : [...findings, examineSkew('clock', newest - clock(), 15)]
}

interface EndpointCheck {
  readonly finding: DoctorFinding
  /** Time of its newest block; 0 if it showed none. */
  readonly seen: number
}

async function examineEndpoint(
  endpoint: Endpoint,
  { config, clock }: KmsDoctorOptions,
): Promise<EndpointCheck> {
  const check = `endpoint ${endpoint.name}`
  const unfit = (error: unknown, todo: string, seen = 0) => ({
    finding: failed(check, wordsOf(error), todo),
    seen,
  })
  let head: BlockHeader
  let final: BlockHeader
  try {
    const chainId = Number(await endpoint.request('eth_chainId', [], quantitySchema))
    if (chainId !== config.chainId) {
      const found = `it serves chain ${chainId}, not ${config.chainId}`
      return { finding: failed(check, found, 'Correct the address or `chainId`.'), seen: 0 }
    }
    head = await fetchHeader(endpoint, 'latest', fieldsOf(config))
  } catch (error) {
    return unfit(error, 'Check the address and the network, or name another endpoint.')
  }
  try {
    final = await fetchFinal(endpoint, head, config)
  } catch (error) {
    const todo = 'It does not serve the block that `finality` names: change one of the two.'
    return unfit(error, todo, head.timestamp)
  }
  try {
    const { kmsContract: address } = config
    const number = `0x${final.number.toString(16)}` as const
    const answer = await endpoint.request('eth_getProof', [address, [], number], proofSchema)
    await verifyProof(answer, { stateRoot: final.stateRoot, address, slots: [] })
  } catch (error) {
    const todo =
      'It gives no proof at the final block, and no decision can be made with it. Let it keep older state (reth: ' +
      '--rpc.eth-proof-window, erigon: --prune.include-commitment-history), or name another endpoint.'
    return unfit(error, todo, head.timestamp)
  }
  const age = clock() - final.timestamp
  const found = `final block ${final.number}, ${age} s old, proof given`
  const isOld = age > config.maxBlockAgeSeconds
  const todo = 'It lags, or `maxBlockAgeSeconds` is less than this chain needs to be final.'
  return { finding: isOld ? failed(check, found, todo) : ok(check, found), seen: head.timestamp }
}

async function fetchFinal(
  endpoint: Endpoint,
  head: BlockHeader,
  config: BootChainConfig,
): Promise<BlockHeader> {
  const { finality } = config
  const block =
    typeof finality === 'string' ? finality : head.number - BigInt(finality.confirmations)
  return fetchHeader(endpoint, block, fieldsOf(config))
}

function fieldsOf({ chainView }: BootChainConfig) {
  return 'insecureSingleEndpoint' in chainView ? undefined : chainView.headerFields
}

/** Agreement of the endpoints and the code of the contracts, as a decision needs them. */
async function examineView({ config, clock }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { block } = await openChain(config, { clock, checkpointKey: 'none-yet' }).facts()
  const how = 'insecureSingleEndpoint' in config.chainView ? 'told' : 'agreed on and proven'
  return [ok('chain view', `block ${block.number} ${how}, the contracts are known`)]
}

/* COLLATERAL */

async function examineCollateral({ config, agent }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const { collateral } = config
  if ('file' in collateral) {
    const todo = 'Use `pccsUrls` for real machines: a file ends after 30 days.'
    return [warning('collateral services', 'a fixed file is used', todo)]
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
        return ok(check, family === undefined ? 'it answers' : `it has ${family.fmspc}`)
      } catch (error) {
        return failed(check, wordsOf(error), 'Check that it runs and serves this platform.')
      }
    }),
  )
}

/** Of this machine; undefined where it gives no quote, which is another finding. */
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
      warning(check, 'there is none', 'State `releaseLog`: nothing proves what was released.'),
    ]
  }
  const { folder } = releaseLog
  const halted = join(folder, 'halted.json')
  if (await isThere(halted)) {
    const todo = 'Read that file and docs/release-log.md; a halted node must not go on by itself.'
    return [failed(check, `halted: ${halted}`, todo)]
  }
  const begun = await isThere(join(keysFolder, 'log-head.bin'))
  if (!begun) return [failed(check, 'not begun', 'Run `assent kms log create`.')]
  return (await isThere(folder, constants.W_OK))
    ? [ok(check, folder)]
    : [failed(check, `${folder} cannot be written`, 'Give the user of the KMS the folder.')]
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
    const todo = 'State `witnesses` as soon as there is a replica.'
    return [warning('witnesses', 'nobody would notice if this node were set back', todo)]
  }
  const keys = await store.load()
  if (keys === undefined) return []
  const { rootKey } = deriveLogKey(keys.k256, releaseLog.node).identity
  wipeKeys(keys)
  const urls = [...witnesses.nodes.map(({ url }) => url), ...witnesses.urls]
  const asked = await Promise.all(urls.map((url) => examineWitness(url, rootKey)))
  const fit = asked.filter(({ verdict }) => verdict === 'ok').length
  const found = `${fit} of ${urls.length} answer, ${witnesses.atLeast} must`
  const todo = 'Repair or add witnesses: nothing is released with fewer.'
  const enough =
    fit >= witnesses.atLeast ? ok('witnesses', found) : failed('witnesses', found, todo)
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
    const todo = 'Check that it runs, is a replica of this KMS, and can be reached from here.'
    return warning(check, wordsOf(error), todo)
  }
}

/* SELF */

/** The whole of what each release needs first: a quote of its own, its collateral, the chain's word. */
async function examineSelf({ config, agent, clock }: KmsDoctorOptions): Promise<DoctorFinding[]> {
  const rules = await readRules(config)
  const { authorize: ask } = openChain(config, { clock, checkpointKey: 'none-yet' })
  const { boot } = await createSelfAuthorizer(agent, rules, ask).authorize()
  const found = `allowed, as ${toHex(boot.bootInfo.mrAggregated)}`
  if (config.selfAuthorization === 'required') return [ok('this KMS', found)]
  const todo = 'Use `"selfAuthorization": "required"`.'
  return [warning('this KMS', `${found}, but it would serve without`, todo)]
}

/** What went wrong, with what the other side said where it is known. */
function wordsOf(error: unknown): string {
  if (!isAssentError(error)) return 'it could not be asked'
  const below = error.cause instanceof AssentError ? ` (${error.cause.message})` : ''
  return `${error.code}: ${error.message}${below}`
}
