/**
 * `assent image set-name`: stores the name of an image on-chain. The name is for people; decisions use the hash.
 * Submits one call.
 */
import { setImageName } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setName } from '../image.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveImage } from '../input/names.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof setName>, session: Session) {
  const registry = requireDeployed(session, 'images')
  const image = await resolveImage(session, args.image)
  return submitCalls(session, [setImageName(registry, image, args.name)], args)
}
