/**
 * `assent app release`: approves a release. Reads the manifest, computes its compose hash and submits both; the
 * contract compares them (SHA-256), so that voters can read from the chain what they approved.
 */
import { sha256 } from 'viem'
import { approveManifest } from '../../chain/registries/app.ts'
import type { release } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes, readTime } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { readNotAfter } from '../input/not-after.ts'
import { bytes32 } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema({ composeHash: bytes32 })

export async function run(args: ArgumentsOf<typeof release>, session: Session) {
  const app = await requireApp(session, args.app)
  const manifest = await readBytes(args.manifest)
  const composeHash = sha256(manifest)
  session.output.line(`${args.manifest} hashes to ${composeHash}.`)
  const call = approveManifest(app, composeHash, manifest, {
    notAfter: await readNotAfter(args, session),
    ...(args.activeFrom ? { activeFrom: readTime(args.activeFrom, '--active-from') } : {}),
    ...(args.expiresAt ? { expiresAt: readTime(args.expiresAt, '--expires-at') } : {}),
  })
  return { composeHash, ...(await submitCalls(session, [call], args)) }
}
