/**
 * `assent kms status`: shows a running KMS node: health, age of its chain view, root keys, release log and peers. Reads
 * GetMeta, /health, /metrics and /log/head of the node, and the root keys on-chain. Exit code 1: it has a problem.
 */
import { randomBytes } from 'node:crypto'

import type { Address, PublicClient } from 'viem'
import { z } from 'zod'

import { kmsAuthAbi } from '../../chain/abi.ts'
import { type State, stateAt, states } from '../../chain/approval.ts'
import { toChainError } from '../../chain/call.ts'
import { formatDeadline } from '../../chain/governance/format-time.ts'
import { readApproval } from '../../chain/registries/registry.ts'
import { type RootKeyPair, readProof, rootKeyId } from '../../chain/registries/root-keys.ts'
import { isAssentError } from '../../errors/index.ts'
import {
  type KmsClientOptions,
  type NodeMeta,
  readNodeMeta,
  readPublicPage,
} from '../../kms/client.ts'
import { readAnswer } from '../../kms/log/witness-response.ts'
import { to0x } from '../../lib/bytes.ts'
import { escapeText } from '../../lib/printable.ts'
import { readMetrics, sampleOf, valuesBy } from '../../lib/prometheus-text.ts'
import type { ArgumentsOf } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-code.ts'
import { readKmsUrl } from '../input/kms-url.ts'
import type { status as command } from '../kms.ts'
import { colors as pc } from '../output/colors.ts'
import { bytes, bytes32, seconds, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  url: z.string(),
  isReady: z.boolean().describe('the node could release keys now'),
  health: z.string().describe('OK, or code and meaning of the problem'),
  isServerOfRoot: z.boolean().describe('the root CA below certified this server'),
  root: z.strictObject({
    id: bytes32,
    k256PublicKey: bytes,
    approval: z
      .enum(states)
      .nullable()
      .describe('null: the deployment has no registry of root keys'),
    epoch: z.int().nonnegative().nullable().describe('epoch of root keys; 0: not opened'),
    isRecorded: z.boolean().describe('KmsAuth records them, for dstack’s tools and for clients'),
  }),
  gatewayAppId: z.string().nullable(),
  chainView: z
    .strictObject({ block: z.int(), timestamp: unixTime, age: seconds })
    .nullable()
    .describe('block of the last decision; null: it has decided nothing yet'),
  collateralUntil: unixTime.nullable().describe('end of the collateral of the last quote'),
  requests: z.record(z.string(), z.number()).describe('since the start, by outcome'),
  log: z
    .strictObject({
      node: z.string(),
      entries: z.int().nonnegative(),
      at: unixTime.describe('time of the head'),
      isWitnessed: z.boolean().nullable(),
      isHalted: z.boolean().nullable(),
    })
    .nullable()
    .describe(
      'signed by a key that the root key certified; null: it has no log, or the answer was not valid',
    ),
  peers: z.array(
    z.strictObject({ node: z.string(), entries: z.int(), at: unixTime, age: seconds }),
  ),
  problems: z.array(z.string()),
})

type Status = z.infer<typeof schema>

const timeoutMs = 15_000

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { output, now } = session
  const url = readKmsUrl(session, args.kmsUrl)
  const options = { url, timeoutMs }
  output.progress('asking the node')
  const meta = await readNodeMeta(options)
  // one after the other: a node limits the connections of one address
  const health = await readPublicPage(options, '/health')
  const metricsPage = await readPublicPage(options, '/metrics')
  const log = await readLog(options, meta)
  const metrics = readMetrics(metricsPage.text)
  const root = await readRoot(session, meta)
  const block = sampleOf(metrics, 'assent_kms_chain_block_number') ?? 0
  const timestamp = sampleOf(metrics, 'assent_kms_chain_block_timestamp_seconds') ?? 0
  const collateralUntil = sampleOf(metrics, 'assent_kms_collateral_expiry_timestamp_seconds') ?? 0
  const value = {
    url,
    isReady: health.status === 200,
    health: escapeText(health.text.slice(0, 500)),
    isServerOfRoot: meta.isServerOfRoot,
    root,
    gatewayAppId: meta.gatewayAppId,
    chainView: block === 0 ? null : { block, timestamp, age: Math.max(0, now - timestamp) },
    collateralUntil: collateralUntil === 0 ? null : collateralUntil,
    requests: valuesBy(metrics, 'assent_kms_requests_total', 'outcome'),
    log:
      log === undefined
        ? null
        : {
            node: log.identity.node,
            entries: log.head.entries,
            at: log.head.at,
            isWitnessed: flag(sampleOf(metrics, 'assent_kms_log_witnessed')),
            isHalted: flag(sampleOf(metrics, 'assent_kms_log_halted')),
          },
    peers: (log?.seen ?? []).map(({ node, head }) => ({
      node,
      entries: head.entries,
      at: head.at,
      age: Math.max(0, now - head.at),
    })),
  }
  const problems = findProblems(session, meta, value)
  print(session, { ...value, problems })
  return { ...value, problems }
}

