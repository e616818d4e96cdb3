/**
 * Simulates Intel and TDX hardware: certificates, collateral and quotes under an own root of trust.
 *
 * Nothing that a simulator signs verifies under Intel's root. A verifier trusts a simulator only if it gets its root
 * explicitly.
 */
import { randomBytes } from 'node:crypto'

import { AssentError } from '../../errors/index.ts'
import { systemClock } from '../../lib/clock.ts'
import { type CollateralDocuments, type CollateralOptions, issueCollateral } from './collateral.ts'
import { createPki, firstSecond, lastSecond, type Pki, type PkiOptions } from './pki.ts'
import { createPlatform, type Platform, type PlatformOptions } from './platform.ts'

/** Seed and time of a simulator. */
export interface SimulatorOptions {
  /** 32 bytes; default: random. A fixed seed makes every byte reproducible. Use a known seed for tests only. */
  readonly seed?: Uint8Array
  /** Unix seconds; default: the system's clock. Collateral is issued one day before. */
  readonly at?: number
  /** Default FMSPC of platforms and TCB info: six bytes as hex. */
  readonly fmspc?: string
  readonly pki?: PkiOptions
}

/** A source of hosts, quotes and collateral with its own root of trust. */
export interface Simulator {
  /** Unix seconds: the time for which collateral is issued. */
  readonly at: number
  /** 6 bytes as hex. */
  readonly fmspc: string
  /** Certificate authorities, for tests that make faulty certificates. */
  readonly pki: Pki
  /** DER. The root of trust to give to a verifier. */
  readonly rootCertificate: Uint8Array
  /** Collateral with which the quotes of this simulator verify, changed by the options. */
  collateral(options?: CollateralOptions): CollateralDocuments
  /** A host. The same name gives the same keys and device id. */
  createPlatform(options?: PlatformOptions): Platform
}

/** @throws INPUT_INVALID if the simulator's certificates are not valid at this time */
function requireCovered(at: number): void {
  if (Number.isSafeInteger(at) && at >= firstSecond && at <= lastSecond) return
  throw new AssentError(
    'INPUT_INVALID',
    'A simulator works at times between 2019-05-21 and 2031-05-21.',
    { facts: { at, firstSecond, lastSecond } },
  )
}

/** An FMSPC that Intel has not assigned. */
export const simulatedFmspc = 'A55E47000000'

/**
 * @example
 * const simulator = createSimulator()
 * const cvm = simulator.createPlatform().createCvm({ image: createImage(), compose: '{}' })
 * const { quote } = await cvm.source.attest(new Uint8Array(64))
 */
export function createSimulator(options: SimulatorOptions = {}): Simulator {
  const { at = systemClock(), fmspc = simulatedFmspc, seed = randomBytes(32) } = options
  requireCovered(at)
  const pki = createPki(new Uint8Array(seed), options.pki)
  return {
    at,
    fmspc,
    pki,
    rootCertificate: pki.root.certificate,
    collateral: (collateralOptions) => issueCollateral(pki, at, fmspc, collateralOptions),
    createPlatform: (platformOptions) => createPlatform(pki, fmspc, platformOptions),
  }
}
