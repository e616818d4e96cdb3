/** Keeps Intel's statements about platforms while they are fresh. Nothing here is trusted. */
import type { Clock } from '../lib/clock.ts'
import { type Collateral, parseCollateral } from '../quote/collateral.ts'
import {
  type CollateralUpdate,
  fetchCollateral,
  type PccsOptions,
  platformFamily,
} from '../quote/pccs.ts'
import type { CollateralSource } from './evidence.ts'

export interface KeptCollateralOptions extends PccsOptions {
  readonly update: CollateralUpdate
  /** How long one answer is used before it is asked for again. */
  readonly refreshSeconds: number
  readonly clock: Clock
}

interface Kept {
  readonly collateral: Promise<Collateral>
  readonly fetchedAt: number
}

/** FMSPCs are chosen by whoever sends a quote; only this many are remembered. */
const capacity = 64

/** One bundle for every quote: files, tests, the demo. */
export function fixedCollateral(json: unknown): CollateralSource {
  const collateral = parseCollateral(json)
  return async () => collateral
}

/** Collateral from caching services, by platform family. */
export function createPccsSource(options: KeptCollateralOptions): CollateralSource {
  const kept = new Map<string, Kept>()
  return async (quote) => {
    const family = platformFamily(quote)
    const name = `${family.fmspc}/${family.ca}`
    const known = kept.get(name)
    if (known && options.clock() - known.fetchedAt < options.refreshSeconds) return known.collateral
    const collateral = fetchCollateral(family, options.update, options)
    kept.delete(name)
    kept.set(name, { collateral, fetchedAt: options.clock() })
    if (kept.size > capacity) kept.delete(kept.keys().next().value ?? '')
    // a failure is not kept, so that the next request tries again
    collateral.catch(() => {
      if (kept.get(name)?.collateral === collateral) kept.delete(name)
    })
    return collateral
  }
}