/** Exit code 1 if the node cannot release keys, or is not the one that the chain stores. */
export function exitCode({ problems }: Status): ExitCode {
  return problems.length === 0 ? exitCodes.yes : exitCodes.no
}

/** The head of the log, signed for a fresh nonce; undefined if the node has no log. */
async function readLog(options: KmsClientOptions, { k256PublicKey }: NodeMeta) {
  const nonce = randomBytes(16).toString('hex')
  const page = await readPublicPage(options, `/log/head?nonce=${nonce}`)
  if (page.status !== 200) return undefined
  try {
    return readAnswer(page.text, nonce, k256PublicKey)
  } catch (error) {
    if (isAssentError(error, 'KMS_LOG_PEER_INVALID')) return undefined
    if (isAssentError(error, 'KMS_ANSWER_INVALID')) return undefined
    throw error
  }
}

/** The state of the node's root keys on the chain. */
async function readRoot(
  { publicClient, addresses, now }: Session,
  { caPublicKey, k256PublicKey }: NodeMeta,
): Promise<Omit<Status['root'], 'approval'> & { readonly approval: State | null }> {
  const id = rootKeyId({ caPublicKey, k256PublicKey })
  const isRecorded = await isInKmsInfo(publicClient, addresses.kmsAuth, {
    caPublicKey,
    k256PublicKey,
  })
  const keys = { id, k256PublicKey: to0x(k256PublicKey), isRecorded }
  const { rootKeys } = addresses
  if (rootKeys === undefined) return { ...keys, approval: null, epoch: null }
  const approval = await readApproval(publicClient, rootKeys, 'rootKey', id)
  const { epoch } = await readProof(publicClient, rootKeys, id)
  return { ...keys, approval: stateAt(approval, now), epoch }
}

async function isInKmsInfo(
  client: PublicClient,
  kmsAuth: Address,
  { caPublicKey, k256PublicKey }: RootKeyPair,
): Promise<boolean> {
  const call = { address: kmsAuth, abi: kmsAuthAbi, functionName: 'kmsInfo' } as const
  const [k256, ca] = await client.readContract(call).catch((cause: unknown) => {
    throw toChainError(cause, 'read the root keys of the KMS')
  })
  return k256 === to0x(k256PublicKey) && ca === to0x(caPublicKey)
}

function flag(value: number | undefined): boolean | null {
  return value === undefined ? null : value === 1
}

function findProblems(
  { addresses, chainId }: Session,
  meta: NodeMeta,
  { isReady, health, isServerOfRoot, root, log }: Omit<Status, 'problems'>,
): string[] {
  const { kmsContract } = meta
  const isOther =
    kmsContract !== null && kmsContract.toLowerCase() !== addresses.kmsAuth.toLowerCase()
  return [
    isReady ? [] : [`It cannot release keys: ${health}`],
    isServerOfRoot ? [] : ['The server has no certificate of the root CA that it names.'],
    isRootKnown(root) ? [] : [`The chain does not know its root keys: ${approvalOf(root)}.`],
    isOther ? [`It asks the contract ${escapeText(kmsContract.slice(0, 64))}.`] : [],
    meta.chainId !== null && meta.chainId !== chainId ? [`It is on chain ${meta.chainId}.`] : [],
    log?.isHalted ? ['Its release log is halted.'] : [],
  ].flat()
}

/** Recorded keys count while the registry of root keys has decided nothing about them. */
function isRootKnown({ approval, isRecorded }: Status['root']): boolean {
  return approval === 'active' || (isRecorded && (approval === null || approval === 'none'))
}

function approvalOf({ approval }: Status['root']): string {
  if (approval === null) return 'no registry of root keys'
  return approval === 'none' ? 'not approved in RootKeys' : approval
}

function print({ output, now }: Session, value: Status): void {
  const { url, isReady, health, root, chainView, log, peers, problems } = value
  output.heading(`KMS node ${new URL(url).host}: ${isReady ? pc.green('ready') : pc.red(health)}`)
  const epoch = root.epoch ? `, epoch ${root.epoch}` : ''
  output.line(
    `  root keys   ${root.id}, ${approvalOf(root)}${epoch}${root.isRecorded ? ', recorded in KmsAuth' : ''}`,
  )
  output.line(
    chainView === null
      ? '  chain view  it has decided nothing yet'
      : `  chain view  block ${chainView.block}, ${chainView.age} s old`,
  )
  if (value.collateralUntil !== null) {
    output.line(`  collateral  until ${formatDeadline(value.collateralUntil, now)}`)
  }
  const requests = Object.entries(value.requests).map(([name, count]) => `${count} ${name}`)
  output.line(`  requests    ${requests.length === 0 ? 'none' : requests.join(', ')}`)
  output.line(
    log === null
      ? '  log         none'
      : `  log         ${log.node}, ${log.entries} entries${log.isWitnessed === false ? ', not witnessed' : ''}`,
  )
  for (const peer of peers) {
    output.line(`  peer        ${peer.node}, ${peer.entries} entries ${peer.age} s ago`)
  }
  for (const problem of problems) output.warning(problem)
}
