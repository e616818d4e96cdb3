/**
 * `assent deployment set-images`: sets the image registry of `KmsAuth`. Submits one call, and warns that a KMS must
 * have the code of the registry in its pinned code.
 */
import { setImages } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import { warnAboutPinnedRegistry } from '../calls/warn-about-pins.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setImages as command } from '../deployment.ts'
import { readNotAfter } from '../input/not-after.ts'
import { readRegistry } from '../input/registry.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const images = await readRegistry(session, args.images, 'images')
  await warnAboutPinnedRegistry(session, 'images', images)
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setImages(session.addresses.kmsAuth, images, notAfter)], args)
}
