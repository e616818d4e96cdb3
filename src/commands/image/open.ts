/**
 * `assent image open`: lets an image boot without an approved measurement set again; the KMS then verifies the
 * measurements itself. Submits one call.
 */
import { openImages } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { open } from '../image.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveImages } from '../input/names.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof open>, session: Session) {
  const registry = requireDeployed(session, 'images')
  const images = await resolveImages(session, args.images)
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [openImages(registry, images, notAfter)], args)
}
