/** Generates the text of a proposal from its calls, so that text and calls agree. */
import type { Address } from 'viem'

import { escapeLines, escapeMarkdown, escapeText } from '../../lib/printable.ts'
import type { Call } from '../call.ts'
import { type AddressBook, type CallDescription, describeCall, nameOf } from './describe-call.ts'
import type { RepeatedTerms } from './find-repeats.ts'

/** Input for the text of a proposal. */
export interface DescriptionOptions {
  /** Names and contract types of the addresses in the calls. */
  readonly book: AddressBook
  /** Account that proposes; part of OpenZeppelin's front-running protection. */
  readonly proposer: Address
  /** First line; default: the first effect. */
  readonly title?: string
  /** The proposer's reason: plain text, which becomes a Markdown quotation. */
  readonly reason?: string
  /** Approvals among the calls that change nothing now; they are named after the list of changes. */
  readonly repeats?: readonly Pick<RepeatedTerms, 'sentence'>[]
}

/**
 * The text of a proposal as Markdown: title, reason, effects of each call, and the proposer's mark. Text inside the calls
 * cannot add lines, links or HTML.
 */
export function describeProposal(calls: readonly Call[], options: DescriptionOptions): string {
  const { book, proposer, reason, repeats = [] } = options
  const descriptions = calls.map((call) => describeCall(book, call))
  const { first, more } = summarize(descriptions)
  const title =
    options.title ?? `${escapeMarkdown(headline(first))}${more > 0 ? ` and ${more} more` : ''}`
  return [
    `# ${escapeText(title.replaceAll('\n', ' '))}`,
    ...(reason === undefined ? [] : [quotation(reason)]),
    '## What it changes',
    listChanges(descriptions, book),
    ...(repeats.length === 0 ? [] : [listRepeats(repeats)]),
    'Assent generated this list from the calls of this proposal. Compare it with the output of your own tools.',
    // OpenZeppelin's suffix: no other account can create, and then cancel, the same proposal
    `#proposer=${proposer.toLowerCase()}`,
  ].join('\n\n')
}

function listRepeats(repeats: readonly Pick<RepeatedTerms, 'sentence'>[]): string {
  const lines = repeats.map(({ sentence }) => `- ${escapeMarkdown(sentence)}`)
  return `When this text was made, these approvals changed nothing:\n\n${lines.join('\n')}`
}

/** The effects of each call as a Markdown list, as a generated text has it. */
export function listChanges(descriptions: readonly CallDescription[], book: AddressBook): string {
  return descriptions
    .map(
      ({ to, effects, irreversible }, i) =>
        `${i + 1}. ${nameOf(book, to)}\n${effects.map((each) => `   - ${escapeMarkdown(each)}`).join('\n')}${irreversible ? `\n   - cannot be undone: ${irreversible}` : ''}`,
    )
    .join('\n')
}

/** The first effect of the calls, and the number of further calls. `requireNotAfter` does not count. */
export function summarize(descriptions: readonly CallDescription[]): {
  first: string
  more: number
} {
  const calls = descriptions.filter(({ functionName }) => functionName !== 'requireNotAfter')
  const shown = calls.length > 0 ? calls : descriptions
  return { first: shown[0]?.effects[0] ?? 'do nothing', more: Math.max(0, shown.length - 1) }
}

/** A title of one line: ids are shortened, and long text is cut. */
function headline(first: string): string {
  const text = first.replaceAll(/0x([0-9a-f]{6})[0-9a-f]{52,}([0-9a-f]{4})/gi, '0x$1…$2')
  const short = text.length <= 100 ? text : `${text.slice(0, 100).replace(/[ ,]*[^ ]*$/, '')} …`
  return `${short.slice(0, 1).toUpperCase()}${short.slice(1)}`
}

/** A Markdown quotation, so that a reason cannot look like the list of changes. */
function quotation(text: string): string {
  return escapeLines(text.trim())
    .split('\n')
    .map((line) => `> ${line}`.trimEnd())
    .join('\n')
}
