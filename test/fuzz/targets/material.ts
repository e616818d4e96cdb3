/** Shared by the targets: a simulated platform, a CVM on it, and comparisons. */
import { equalBytes } from '../../../src/lib/bytes.ts'
import { createImage } from '../../../src/tee/simulator/image.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { createCaseFixture } from '../../simulator/faults/case.ts'
import { faultCatalogue } from '../../simulator/faults/catalogue.ts'
import type { Target } from '../engine.ts'

export const at = Date.parse('2026-08-20T12:00:00Z') / 1000
export const simulator = createSimulator({ at, seed: new Uint8Array(32).fill(5) })
export const bench = createCaseFixture(simulator)
export const cvm = simulator
  .createPlatform()
  .createCvm({ image: createImage(), compose: '{"name":"fuzz"}' })
export const evidence = await cvm.source.attest(new Uint8Array(64).fill(1))
export const v4 = bench.quote
export const v5 = bench.platform.quote({ version: 5, bodyType: 3 })
export const ex = bench.platform.quote({ version: 5, bodyType: 4, qeAuthData: new Uint8Array(0) })

/** Accepted cases of the fault catalogue, for features that the genuine inputs do not have. */
export const goodCollateral = faultCatalogue
  .filter((entry) => entry.expect.verdict === 'verified' && entry.name.startsWith('valid_'))
  .map((entry) => entry.build(bench).collateral)
export const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)]

export const u16 = (value: number) => Uint8Array.of(value & 0xff, value >> 8)
export const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer)

export function target<I, O>(entry: Target<I, O>): Target<unknown, unknown> {
  return entry as unknown as Target<unknown, unknown>
}

export const same = (a: Uint8Array, b: Uint8Array): string | undefined =>
  equalBytes(a, b) ? undefined : 'does not encode to the same bytes'

export const lower = (value: unknown): string => String(value).toLowerCase()

/** Parses JSON first, as a service does: other text never reaches the parser. */
export function parsedOr(input: string): unknown {
  try {
    return JSON.parse(input)
  } catch {
    return undefined
  }
}
