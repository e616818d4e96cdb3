/** Warnings of a review: what a voter must not overlook. Each has a stable code. */

import type { Call } from '../chain/call.ts'
import type { AddressBook, CallDescription } from '../chain/governance/describe-call.ts'
import { nameOf, withoutDeadline } from '../chain/governance/describe-call.ts'
import type { RepeatedTerms } from '../chain/governance/find-repeats.ts'
import { formatTime } from '../chain/governance/format-time.ts'
import type { TracedCall } from '../chain/simulate/local-chain.ts'
import type { ProposalSimulation } from '../chain/simulate/simulate-proposal.ts'
import type { Hex } from '../lib/bytes.ts'
import type { ApprovalReview } from './approval-review.ts'
import { hasForeignList, hiddenCharacters, lookAlikeWords, unrelatedIds } from './text-warnings.ts'

/** Every warning, and what it means. */
export const warningCodes = {
  REVERTS: 'the execution fails, so the proposal has no effect',
  UNKNOWN_TARGET: 'a call goes to a contract that is not part of the deployment',
  UNKNOWN_FUNCTION: 'a call has calldata that Assent cannot describe',
  VALUE: 'a call sends ether of the DAO',
  ROLE: 'a role of a timelock is granted or revoked',
  OWNER: 'a contract is offered to, or taken over by, another owner',
  GUARDIAN: 'the guardian changes',
  UPGRADE: 'the code of a contract is replaced',
  NEW_CODE: 'an account gets code for the first time',
  DELEGATE_CALL: 'a contract runs code that is not its own recorded code',
  RULES_OF_THE_DAO: 'a parameter of voting or of the timelock changes',
  IRREVERSIBLE: 'a change cannot be undone',
  MANY_CALLS: 'the proposal has so many calls that one can be overlooked',
  DEADLINE_SHORT: 'a call can be executed only for a short time after the timelock',
  CHANGES_NOTHING: 'an approval is given by the same terms already',
  NO_EVIDENCE: 'a release or image is approved without evidence',
  TEXT_HIDDEN: 'the text has characters that are not shown or that reorder it',
  TEXT_LOOK_ALIKE: 'the text has words with letters that look like others',
  TEXT_OTHER_ID: 'the text names an address or id that is in none of the calls',
  TEXT_OTHER_CALLS: 'the text has a list of changes that does not match the calls',
} as const satisfies Record<string, string>

/** Stable name of a warning, for scripts and documents. */
export type WarningCode = keyof typeof warningCodes

/** Something that a voter should know before the vote. */
export interface Warning {
  readonly code: WarningCode
  /** One sentence with the facts of this proposal. */
  readonly message: string
}

/** The parts of a review in which warnings are searched. */
export interface WarningInput {
  readonly calls: readonly Call[]
  /** Descriptions of `calls`, in the same order. */
  readonly descriptions: readonly CallDescription[]
  readonly book: AddressBook
  /** The execution on a local copy. */
  readonly simulation: ProposalSimulation
  readonly approvals: readonly ApprovalReview[]
  /** Approvals that change nothing, in the order of the calls. */
  readonly repeats: readonly RepeatedTerms[]
  /** The text of the proposal; undefined for a draft. */
  readonly text: string | undefined
  /** The list of changes that the calls give, as in a generated text. */
  readonly generatedList: string
}

const maxCalls = 10
/** Seconds. */
const shortWindow = 86_400

/**
 * Finds everything in a proposal that a voter should know: powers that it takes, texts that mislead, calls that fail,
 * deadlines that are short. The same input gives the same warnings in the same order.
 */
export function findWarnings(input: WarningInput): Warning[] {
  const found = [
    ...callWarnings(input),
    ...executionWarnings(input),
    ...eventWarnings(input),
    ...textWarnings(input),
  ]
  // the order of the table, and within a code the order of the calls
  const order = Object.keys(warningCodes)
  return found.sort((a, b) => order.indexOf(a.code) - order.indexOf(b.code))
}

function callWarnings({ calls, descriptions, book, approvals, repeats }: WarningInput): Warning[] {
  const warnings: Warning[] = []
  for (const [index, { to, data, value = 0n }] of calls.entries()) {
    const { contract, functionName, irreversible } = descriptions[index] as CallDescription
    const call = `Call ${index + 1}`
    if (contract === undefined) {
      warnings.push({ code: 'UNKNOWN_TARGET', message: `${call} goes to ${to}.` })
    } else if (functionName === undefined && data !== '0x') {
      const message = `${call} calls ${nameOf(book, to)} with ${data.slice(0, 10)}.`
      warnings.push({ code: 'UNKNOWN_FUNCTION', message })
    }
    if (value > 0n) {
      warnings.push({
        code: 'VALUE',
        message: `${call} sends ${value} wei to ${nameOf(book, to)}.`,
      })
    }
    if (irreversible !== undefined && functionName !== undefined) {
      warnings.push({ code: 'IRREVERSIBLE', message: `${call}: ${irreversible}` })
    }
  }
  if (calls.length > maxCalls) {
    const message = `The proposal has ${calls.length} calls.`
    warnings.push({ code: 'MANY_CALLS', message })
  }
  for (const { call, sentence } of repeats) {
    warnings.push({ code: 'CHANGES_NOTHING', message: `Call ${call + 1}: ${sentence}.` })
  }
  for (const { kind, id, evidence, release } of approvals) {
    if (kind !== 'release' && kind !== 'osImage') continue
    if (evidence !== undefined || release !== undefined) continue
    const what = kind === 'release' ? 'Release' : 'Image'
    warnings.push({ code: 'NO_EVIDENCE', message: `${what} ${id} is approved without evidence.` })
  }
  return warnings
}

