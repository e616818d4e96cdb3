import { z } from 'zod'
import { parseQuote } from '../../quote/parse.ts'
import { describeQuote } from '../../quote/to-json.ts'
import type { ArgumentsOf } from '../command.ts'
import type { show } from '../quote.ts'
import type { Context } from '../session/context.ts'
import { formatFields } from './format-fields.ts'
import { readQuote } from './quote-cases.ts'

const hex = z.string().regex(/^(?:[0-9a-f]{2})*$/)

export const quoteSchema = z.strictObject({
  version: z.int(),
  bodyType: z.int(),
  length: z.int(),
  header: z.strictObject({ qeVendorId: hex, userData: hex }),
  report: z.record(z.string(), z.unknown()),
  attestationKey: hex,
  qeReport: z.strictObject({
    cpuSvn: hex,
    miscSelect: z.int(),
    attributes: hex,
    mrEnclave: hex,
    mrSigner: hex,
    isvProdId: z.int(),
    isvSvn: z.int(),
    reportData: hex,
  }),
  qeAuthData: hex,
  pck: z.record(z.string(), z.unknown()).describe('the PCK certificate, or code and message'),
})

export const schema = quoteSchema

export async function run({ file }: ArgumentsOf<typeof show>, { output }: Context) {
  const quote = describeQuote(parseQuote(await readQuote(file)))
  for (const line of formatFields(quote)) output.line(line)
  return quote
}
