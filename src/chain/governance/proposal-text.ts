/** The text of a proposal, made from its calls, so that it cannot say something else than they do. */
import type { Address } from 'viem'

import type { Call } from '../call.ts'
import { type AddressBook, type CallDescription, describeCall, nameOf } from './describe-call.ts'

export interface DescriptionOptions {
  readonly book: AddressBook
  readonly proposer: Address
  readonly title?: string
  /** The proposer's reason, in his own words. */
  readonly why?: string
}

export function describeProposal(calls: readonly Call[], options: DescriptionOptions): string {
  const { book, proposer, why } = options
  const told = calls.map((call) => describeCall(book, call))
  const { first, more } = inShort(told)
  const title = options.title ?? `${headline(first)}${more > 0 ? ` and ${more} more` : ''}`
  const changes = told.map(
    ({ to, effects: says, irreversible: final }, i) =>
      `${i + 1}. ${nameOf(book, to)}\n${says.map((each) => `   - ${each}`).join('\n')}${final ? `\n   - cannot be undone: ${final}` : ''}`,
  )
  return [
    `# ${title.replaceAll('\n', ' ')}`,
    ...(why === undefined ? [] : [why.trim()]),
    '## What it changes',
    changes.join('\n'),
    'Read from the calls of this proposal by Assent; compare with what your own tools read.',
    // OpenZeppelin's mark: nobody else can propose, and then cancel, the same in the proposer's place
    `#proposer=${proposer.toLowerCase()}`,
  ].join('\n\n')
}

/** The first thing that calls do, and how many calls do more; until when they may be made is none. */
export function inShort(told: readonly CallDescription[]): { first: string; more: number } {
  const deeds = told.filter(({ functionName }) => functionName !== 'requireNotAfter')
  const shown = deeds.length > 0 ? deeds : told
  return { first: shown[0]?.effects[0] ?? 'do nothing', more: Math.max(0, shown.length - 1) }
}

/** What fits into one line of a list; the whole stands below it, ids in full. */
function headline(first: string): string {
  const text = first.replaceAll(/0x([0-9a-f]{6})[0-9a-f]{52,}([0-9a-f]{4})/gi, '0x$1…$2')
  const short = text.length <= 100 ? text : `${text.slice(0, 100).replace(/[ ,]*[^ ]*$/, '')} …`
  return `${short.slice(0, 1).toUpperCase()}${short.slice(1)}`
}