function executionWarnings({ calls, book, simulation }: WarningInput): Warning[] {
  const warnings: Warning[] = []
  const { failure, executedAt } = simulation
  if (failure !== undefined) {
    const where =
      failure.call === undefined ? `in the step ${failure.step}` : `in call ${failure.call}`
    const values = failure.values.length === 0 ? '' : ` (${failure.values.join(', ')})`
    warnings.push({ code: 'REVERTS', message: `It fails ${where}: ${failure.error}${values}.` })
  }
  for (const [index, call] of calls.entries()) {
    const { notAfter } = withoutDeadline(book, call)
    if (notAfter === undefined || notAfter - executedAt >= shortWindow) continue
    const message = `Call ${index + 1} can be executed from ${formatTime(executedAt)} until ${formatTime(notAfter)} only.`
    warnings.push({ code: 'DEADLINE_SHORT', message })
  }
  for (const { from, to, code, depth } of foreignDelegateCalls(
    simulation.calls,
    book,
    simulation,
  )) {
    const message = `${nameOf(book, to as Hex)} runs the code of ${code} (called by ${nameOf(book, from)}, depth ${depth}).`
    warnings.push({ code: 'DELEGATE_CALL', message })
  }
  for (const { address, code } of simulation.accounts) {
    if (code?.before !== 'none') continue
    warnings.push({ code: 'NEW_CODE', message: `${address} gets code ${code.after}.` })
  }
  return warnings
}

/** Delegate calls to code that is neither recorded, nor new code of an upgrade in this proposal. */
function foreignDelegateCalls(
  calls: readonly TracedCall[],
  book: AddressBook,
  { events }: ProposalSimulation,
): TracedCall[] {
  const upgraded = new Set(
    events
      .filter(({ name }) => name === 'Upgraded')
      .map(({ args }) => String(args[0]?.value).toLowerCase()),
  )
  const seen = new Set<string>()
  return calls.filter(({ to, code }) => {
    if (to === undefined || code === undefined || to === code) return false
    if (book.names.has(code) || upgraded.has(code)) return false
    const key = `${to}_${code}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/** Warning codes of events that change who controls a contract, or its code. */
const controlEvents: Readonly<Record<string, WarningCode>> = {
  RoleGranted: 'ROLE',
  RoleRevoked: 'ROLE',
  RoleAdminChanged: 'ROLE',
  OwnershipTransferStarted: 'OWNER',
  OwnershipTransferred: 'OWNER',
  TransferredToNewDao: 'OWNER',
  GuardianSet: 'GUARDIAN',
  ProposalGuardianSet: 'GUARDIAN',
  Upgraded: 'UPGRADE',
  UpgradesDisabled: 'UPGRADE',
  UpgradesRenounced: 'UPGRADE',
  TimelockChange: 'RULES_OF_THE_DAO',
  MinDelayChange: 'RULES_OF_THE_DAO',
  VotingDelaySet: 'RULES_OF_THE_DAO',
  VotingPeriodSet: 'RULES_OF_THE_DAO',
  ProposalThresholdSet: 'RULES_OF_THE_DAO',
  QuorumNumeratorUpdated: 'RULES_OF_THE_DAO',
  LateQuorumVoteExtensionSet: 'RULES_OF_THE_DAO',
}

function eventWarnings({ simulation, book }: WarningInput): Warning[] {
  return simulation.events.flatMap(({ address, name, args }) => {
    const code = name === undefined ? undefined : controlEvents[name]
    if (code === undefined) return []
    const values = args.map((arg) => `${arg.name} ${valueText(arg.value, book)}`).join(', ')
    return [{ code, message: `${nameOf(book, address)}: ${name} (${values}).` }]
  })
}

function valueText(value: unknown, book: AddressBook): string {
  const text = String(value)
  return /^0x[0-9a-fA-F]{40}$/.test(text) ? nameOf(book, text as Hex) : text
}

function textWarnings({ text, calls, book, generatedList, approvals }: WarningInput): Warning[] {
  if (text === undefined) return []
  const warnings: Warning[] = []
  const hidden = hiddenCharacters(text)
  if (hidden.length > 0) {
    const message = `The text contains ${hidden.join(', ')}.`
    warnings.push({ code: 'TEXT_HIDDEN', message })
  }
  const alike = lookAlikeWords(text)
  if (alike.length > 0) {
    const message = `Words with mixed or styled letters: ${alike.join(', ')}.`
    warnings.push({ code: 'TEXT_LOOK_ALIKE', message })
  }
  const known = [
    ...calls.flatMap(({ to, data }) => [to.toLowerCase(), data.toLowerCase()]),
    ...book.names.keys(),
    ...approvals.map(({ id }) => id),
    // the mark at the end of a generated text
    ...[...text.matchAll(/#proposer=(0x[0-9a-f]{40})\s*$/gi)].map(([, proposer = '']) =>
      proposer.toLowerCase(),
    ),
  ]
  for (const id of unrelatedIds(text, known)) {
    warnings.push({ code: 'TEXT_OTHER_ID', message: `The text names ${id}.` })
  }
  if (hasForeignList(text, generatedList)) {
    const message = 'The list of changes in the text is not the one that the calls give.'
    warnings.push({ code: 'TEXT_OTHER_CALLS', message })
  }
  return warnings
}
