/** Decides about one boot at one chain snapshot, from proven state and the rules of the contracts. */
import { type Hex, requireLength, to0x } from '../../lib/bytes.ts'
import {
  type BootDecision,
  type BootQuestion,
  type EvaluatedBoot,
  type KeyEpochs,
  toTuple,
} from '../boot/boot.ts'
import type { ChainEvidence } from '../boot/evidence.ts'
import { appDenialReason, epochsOf, kmsDenialReason, reasons } from './boot-rules.ts'
import { type BootIds, gatherApp, gatherKms } from './read-boot-facts.ts'
import {
  type BlockView,
  type BootEvaluation,
  type ChainSnapshot,
  clientOf,
  dropHead,
  pinnedDeploymentOf,
  requireRecent,
  toDecisionBlock,
  type ViewContext,
} from './view-context.ts'

/** Number of contracts that are read for each new block in advance, because most decisions need them. */
const sharedAddresses = 32

/**
 * Decides about one boot at one snapshot.
 *
 * The boot must be allowed at the final block's time and now, and no newest block may show a withdrawal. Only a foreign
 * app is executed by the endpoints; everything else follows from proven storage.
 *
 * @throws CHAIN_STALE, CHAIN_FROM_FUTURE, CHAIN_PROOF_*, CHAIN_UNREACHABLE and other outages
 */
export async function decide(
  snapshot: ChainSnapshot,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: ViewContext,
): Promise<BootDecision> {
  const { header } = snapshot.final.state
  requireRecent(header, options)
  const [evaluation, withdrawn] = await Promise.all([
    evaluate(snapshot.final, { question, boot }, options),
    findWithdrawal(snapshot, question, boot, options),
  ])
  const { gatewayAppId } = evaluation
  const seen = { gatewayAppId, block: toDecisionBlock(header), evidence: evaluation.evidence() }
  const now = options.clock()

  // an approval must be active at the block's time and now
  const reason =
    evaluation.denialReason(boot.tcbStatus, header.timestamp) ??
    evaluation.denialReason(boot.tcbStatus, now)
  if (reason !== undefined) {
    const refusedBy = reason === 'appForeign' ? 'foreign-app' : 'contract-rules'
    return { ...seen, allowed: false, refusedBy, reason: reasons[reason] }
  }
  if (withdrawn !== undefined) return withdrawn
  if (evaluation.isForeign) {
    // calls of contracts need viem, which other decisions do not
    const { executeForeign } = await import('./foreign-app.ts')
    return executeForeign(snapshot, boot, seen, options)
  }
  const epochs = grantedEpochs(evaluation, header.timestamp, now)
  return { ...seen, allowed: true, reason: '', ...(epochs ? { epochs } : {}) }
}

/** Cache key of a decision: everything that the answer depends on. */
function nameOf(block: number, question: BootQuestion, ids: BootIds): string {
  const { appId, composeHash, deviceId, mrAggregated, mrSystem, osImageHash } = ids
  const subject = question === 'isAppAllowed' ? [appId, composeHash, mrSystem] : [mrAggregated]
  return [block, question, ...subject, deviceId, osImageHash, ids.requiredMrSystem].join()
}

/** Estimated size of a cached decision before its evidence is built. */
const decisionBytes = 8192

/** A boot and what is asked about it. */
interface Asked {
  readonly question: BootQuestion
  readonly boot: EvaluatedBoot
}

function evaluate(
  view: BlockView,
  { question, boot }: Asked,
  options: ViewContext,
): Promise<BootEvaluation> {
  const { decisions } = options
  const ids = idsOf(boot)
  const name = nameOf(view.id, question, ids)
  const known = decisions.get(name)
  if (known !== undefined) return known
  const evaluating = evaluateBoot(view, { question, boot }, options, (evidence) => {
    if (decisions.get(name) === evaluating) decisions.set(name, evaluating, sizeOf(evidence))
  })
  decisions.set(name, evaluating, decisionBytes)
  // an outage must not be cached for the block
  evaluating.catch(() => {
    if (decisions.get(name) === evaluating) decisions.delete(name)
  })
  return evaluating
}

/** Size of all trie nodes in it as text, in bytes. */
function sizeOf({ paths, header }: ChainEvidence): number {
  let size = decisionBytes + header.length
  for (const path of paths) for (const [hash, node] of path) size += hash.length + node.length
  return size
}

