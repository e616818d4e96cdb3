/** A case of the fault catalogue: a quote with collateral, and the verdict that every verifier must return. */
import type { refusalErrors } from '../../../src/errors/quote.ts'
import type { MalformedCode, RejectionCode, TcbStatus } from '../../../src/quote/verdict.ts'
import type {
  CollateralDocuments,
  CollateralOptions,
} from '../../../src/tee/simulator/collateral.ts'
import { deriveKey, type SigningKey } from '../../../src/tee/simulator/key.ts'
import {
  createPlatform,
  type Platform,
  type PlatformOptions,
} from '../../../src/tee/simulator/platform.ts'
import type { QuoteOptions } from '../../../src/tee/simulator/quote.ts'
import type { Simulator } from '../../../src/tee/simulator/simulator.ts'

export type PolicyCode = keyof typeof refusalErrors

/** The verdict that every verifier must return. */
export type Expectation =
  | {
      readonly verdict: 'verified'
      readonly status: TcbStatus
      /** Advisories of the platform's level, then of the quoting enclave's, then of the module's. */
      readonly advisoryIds: readonly string[]
      /** The code with which the default policy refuses it. */
      readonly policy?: PolicyCode
    }
  /** Well-formed but not genuine. One of these codes. */
  | { readonly verdict: 'rejected'; readonly codes: readonly RejectionCode[] }
  /** Malformed. One of these codes. */
  | { readonly verdict: 'malformed'; readonly codes: readonly MalformedCode[] }

/** The input of a verifier. */
export interface CaseEvidence {
  readonly quote: Uint8Array
  readonly collateral: CollateralDocuments
  /** DER. */
  readonly root: Uint8Array
  /** Unix seconds. */
  readonly at: number
}

/** One case. `about` describes it in a few words. */
export interface FaultCase {
  readonly name: string
  readonly about: string
  readonly expect: Expectation
  build(bench: CaseFixture): CaseEvidence
}

/** The genuine platform, quote and collateral from which the cases are derived. Created once for all cases. */
export interface CaseFixture {
  readonly simulator: Simulator
  readonly platform: Platform
  readonly quote: Uint8Array
  readonly collateral: CollateralDocuments
}

export function createCaseFixture(simulator: Simulator): CaseFixture {
  const platform = simulator.createPlatform()
  return {
    simulator,
    platform,
    quote: platform.quote({ td: { reportData: new Uint8Array(64).fill(0x5a) } }),
    collateral: simulator.collateral(),
  }
}

export function verified(
  status: TcbStatus = 'UpToDate',
  advisoryIds: readonly string[] = [],
  policy?: PolicyCode,
): Expectation {
  return { verdict: 'verified', status, advisoryIds, ...(policy === undefined ? {} : { policy }) }
}

export function rejected(...codes: readonly RejectionCode[]): Expectation {
  return { verdict: 'rejected', codes }
}

export function malformed(...codes: readonly MalformedCode[]): Expectation {
  return { verdict: 'malformed', codes }
}

type CaseName = readonly [name: string, about: string, expect: Expectation]

/** A case whose quote the genuine platform creates with other options. */
export function quoteCase(
  title: CaseName,
  options: QuoteOptions | ((bench: CaseFixture) => QuoteOptions),
): FaultCase {
  return evidenceCase(title, (bench) => ({
    quote: bench.platform.quote(typeof options === 'function' ? options(bench) : options),
  }))
}

/** A case with the genuine quote, changed after it was signed. */
export function bytesCase(title: CaseName, change: (quote: Uint8Array) => Uint8Array): FaultCase {
  return evidenceCase(title, (bench) => ({ quote: change(new Uint8Array(bench.quote)) }))
}

/** A case with the genuine quote and other collateral. */
export function collateralCase(
  title: CaseName,
  options: CollateralOptions | ((bench: CaseFixture) => CollateralOptions),
): FaultCase {
  return evidenceCase(title, (bench) => ({
    collateral: bench.simulator.collateral(
      typeof options === 'function' ? options(bench) : options,
    ),
  }))
}

/** A case with another platform and a genuine quote of it. */
export function platformCase(
  title: CaseName,
  options: PlatformOptions | ((bench: CaseFixture) => PlatformOptions),
  quote: QuoteOptions = {},
  collateral?: CollateralOptions,
): FaultCase {
  return evidenceCase(title, (bench) => {
    const { simulator } = bench
    const platform = createPlatform(
      simulator.pki,
      simulator.fmspc,
      typeof options === 'function' ? options(bench) : options,
    )
    return {
      quote: platform.quote(quote),
      ...(collateral === undefined ? {} : { collateral: simulator.collateral(collateral) }),
    }
  })
}

/** A case with the genuine quote and collateral that was changed after it was signed. */
export function documentsCase(
  title: CaseName,
  change: (collateral: CollateralDocuments) => Partial<CollateralDocuments>,
): FaultCase {
  return evidenceCase(title, ({ collateral }) => ({
    collateral: { ...collateral, ...change(collateral) },
  }))
}

/** Any other case. What `build` leaves out is genuine. */
export function evidenceCase(
  [name, about, expect]: CaseName,
  build: (bench: CaseFixture) => Partial<CaseEvidence>,
): FaultCase {
  return {
    name,
    about,
    expect,
    build: (bench) => ({
      quote: bench.quote,
      collateral: bench.collateral,
      root: bench.simulator.rootCertificate,
      at: bench.simulator.at,
      ...build(bench),
    }),
  }
}

export const day = 86_400

/** The given bytes, padded with zeros. */
export function padded(length: number, ...start: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes.set(start)
  return bytes
}

/** A key without a certificate. */
export function evilKey(bench: CaseFixture): SigningKey {
  return deriveKey(bench.simulator.pki.seed, 'evil')
}

/** A document without one of its members. */
export function withoutMember(json: string, name: string): string {
  const { [name]: _, ...rest } = JSON.parse(json) as Record<string, unknown>
  return JSON.stringify(rest)
}
