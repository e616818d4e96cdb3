/**
 * `assent host upload-collateral`: uploads a collateral file to the on-chain quote verifier. Compares each document
 * with the stored one and sends only newer ones; anyone may upload, because Intel signed them.
 */
import { z } from 'zod'
import { callsOf, examineCollateral, type PartState } from '../../chain/verifier/collateral.ts'
import { parseCollateral } from '../../quote/collateral/collateral.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { uploadCollateral } from '../host.ts'
import { readJson } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { Session } from '../session/session.ts'

/** The document that the quote verifier has for each part of the collateral. */
const collateralStates: Readonly<Record<PartState, string>> = {
  missing: 'the verifier has none',
  older: 'the verifier has an older one',
  shorter: 'the verifier has it, to an earlier end than it could have now',
  same: 'the verifier has it',
  newer: 'the verifier has a newer one',
  other: 'the verifier has another of the same date, which this one cannot replace',
  revoked: 'the root CRL lists its certificate, or that of its signer',
}

export const schema = z.union([
  sentSchema(),
  z.strictObject({ outcome: z.literal('nothing-to-send'), descriptions: z.array(z.never()) }),
])

export async function run(args: ArgumentsOf<typeof uploadCollateral>, session: Session) {
  const verifier = requireDeployed(session, 'quoteVerifier')
  const collateral = parseCollateral(await readJson(args.file))
  const examined = await examineCollateral(session.publicClient, verifier, collateral)
  for (const { part, state } of examined) {
    const what = part.call.summary.replace('store the ', '')
    session.output.line(`${what}: ${collateralStates[state]}`)
  }
  const calls = callsOf(examined)
  if (calls.length > 0) return sendCalls(session, calls)
  session.output.line('The quote verifier already has all of it. Nothing was sent.')
  return { outcome: 'nothing-to-send', descriptions: [] }
}
