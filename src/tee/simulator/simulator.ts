/**
 * Stands in for Intel and its hardware: issues certificates, collateral and quotes under a root of its own.
 *
 * Nothing that a simulator signs verifies under Intel's root, and whoever trusts a simulator's root has
 * said so by passing it.
 */
import { randomBytes } from 'node:crypto'

import { AssentError } from '../../errors/index.ts'
import { systemClock } from '../../lib/clock.ts'
import { type CollateralDocuments, type CollateralOptions, issueCollateral } from './collateral.ts'
import { createPki, firstSecond, lastSecond, type Pki, type PkiOptions } from './pki.ts'
import { createPlatform, type Platform, type PlatformOptions } from './platform.ts'

export interface SimulatorOptions {
  /** 32 bytes. Given, every byte that the simulator ever makes is reproducible; never reuse one that others know for anything but tests. */
  readonly seed?: Uint8Array
  /** Unix seconds: collateral is issued a day before; the system's clock by default. */
  readonly at?: number
  /** FMSPC of platforms and TCB info unless they say otherwise. */
  readonly fmspc?: string
  readonly pki?: PkiOptions
}

export interface Simulator {
  readonly at: number
  readonly fmspc: string
  readonly pki: Pki
  /** DER. The trust anchor that a verifier must be given on purpose. */
  readonly rootCertificate: Uint8Array
  collateral(options?: CollateralOptions): CollateralDocuments
  createPlatform(options?: PlatformOptions): Platform
}

/** @throws INPUT_INVALID at a time when the simulator's own certificates are not valid */
function requireCovered(at: number): void {
  if (Number.isSafeInteger(at) && at >= firstSecond && at <= lastSecond) return
  throw new AssentError(
    'INPUT_INVALID',
    'A simulator works at times between 2019-05-21 and 2031-05-21.',
    { facts: { at, firstSecond, lastSecond } },
  )
}

/** Spells no FMSPC that Intel has assigned. */
export const simulatedFmspc = 'A55E47000000'

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
