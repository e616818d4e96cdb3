import { boundedText } from '../../errors/bounded.ts'
import { AssentError } from '../../errors/index.ts'
import { escapeLines } from '../../lib/printable.ts'
import { errorColors as pc } from './colors.ts'
import { printableLine } from './printable-line.ts'

/** Longest printed value of a fact, in characters. The JSON output has all of it. */
const maxFact = 300

/** Longest printed stack trace, in characters. */
const maxStack = 8_192

/**
 * Prints an error: code, message, facts and next step on standard error, or one JSON object on standard output.
 *
 * @param error anything that was thrown; what is not an `AssentError` gets the code `UNEXPECTED` and a stack trace
 */
export function reportError(error: unknown, json: boolean): void {
  const known =
    error instanceof AssentError
      ? error
      : new AssentError('UNEXPECTED', error instanceof Error ? error.message : String(error), {
          cause: error,
        })
  if (json) {
    console.log(escapeLines(JSON.stringify({ error: known.toJSON() })))
    return
  }
  const print = (text: string) => console.error(printableLine(text))
  print(`${pc.red(known.code)} ${known.message}`)
  for (const line of factLines(known)) print(pc.dim(line))
  print(pc.dim(known.hint))
  if (known.code === 'UNEXPECTED' && error instanceof Error)
    for (const line of boundedText(error.stack ?? '', maxStack).split('\n')) print(pc.dim(line))
}

function factLines({ facts }: AssentError): string[] {
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => `  ${name}: ${boundedText(formatFact(value), maxFact)}`)
}

function formatFact(value: unknown): string {
  if (Array.isArray(value)) return value.map(formatFact).join(', ')
  return typeof value === 'object'
    ? JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each))
    : String(value)
}
