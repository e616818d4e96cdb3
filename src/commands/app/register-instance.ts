/**
 * `assent app register-instance`: registers the key of an instance. The file is the proof that the instance made; anyone may
 * send it. Records the boot and makes the root key known first, if that was not done.
 */
import { toChainError } from '../../chain/call.ts'
import { parseInstanceProof } from '../../chain/registries/instance-proof.ts'
import { missingSteps, registrationOf } from '../../chain/registries/instances.ts'
import { AssentError } from '../../errors/index.ts'
import type { registerInstance } from '../app-instance.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readJson } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { address } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema({
  app: address.describe('the app for which the key speaks'),
  key: address.describe('the key'),
})

export async function run(args: ArgumentsOf<typeof registerInstance>, session: Session) {
  const instances = requireDeployed(session, 'instances')
  const rootKeys = requireDeployed(session, 'rootKeys')
  const proof = parseInstanceProof(await readJson(args.proof))
  const { app, key, chainId, registry } = proof.binding
  if (chainId !== session.chainId || registry !== instances.toLowerCase()) {
    throw new AssentError('INPUT_INVALID', 'The proof is for another chain or registry.', {
      facts: { chainId, instances: registry, expected: instances },
    })
  }
  const contracts = { instances, rootKeys }
  const before = await missingSteps(session.publicClient, contracts, proof).catch(
    (cause: unknown) => {
      throw toChainError(cause, 'read what is registered')
    },
  )
  const sent = await sendCalls(session, [
    ...before.map(({ call }) => call),
    registrationOf(instances, proof),
  ])
  return { app, key, ...sent }
}
