/** Says in words what a person signs, from exactly the typed data that the wallet gets. */
import { z } from 'zod'

import { supports } from '../../../chain/governance/governance.ts'

const statement = z.object({
  primaryType: z.string(),
  message: z.record(z.string(), z.unknown()),
})

/**
 * A sentence for the statements of Assent, and one line for each field.
 *
 * @param typedData JSON (EIP-712)
 * @example describeStatement(ballot) // ['vote "for" on proposal 582…', 'proposalId: 582…', 'support: 1', …]
 */
export function describeStatement(typedData: string): string[] {
  const { primaryType, message } = statement.parse(JSON.parse(typedData))
  const sentence = sentences[primaryType]?.(message) ?? `sign the statement ${primaryType}`
  return [sentence, ...Object.entries(message).map(([name, value]) => `${name}: ${textOf(value)}`)]
}

type Message = z.output<typeof statement>['message']

const sentences: Readonly<Record<string, (message: Message) => string>> = {
  Ballot: ({ support, proposalId }) => `vote "${choiceOf(support)}" on proposal ${proposalId}`,
  HostRegistration: ({ quoteHash, deadline }) =>
    `register the host with the quote ${quoteHash}, until ${timeOf(deadline)}`,
  HostContinuity: ({ from, to, deadline }) =>
    `the host ${from} has the device id ${to} now; the statement is valid until ${timeOf(deadline)}`,
}

function choiceOf(support: unknown): string {
  const found = Object.entries(supports).find(([, number]) => number === Number(support))
  return found?.[0] ?? `unknown choice ${support}`
}

function timeOf(seconds: unknown): string {
  const date = new Date(Number(seconds) * 1_000)
  return Number.isNaN(date.getTime()) ? `${seconds}` : date.toISOString()
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
