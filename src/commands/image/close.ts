/**
 * `assent image close`: makes boots of an image need an approved measurement set. Submits one call for the named
 * images.
 */
import { closeImages } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { close } from '../image.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveImages } from '../input/names.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof close>, session: Session) {
  const registry = requireDeployed(session, 'images')
  const images = await resolveImages(session, args.images)
  return submitCalls(session, [closeImages(registry, images)], args)
}
