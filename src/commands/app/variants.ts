/**
 * `assent app variants`: sets the TEE variants that may boot the app. Submits one call with a bit for each variant;
 * `Tdx` is always included.
 */
import { setVariants } from '../../chain/registries/app.ts'
import type { variants } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import { readVariant } from '../input/variants.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof variants>, session: Session) {
  const app = await requireApp(session, args.app)
  const bits = args.variants.reduce((all, name) => all | (1 << readVariant(name, 'variants')), 0)
  return submitCalls(session, [setVariants(app, bits)], args)
}
