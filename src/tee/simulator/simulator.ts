/**
 * Stands in for Intel and its hardware: issues certificates, collateral and quotes under a root of its own.
 *
 * Nothing that a simulator signs verifies under Intel's root, and whoever trusts a simulator's root has
 * said so by passing it.
 */
import { randomBytes } from 'node:crypto'

import { systemClock } from '../../lib/clock.ts'
import { type CollateralDocuments, type CollateralOptions, issueCollateral } from './collateral.ts'
import { createPki, type Pki, type PkiOptions } from './pki.ts'
import { createPlatform, type Platform, type PlatformOptions } from './platform.ts'

export interface SimulatorOptions {
  /** 32 bytes. Given, every byte that the simulator ever makes is reproducible; never reuse one that others know for anything but tests. */
  readonly seed?: Uint8Array
  /** Unix seconds around which collateral is valid; the system's clock by default. */
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

/** Spells no FMSPC that Intel has assigned. */
export const simulatedFmspc = 'A55E47000000'

export function createSimulator(options: SimulatorOptions = {}): Simulator {
  const { at = systemClock(), fmspc = simulatedFmspc, seed = randomBytes(32) } = options
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
