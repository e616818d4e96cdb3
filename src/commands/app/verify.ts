/**
 * `assent app verify`: follows the chain of trust of a running app. Reads a server (TLS handshake) or a file, a PCCS, the
 * registries and their events; sends nothing. Exit code 1 if a step fails, 3 if not every step was checked.
 */
import { access } from 'node:fs/promises'
import { type Address, formatUnits, getAddress } from 'viem'
import { z } from 'zod'
import type { ApprovalRef } from '../../audit/deciding-vote.ts'
import { checkEvidence, type EvidenceAnswer } from '../../audit/evidence-steps.ts'
import { type ApprovalDecision, findDecision } from '../../audit/find-decision.ts'
import type { ProvenApp } from '../../audit/prove-app.ts'
import { step, type TrustStep } from '../../audit/trust-step.ts'
import { appKey, stateAt } from '../../chain/approval.ts'
import { findManifest } from '../../chain/registries/published-manifest.ts'
import { readApproval } from '../../chain/registries/registry.ts'
import { rootKeyId } from '../../chain/registries/root-keys.ts'
import { explainApp, type KnownBoot } from '../../chain/why/explain-boot.ts'
import { AssentError, isAssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { readBytes as readFileBytes } from '../../lib/files.ts'
import { describeManifest } from '../../manifest/describe-manifest.ts'
import { defaultPolicy } from '../../quote/policy.ts'
import type { verify } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-code.ts'
import { readTime } from '../input/arguments.ts'
import { chainClock } from '../input/chain-clock.ts'
import { openState } from '../input/decided-state.ts'
import { readKmsInfo } from '../input/kms-root.ts'
import { resolveApp } from '../input/names.ts'
import { colors as pc } from '../output/colors.ts'
import { address, bytes32, decimal, unixTime } from '../output/json.ts'
import type { Output } from '../output/output.ts'
import { progressOf } from '../output/output.ts'
import { createCollateralFetcher, readCollateral } from '../quote/collateral-of.ts'
import { readDemands } from '../quote/prove-question.ts'
import { type LocatedEvidence, readEvidenceAt, readServerEvidence } from '../quote/read-evidence.ts'
import type { Session } from '../session/session.ts'

const decisionSchema = z.strictObject({
  kind: z.string(),
  id: bytes32,
  registry: address,
  transaction: bytes32,
  block: decimal,
  at: unixTime,
  sender: address.describe('who sent the transaction; of a vote, who executed it'),
  vote: z
    .strictObject({
      governor: address,
      proposal: decimal,
      proposer: address,
      votes: z.strictObject({ for: decimal, against: decimal, abstain: decimal }),
    })
    .nullable()
    .describe(
      'null: no proposal of the governor, or of a DAO of the factory that owns the registry, gave it',
    ),
  repeats: z
    .array(z.strictObject({ transaction: bytes32, block: decimal, hasEffect: z.boolean() }))
    .describe('later approvals of the same version; hasEffect: it changed times or evidence'),
})

export const schema = z.strictObject({
  app: address.nullable().describe('null: the evidence does not show it'),
  composeHash: bytes32.nullable(),
  deviceId: bytes32.nullable(),
  osImageHash: bytes32.nullable(),
  answer: z.enum(['yes', 'no', 'not-checked']),
  steps: z.array(
    z.strictObject({
      step: z.string(),
      verdict: z.enum(['yes', 'no', 'not-checked']),
      found: z.string(),
      source: z
        .enum(['proof', 'state', 'event', 'claim'])
        .describe('proof: verified here; state, event: as one endpoint shows it; claim: said'),
    }),
  ),
  decisions: z.array(decisionSchema),
  limits: z.array(z.string()).describe('what this command cannot check'),
})

export function exitCode({ answer }: z.infer<typeof schema>): ExitCode {
  if (answer === 'yes') return exitCodes.yes
  return answer === 'no' ? exitCodes.no : exitCodes.unknown
}

type VerifyArguments = ArgumentsOf<typeof verify>

export async function run(args: VerifyArguments, session: Session) {
  const { output } = session
  const subject = await readSubject(args.subject, session)
  const shown =
    subject.evidence === undefined ? undefined : await readShown(args, session, subject.evidence)
  const app = appOf(subject.app, shown?.app)
  const facts = { app, shown }
  const onchain = app === undefined ? noApp() : await checkChain(session, { ...facts, app })
  const steps = [...(shown?.steps ?? [withoutEvidence()]), ...onchain.steps]
  const answer = answerOf(steps)
  printSteps(output, steps)
  for (const limit of limits) output.line(`${pc.dim('–')} ${limit} (not checked by this command)`)
  output.heading(answers[answer])
  const deviceId = shown?.deviceId
  const { composeHash, osImageHash } = shown?.app ?? {}
  return {
    app: app ?? null,
    composeHash: composeHash === undefined ? null : to0x(composeHash),
    deviceId: deviceId === undefined ? null : (`0x${deviceId}` as Hex),
    osImageHash: osImageHash === undefined ? null : to0x(osImageHash),
    answer,
    steps,
    decisions: onchain.decisions.map(decisionToJson),
    limits: [...limits],
  }
}

const limits = [
  'which KMS node gave the keys: assent log list shows it, assent log verify proves it',
  'what the code behind the hashes does: rebuild it from its source',
  'the chain beyond one endpoint: use a node of your own',
]

const answers = {
  yes: pc.green('All steps passed.'),
  no: pc.red('A step FAILED.'),
  'not-checked': pc.yellow('No step fails, but not every step was checked.'),
}

function answerOf(steps: readonly TrustStep[]): 'yes' | 'no' | 'not-checked' {
  if (steps.some(({ verdict }) => verdict === 'no')) return 'no'
  return steps.every(({ verdict }) => verdict === 'yes') ? 'yes' : 'not-checked'
}

function printSteps(output: Output, steps: readonly TrustStep[]): void {
  const marks = { yes: pc.green('✓'), no: pc.red('✗'), 'not-checked': pc.yellow('?') }
  for (const { verdict, found, source } of steps) {
    output.line(`${marks[verdict]} ${found} ${pc.dim(`[${source}]`)}`)
  }
}

/* THE SUBJECT */

interface Subject {
  readonly app?: Address
  readonly evidence?: LocatedEvidence
}

/**
 * An app id or name, a server, a file, or a domain. File names look like domains, so a file goes before a domain.
 *
 * @throws QUOTE_AMBIGUOUS if it is a file and an app
 */
async function readSubject(text: string, session: Session): Promise<Subject> {
  const isName =
    session.profile.names.has(text) || /^(?:0x[0-9a-fA-F]{6,64}|[0-9a-fA-F]{40})$/.test(text)
  const isDomain = /^(?:[A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]*$/.test(text)
  const isFile =
    text === '-' ||
    (await access(text).then(
      () => true,
      () => false,
    ))
  if (isFile && isName) {
    throw new AssentError('QUOTE_AMBIGUOUS', `${text} is a file and the name of an app.`, {
      facts: { subject: text },
      hint: `Write ./${text} for the file.`,
    })
  }
  if (isName) return { app: await resolveApp(session, text) }
  if (isFile || !isDomain) return { evidence: await readEvidenceAt(text) }
  return { evidence: await readServerEvidence({ host: text, port: 443 }) }
}

async function readShown(
  args: VerifyArguments,
  session: Session,
  evidence: LocatedEvidence,
): Promise<EvidenceAnswer> {
  const fetcher = await createCollateralFetcher(args, session.profile.pccs)
  const { expected } = await readDemands(args)
  const clock = await chainClock(session)
  session.output.progress('verifying the quote')
  return checkEvidence({
    evidence,
    expected,
    collateral:
      args.collateral === undefined
        ? await fetcher?.(evidence.quote)
        : await readCollateral(args.collateral),
    root: args.root === undefined ? 'intel' : new Uint8Array(await readFileBytes(args.root)),
    policy: defaultPolicy,
    at: args.at === undefined ? clock() : readTime(args.at, '--at'),
    reportData:
      args.reportData === undefined ? undefined : fromHex(args.reportData, 'report data', 64),
  })
}

function appOf(named: Address | undefined, shown: ProvenApp | undefined): Address | undefined {
  return named ?? (shown === undefined ? undefined : getAddress(to0x(shown.appId)))
}

function withoutEvidence(): TrustStep {
  const found = 'No quote of a running CVM: only the chain is asked. Pass a server or a quote.'
  return step('running', 'not-checked', 'claim', found)
}

/* THE CHAIN */

interface ChainAnswer {
  readonly steps: readonly TrustStep[]
  readonly decisions: readonly ApprovalDecision[]
}

function noApp(): ChainAnswer {
  const found = 'The chain was not asked: the app is not known.'
  return { steps: [step('approvals', 'not-checked', 'state', found)], decisions: [] }
}

interface ChainQuestion {
  readonly app: Address
  readonly shown: EvidenceAnswer | undefined
}

async function checkChain(session: Session, question: ChainQuestion): Promise<ChainAnswer> {
  const boot = bootOf(question)
  const { output } = session
  output.progress('reading the approvals')
  const conditions = await checkConditions(session, boot)
  const keyProvider = await checkKeyProvider(session, question.shown?.app)
  const manifest = await checkManifest(session, boot)
  const decisions: ApprovalDecision[] = []
  const decided: TrustStep[] = []
  for (const { approval, name } of [...approvalsOf(session, boot), ...keyProvider.approved]) {
    const found = await decisionOn(session, approval)
    if (found !== undefined) decisions.push(found)
    decided.push(describeDecision(name, found))
  }
  return { steps: [...conditions, ...manifest, ...keyProvider.steps, ...decided], decisions }
}

function bootOf({ app, shown }: ChainQuestion): KnownBoot & { readonly appId: Hex } {
  const proven = shown?.app
  const { deviceId, tcbStatus } = shown ?? {}
  const mrSystem = proven === undefined ? undefined : to0x(proven.mrSystemAtBoot)
  return {
    appId: app.toLowerCase() as Hex,
    ...(proven === undefined ? {} : { composeHash: to0x(proven.composeHash) }),
    ...(proven?.osImageHash === undefined ? {} : { osImageHash: to0x(proven.osImageHash) }),
    ...(mrSystem === undefined ? {} : { mrSystem }),
    ...(proven?.image === 'claimed' && mrSystem ? { requiredMrSystem: mrSystem } : {}),
    ...(deviceId === undefined ? {} : { deviceId: `0x${deviceId}` as Hex }),
    ...(tcbStatus === undefined ? {} : { tcbStatus }),
  }
}

/** A condition that an earlier one made meaningless (`not-checked`) is no step, so it has no verdict. */
const verdicts = { met: 'yes', unmet: 'no', unknown: 'not-checked' } as const

/** The rules of the KMS, on the state that one endpoint shows. */
async function checkConditions(
  session: Session,
  boot: KnownBoot & { readonly appId: Hex },
): Promise<TrustStep[]> {
  const at = { after: undefined, at: undefined, pinnedCode: undefined, governor: undefined }
  const { reader, deployment, times } = await openState(session, at)
  const { conditions, host } = await explainApp(reader, deployment, boot, times)
  const steps = conditions.flatMap(({ denial, state, found }) =>
    state === 'not-checked' ? [] : [step(denial, verdicts[state], 'state', found)],
  )
  const ofHost = host.map(({ condition, state, found }) =>
    step(condition, verdicts[state], 'state', found),
  )
  return [...steps, ...ofHost]
}

/** The published manifest of the release, which nobody can replace by another one. */
async function checkManifest(
  session: Session,
  { appId, composeHash }: KnownBoot & { readonly appId: Hex },
): Promise<TrustStep[]> {
  if (composeHash === undefined) return []
  const { publicClient, output, deployment } = session
  const from = BigInt(deployment.contracts.kmsAuth?.block ?? 0)
  const progress = progressOf(output, 'searching for the manifest of the release')
  const manifest = await findManifest(publicClient, appId, composeHash, {
    fromBlock: from,
    onProgress: progress,
  })
  if (manifest === undefined) {
    const found = 'The manifest of the release is not published: compare a file with --compose.'
    return [step('manifest', 'not-checked', 'event', found)]
  }
  const { name, services } = describeManifest(manifest)
  const images = services.map(({ name, image }) => `${name} (${image})`).join(', ')
  const found = `The published manifest has this hash: ${name}, services ${images || 'none'}.`
  return [step('manifest', 'yes', 'proof', found)]
}

/** Whether the app got its keys from the KMS whose root key the chain stores. */
async function checkKeyProvider(session: Session, app: ProvenApp | undefined) {
  if (app === undefined) return { steps: [], approved: [] }
  const provider = app.keyProvider
  if (provider?.name !== 'kms') {
    const found = `It measured no KMS as its key provider, but ${provider?.name ?? 'none'}.`
    return { steps: [step('key-provider', 'no', 'proof', found)], approved: [] }
  }
  const info = await readKmsInfo(session).catch((error: unknown) => {
    if (isAssentError(error, 'CONTRACT_MISMATCH')) return undefined
    throw error
  })
  if (info === undefined) {
    const found = 'The chain stores no root keys with which the key provider could be compared.'
    return { steps: [step('key-provider', 'not-checked', 'state', found)], approved: [] }
  }
  if (`0x${provider.id.toLowerCase()}` !== info.caPubkey.toLowerCase()) {
    const found = 'It measured another KMS as its key provider than the chain stores.'
    return { steps: [step('key-provider', 'no', 'state', found)], approved: [] }
  }
  const found = 'It got its keys from the KMS whose root key the chain stores.'
  const same = step('key-provider', 'yes', 'state', found)
  const root = await checkRootKey(session, info)
  return { steps: [same, ...root.steps], approved: root.approved }
}

interface KmsInfo {
  readonly k256Pubkey: Hex
  readonly caPubkey: Hex
}

async function checkRootKey(session: Session, { k256Pubkey, caPubkey }: KmsInfo) {
  const { publicClient, addresses, now } = session
  const { rootKeys } = addresses
  if (rootKeys === undefined) return { steps: [], approved: [] }
  const id = rootKeyId({
    caPublicKey: fromHex(caPubkey, 'root CA key'),
    k256PublicKey: fromHex(k256Pubkey, 'root key'),
  })
  const state = stateAt(await readApproval(publicClient, rootKeys, 'rootKey', id), now)
  const isActive = state === 'active'
  const found = isActive
    ? `The root keys are proven and approved in the registry of root keys: ${id}.`
    : `The registry of root keys does not list these keys as active (${state}): ${id}.`
  const approval = { registry: rootKeys, kind: 'rootKey', id } as const
  // dstack's way to record root keys needs no registry
  const verdict = isActive ? 'yes' : 'not-checked'
  const approved = isActive ? [{ name: 'The root keys', approval }] : []
  return { steps: [step('root-key', verdict, 'state', found)], approved }
}

/* WHO DECIDED */

interface NamedApproval {
  readonly name: string
  readonly approval: ApprovalRef
}

/** The approvals on which the boot rests. */
function approvalsOf({ addresses }: Session, boot: KnownBoot & { readonly appId: Hex }) {
  const { kmsAuth, hosts } = addresses
  const { appId, composeHash, osImageHash, deviceId } = boot
  const found: NamedApproval[] = [
    { name: 'The app', approval: { registry: kmsAuth, kind: 'app', id: appKey(appId) } },
  ]
  if (composeHash !== undefined) {
    found.push({
      name: 'The release',
      approval: { registry: appId, kind: 'release', id: composeHash },
    })
  }
  if (osImageHash !== undefined) {
    found.push({
      name: 'The base image',
      approval: { registry: kmsAuth, kind: 'osImage', id: osImageHash },
    })
  }
  if (hosts !== undefined && deviceId !== undefined) {
    found.push({ name: 'The host', approval: { registry: hosts, kind: 'host', id: deviceId } })
  }
  return found
}

function decisionOn(
  { publicClient, deployment, addresses, output }: Session,
  approval: ApprovalRef,
): Promise<ApprovalDecision | undefined> {
  const recorded = Object.values(deployment.contracts)
  const registry = recorded.find(({ address }) => address === approval.registry.toLowerCase())
  // no app is older than its KmsAuth
  const block = registry?.block ?? deployment.contracts.kmsAuth?.block ?? 0
  const progress = progressOf(output, `searching for the approval of the ${approval.kind}`)
  const { governor, timelock, daoFactory } = addresses
  const factoryBlock = BigInt(deployment.contracts.daoFactory?.block ?? 0)
  const factory =
    daoFactory === undefined ? undefined : { address: daoFactory, block: factoryBlock }
  const known = { governor, timelock, daoFactory: factory }
  return findDecision(publicClient, approval, BigInt(block), known, progress)
}

function describeDecision(name: string, decision: ApprovalDecision | undefined): TrustStep {
  if (decision === undefined) {
    return step('decision', 'not-checked', 'event', `${name}: no event of its approval was found.`)
  }
  const { transaction, block, sender, vote } = decision
  const place = `in transaction ${transaction}, block ${block}`
  const repeated = describeRepeats(decision)
  if (vote === undefined) {
    const found = `${name} was approved by a call of ${sender} ${place}; no vote of a known DAO is shown for it.${repeated}`
    return step('decision', 'yes', 'event', found)
  }
  const { governor, proposal, proposer, votes } = vote
  const counted = `${formatUnits(votes.for, 18)} for, ${formatUnits(votes.against, 18)} against`
  const found = `${name} was approved by proposal ${proposal} of ${proposer} at the governor ${governor} (${counted}), executed by ${sender} ${place}.${repeated}`
  return step('decision', 'yes', 'event', found)
}

/** Later approvals of the same version: the last one that changed something, and how many changed nothing. */
function describeRepeats({ repeats }: ApprovalDecision): string {
  const last = repeats.findLast(({ hasEffect }) => hasEffect)
  const changed =
    last === undefined
      ? ''
      : ` Transaction ${last.transaction}, block ${last.block}, approved it again with other times or other evidence.`
  const count = repeats.filter(({ hasEffect }) => !hasEffect).length
  if (count === 0) return changed
  const times = count === 1 ? 'A later approval' : `${count} later approvals`
  return `${changed} ${times} of the same changed nothing.`
}

function decisionToJson({ vote, block, repeats, ...decision }: ApprovalDecision) {
  return {
    ...decision,
    block: block.toString(),
    repeats: repeats.map((each) => ({ ...each, block: each.block.toString() })),
    vote:
      vote === undefined
        ? null
        : {
            ...vote,
            proposal: vote.proposal.toString(),
            votes: {
              for: vote.votes.for.toString(),
              against: vote.votes.against.toString(),
              abstain: vote.votes.abstain.toString(),
            },
          },
  }
}
