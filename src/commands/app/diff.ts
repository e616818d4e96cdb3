/**
 * `assent app diff`: compares two manifests member by member, or a manifest with the compose hash that a quote
 * proves. Reads files only. Exit code 1 if they differ in meaning.
 */
import type { Hex } from '../../lib/bytes.ts'
import { to0x } from '../../lib/bytes.ts'
import { compareManifests, formatComparison } from '../../manifest/compare-manifests.ts'
import { type Manifest, readManifest } from '../../manifest/manifest.ts'
import { isQuoteAnswer, readClaimedBoot } from '../../quote/measurements/claimed-boot.ts'
import type { diff } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes } from '../input/arguments.ts'
import { comparisonSchema, exitCodeOfComparison } from '../output/manifest-comparison.ts'
import type { Context } from '../session/context.ts'

export const schema = comparisonSchema
export const exitCode = exitCodeOfComparison

export async function run(args: ArgumentsOf<typeof diff>, { output }: Context) {
  const [before, after] = [await readSide(args.before), await readSide(args.after)]
  if ('raw' in before && 'raw' in after) {
    const comparison = compareManifests(before, after)
    for (const line of formatComparison(comparison)) output.line(line)
    return { ...comparison, changes: [...comparison.changes] }
  }
  const isSame = before.composeHash === after.composeHash
  output.line(isSame ? 'The quote is of this manifest.' : 'The quote is of another manifest.')
  output.line(`before ${before.composeHash}`)
  output.line(`after  ${after.composeHash}`)
  return {
    before: before.composeHash,
    after: after.composeHash,
    result: isSame ? ('same-bytes' as const) : ('different' as const),
    changes: isSame ? [] : null,
  }
}

type Side = Manifest | { readonly composeHash: Hex }

async function readSide(file: string): Promise<Side> {
  const manifest = readManifest(await readBytes(file))
  if (!isQuoteAnswer(manifest.members)) return manifest
  return { composeHash: to0x(readClaimedBoot(manifest.members).composeHash) }
}
