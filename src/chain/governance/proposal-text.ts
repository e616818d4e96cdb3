/** The text of a proposal, made from its calls, so that it cannot say something else than they do. */
import type { Address } from 'viem'

import type { Call } from '../call.ts'
import { type AddressBook, type CallDescription, describeCall, nameOf } from './describe-call.ts'

export interface DescriptionOptions {
  readonly book: AddressBook
  readonly proposer: Address
  readonly title?: string
  /** The proposer's reason, in his own words. */
  readonly reason?: string
}

export function describeProposal(calls: readonly Call[], options: DescriptionOptions): string {
  const { book, proposer, reason } = options
  const descriptions = calls.map((call) => describeCall(book, call))
  const { first, more } = summarize(descriptions)
  const title = options.title ?? `${headline(first)}${more > 0 ? ` and ${more} more` : ''}`
  const changes = descriptions.map(
    ({ to, effects, irreversible }, i) =>
      `${i + 1}. ${nameOf(book, to)}\n${effects.map((each) => `   - ${each}`).join('\n')}${irreversible ? `\n   - cannot be undone: ${irreversible}` : ''}`,
  )
  return [
    `# ${title.replaceAll('\n', ' ')}`,
    ...(reason === undefined ? [] : [reason.trim()]),
    '## What it changes',
    changes.join('\n'),
    'Assent generated this list from the calls of this proposal. Compare it with the output of your own tools.',
    // OpenZeppelin's mark: nobody else can propose, and then cancel, the same in the proposer's place
    `#proposer=${proposer.toLowerCase()}`,
  ].join('\n\n')
}

/** The first thing that calls do, and how many calls do more; until when they may be made is none. */
export function summarize(descriptions: readonly CallDescription[]): {
  first: string
  more: number
} {
  const calls = descriptions.filter(({ functionName }) => functionName !== 'requireNotAfter')
  const shown = calls.length > 0 ? calls : descriptions
  return { first: shown[0]?.effects[0] ?? 'do nothing', more: Math.max(0, shown.length - 1) }
}

/** What fits into one line of a list; the whole stands below it, ids in full. */
function headline(first: string): string {
  const text = first.replaceAll(/0x([0-9a-f]{6})[0-9a-f]{52,}([0-9a-f]{4})/gi, '0x$1…$2')
  const short = text.length <= 100 ? text : `${text.slice(0, 100).replace(/[ ,]*[^ ]*$/, '')} …`
  return `${short.slice(0, 1).toUpperCase()}${short.slice(1)}`
}
