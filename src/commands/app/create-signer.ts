/** `assent app create-signer`: creates the ERC-1271 signer of an app. Sends one call; does nothing if it exists. */
import { appSignersAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { createAppSigner } from '../../chain/registries/instances.ts'
import type { createSigner } from '../app-instance.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import { requireDeployed } from '../input/deployed.ts'
import { address } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema({ signer: address.describe('address of the signer') })

export async function run(args: ArgumentsOf<typeof createSigner>, session: Session) {
  const signers = requireDeployed(session, 'appSigners')
  const app = await requireApp(session, args.app)
  const signer = await session.publicClient
    .readContract({
      address: signers,
      abi: appSignersAbi,
      functionName: 'signerOf',
      args: [app],
    })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read the address of the signer')
    })
  const sent = await sendCalls(session, [createAppSigner(signers, app)])
  session.output.line(`Signer of app ${app}: ${signer}`)
  return { signer, ...sent }
}