async function evaluateBoot(
  { state, agreement, signatures, rollup }: BlockView,
  { question, boot }: Asked,
  options: ViewContext,
  made: (evidence: ChainEvidence) => void,
): Promise<BootEvaluation> {
  const ids = idsOf(boot)
  const reading = state.read({ client: clientOf(boot) })
  const deployment = pinnedDeploymentOf(options)
  let known: ChainEvidence | undefined
  const evidence = (): ChainEvidence => {
    if (known !== undefined) return known
    known = {
      chainId: options.chainId,
      kmsContract: options.kms,
      header: state.header.rlp,
      blockHash: state.header.hash,
      agreement,
      paths: reading.paths(),
      ...(signatures ? { signatures } : {}),
      ...(rollup ? { rollup } : {}),
    }
    made(known)
    return known
  }
  if (question === 'isKmsAllowed') {
    const { facts, gatewayAppId } = await gatherKms(reading, deployment, ids)
    const denialReason = (tcbStatus: string, at: number) => kmsDenialReason(facts, tcbStatus, at)
    return { denialReason, epochs: () => undefined, isForeign: false, gatewayAppId, evidence }
  }
  const { facts, gatewayAppId } = await gatherApp(reading, deployment, ids)
  rememberShared(options.shared, reading.addresses(), ids.appId)
  return {
    denialReason: (tcbStatus, at) => appDenialReason(facts, tcbStatus, at, options.foreignApps),
    epochs: (at) => epochsOf(facts, at),
    isForeign: facts.contract === 'foreign',
    gatewayAppId,
    evidence,
  }
}

function rememberShared(shared: Set<Hex>, addresses: readonly Hex[], app: Hex): void {
  for (const address of addresses) {
    if (address === app) continue
    shared.delete(address)
    shared.add(address)
  }
  for (const oldest of shared) {
    if (shared.size <= sharedAddresses) break
    shared.delete(oldest)
  }
}

/**
 * Withdrawal check: a denial from the newest block of any endpoint. A block that its endpoints fail to prove denies nothing.
 *
 * @throws CHAIN_NODE_OVERLOADED, CHAIN_RATE_LIMITED if a block was not read for the number of requests
 */
async function findWithdrawal(
  snapshot: ChainSnapshot,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: ViewContext,
): Promise<BootDecision | undefined> {
  const read = await Promise.allSettled(
    [...snapshot.heads].map((head) =>
      deniedAt(head, question, boot, options).catch((error) => {
        // another boot found its endpoints faulty while this one waited
        if (snapshot.heads.has(head)) dropHead(snapshot, head, error, options)
      }),
    ),
  )
  const found = read.flatMap((each) => (each.status === 'fulfilled' && each.value) || [])
  if (found[0] !== undefined) return found[0]
  for (const each of read) if (each.status === 'rejected') throw each.reason
  return undefined
}

async function deniedAt(
  head: BlockView,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: ViewContext,
): Promise<BootDecision | undefined> {
  const { header } = head.state
  const evaluation = await evaluate(head, { question, boot }, options)
  const reason = evaluation.denialReason(
    boot.tcbStatus,
    Math.max(header.timestamp, options.clock()),
  )
  if (reason === undefined) return undefined
  return {
    allowed: false,
    refusedBy: 'unconfirmed-withdrawal',
    reason: reasons[reason],
    gatewayAppId: evaluation.gatewayAppId,
    block: toDecisionBlock(header),
    evidence: evaluation.evidence(),
  }
}

/** The key epochs that are granted at the block's time and now. */
function grantedEpochs(
  evaluation: BootEvaluation,
  block: number,
  now: number,
): KeyEpochs | undefined {
  const [then, today] = [evaluation.epochs(block), evaluation.epochs(now)]
  if (then === undefined || today === undefined) return undefined
  return { write: then.write, read: Math.max(then.read, today.read) }
}

function idsOf(boot: EvaluatedBoot): BootIds {
  const { requiredMrSystem } = boot
  if (requiredMrSystem === undefined) return toTuple(boot)
  requireLength(requiredMrSystem, 'requiredMrSystem', 32)
  return { ...toTuple(boot), requiredMrSystem: to0x(requiredMrSystem) }
}
