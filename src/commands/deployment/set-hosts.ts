/**
 * `assent deployment set-hosts`: makes `KmsAuth` ask a host registry for every boot. Submits one call, and warns that
 * a KMS must have the code of the registry in its pinned code.
 */
import { setHosts } from '../../chain/registries/registry.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import { warnAboutPinnedRegistry } from '../calls/warn-about-pins.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setHosts as command } from '../deployment.ts'
import { readNotAfter } from '../input/not-after.ts'
import { readRegistry } from '../input/registry.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const hosts = await readRegistry(session, args.hosts, 'hosts')
  await warnAboutPinnedRegistry(session, 'hosts', hosts)
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setHosts(session.addresses.kmsAuth, hosts, notAfter)], args)
}
