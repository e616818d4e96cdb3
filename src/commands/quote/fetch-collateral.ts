/**
 * `assent quote fetch-collateral`: fetches Intel's collateral for the platform of a quote from a PCCS and saves it as
 * one file, which `quote verify --collateral` takes.
 */
import { z } from 'zod'
import { platformFamily } from '../../quote/collateral/pccs.ts'
import { parseQuote } from '../../quote/parse.ts'
import type { ArgumentsOf } from '../command.ts'
import { printOrWrite } from '../output/print-or-write.ts'
import type { fetchCollateral } from '../quote.ts'
import type { Context } from '../session/context.ts'
import { collateralMissing, createCollateralFetcher } from './collateral-of.ts'
import { readEvidenceAt } from './read-evidence.ts'

export const schema = z.strictObject({
  fmspc: z.string().regex(/^[0-9a-f]{12}$/),
  ca: z.enum(['platform', 'processor']),
  file: z.string().nullable().describe('null: not written'),
  collateral: z.record(z.string(), z.unknown()).describe('QuoteCollateralV3'),
})

export async function run(args: ArgumentsOf<typeof fetchCollateral>, { output, profile }: Context) {
  const fetcher = await createCollateralFetcher(args, profile.pccs)
  if (fetcher === undefined) throw collateralMissing(args.quote)
  const { quote } = await readEvidenceAt(args.quote)
  output.progress('asking the PCCS')
  const collateral = await fetcher(quote)
  await printOrWrite(output, collateral, args.out)
  return { ...platformFamily(parseQuote(quote)), file: args.out ?? null, collateral }
}
