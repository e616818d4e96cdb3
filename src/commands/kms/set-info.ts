/**
 * `assent kms set-info`: records the public keys, quote and attestation of a KMS in `KmsAuth`, as dstack does. Reads
 * the statement of `kms bootstrap` and submits one call.
 */
import { setKmsInfo } from '../../chain/registries/registry.ts'
import { to0x } from '../../lib/bytes.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBootstrap } from '../input/bootstrap-file.ts'
import type { setInfo } from '../kms.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof setInfo>, session: Session) {
  const { k256PublicKey, caPublicKey, quote, attestation } = await readBootstrap(args.file)
  const info = {
    k256Pubkey: to0x(k256PublicKey),
    caPubkey: to0x(caPublicKey),
    quote: to0x(quote),
    // the whole attestation: its events are nowhere else byte for byte
    eventlog: to0x(attestation),
  }
  return submitCalls(session, [setKmsInfo(session.addresses.kmsAuth, info)], args)
}
