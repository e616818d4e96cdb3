/**
 * `assent quote show`: prints the fields of a quote without verification. Reads a file, a certificate or a running
 * server.
 */
import { z } from 'zod'
import { isAssentError } from '../../errors/index.ts'
import { parseQuote } from '../../quote/parse.ts'
import { describeQuote } from '../../quote/to-json.ts'
import type { ArgumentsOf } from '../command.ts'
import type { show } from '../quote.ts'
import type { Context } from '../session/context.ts'
import { appSchema, describeApp } from './describe-app.ts'
import { formatFields } from './format-fields.ts'
import { proveEvidence } from './prove-question.ts'
import { type LocatedEvidence, readEvidenceAt } from './read-evidence.ts'

const hex = z.string().regex(/^(?:[0-9a-f]{2})*$/)

export const schema = z.strictObject({
  form: z.enum(['quote', 'GetQuote', 'Attest', 'certificate']).describe('what it was found in'),
  app: z
    .union([appSchema, z.strictObject({ code: z.string(), message: z.string() })])
    .nullable()
    .describe('of the event log; the error if it does not replay; null: there is none'),
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
  pck: z
    .record(z.string(), z.unknown())
    .describe('the PCK certificate with the device id, or code and message'),
})

export async function run({ quote: place }: ArgumentsOf<typeof show>, { output }: Context) {
  const evidence = await readEvidenceAt(place)
  const quote = describeQuote(parseQuote(evidence.quote))
  const value = { form: evidence.form, app: await claimedApp(evidence), ...quote }
  for (const line of formatFields(value)) output.line(line)
  return value
}

/** A log that does not fit must not hide the quote. */
async function claimedApp(evidence: LocatedEvidence) {
  try {
    const app = await proveEvidence(evidence, { eventLog: undefined, expected: {} })
    return app === undefined ? null : describeApp(app)
  } catch (error) {
    if (!isAssentError(error)) throw error
    return { code: error.code, message: error.message }
  }
}
