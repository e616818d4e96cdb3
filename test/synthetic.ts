/** The synthetic quotes of `vectors/synthetic`: committed, so that their tests run everywhere. */

import { readCommittedJson } from '../scripts/vectors/vectors.ts'
import type { Collateral } from '../src/quote/collateral/collateral.ts'

export interface SyntheticCase {
  readonly id: string
  readonly note: string
  readonly expect:
    | { readonly verifies: true; readonly status: string; readonly advisoryIDs: string[] }
    | { readonly verifies: false; readonly reason: string }
  readonly policy?: string
  readonly quote: Uint8Array
  readonly collateral: Collateral
}

interface SyntheticFile {
  readonly verifyAtUnix: number
  readonly root: string
  readonly documents: string[]
  readonly cases: (Omit<SyntheticCase, 'quote' | 'collateral'> & {
    readonly quote: (string | number)[]
    readonly collateral: Record<keyof Collateral, number>
  })[]
}

const file = readCommittedJson<SyntheticFile>('synthetic/cases.json')

/** Unix seconds at which all cases are judged. */
export const syntheticTime: number = file.verifyAtUnix

/** The mock root certificate, DER. */
export const syntheticRoot: Uint8Array = new Uint8Array(Buffer.from(file.root, 'base64'))

export const syntheticCases: readonly SyntheticCase[] = file.cases.map((entry) => ({
  ...entry,
  quote: new Uint8Array(
    Buffer.concat(
      entry.quote.map((part) =>
        typeof part === 'number'
          ? Buffer.from(file.documents[part] as string, 'latin1')
          : Buffer.from(part, 'base64'),
      ),
    ),
  ),
  collateral: Object.fromEntries(
    Object.entries(entry.collateral).map(([field, place]) => [field, file.documents[place]]),
  ) as unknown as Collateral,
}))

export function syntheticCase(id: string): SyntheticCase {
  const found = syntheticCases.find((entry) => entry.id === id)
  if (found === undefined) throw new Error(`No synthetic case ${id}.`)
  return found
}
