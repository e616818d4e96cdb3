/**
 * `assent kms set-gateway`: sets the app id of the gateway that guests accept; `any` accepts every peer and is
 * refused by a KMS with default settings. Submits one call.
 */
import { setGatewayAppId } from '../../chain/registries/registry.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setGateway } from '../kms.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof setGateway>, session: Session) {
  return submitCalls(session, [setGatewayAppId(session.addresses.kmsAuth, args.id)], args)
}
