/**
 * `assent kms register-root`: registers the root keys of a bootstrap with their quote. Reads the statement of `kms
 * bootstrap` and sends one call; the DAO then approves the printed id.
 */
import { proveRootKey, rootKeyId } from '../../chain/registries/root-keys.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBootstrap } from '../input/bootstrap-file.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { registerRoot } from '../kms.ts'
import { bytes32 } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema({ id: bytes32.describe('the DAO approves this root key id') })

export async function run(args: ArgumentsOf<typeof registerRoot>, session: Session) {
  const rootKeys = requireDeployed(session, 'rootKeys')
  const { caPublicKey, k256PublicKey, quote } = await readBootstrap(args.file)
  const keys = { caPublicKey, k256PublicKey }
  const sent = await sendCalls(session, [proveRootKey(rootKeys, quote, keys)])
  const id = rootKeyId(keys)
  session.output.line(`Root key id, for the DAO to approve: ${id}`)
  return { id, ...sent }
}
