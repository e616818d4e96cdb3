/**
 * `assent app create`: deploys and registers an app in one transaction, and names its guardian in a second one. The
 * account becomes the owner unless `--owner` is given. With `--name` the app id is stored in the profile of
 * `assent.toml`.
 */
import { type Address, isAddressEqual } from 'viem'
import { z } from 'zod'
import { deployAndRegisterApp, deployedApp, setGuardian } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { create } from '../app.ts'
import { plannedCallSchema, sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readAddress, readDuration, readId } from '../input/arguments.ts'
import { address, bytes32, seconds } from '../output/json.ts'
import { rememberName, requireNewName } from '../session/remember-name.ts'
import type { Session } from '../session/session.ts'

const guardianSchema = z.strictObject({
  address,
  suspension: seconds,
  descriptions: z.array(plannedCallSchema),
  outcome: z.literal('sent'),
  by: address,
  transactions: z.array(bytes32),
})

export const schema = sentSchema({
  app: address,
  guardian: guardianSchema.nullable().describe('the second transaction'),
})

type CreateArguments = ArgumentsOf<typeof create>

export async function run(args: CreateArguments, session: Session) {
  const { publicClient, addresses, output } = session
  const account = (await session.signer()).walletClient.account.address
  const owner = args.owner === undefined ? account : readAddress(args.owner, '--owner')
  const guardian = readGuardianOption(args, isAddressEqual(owner, account))
  if (args.name !== undefined) requireNewName(session.profile, args.name)
  const call = deployAndRegisterApp(addresses.kmsAuth, {
    owner,
    disableUpgrades: args.renounceUpgrades,
    requireTcbUpToDate: args.requireTcbUpToDate,
    allowAnyDevice: args.anyDevice,
    ...(args.device ? { deviceId: readId(args.device, '--device') } : {}),
    ...(args.release ? { composeHash: readId(args.release, '--release') } : {}),
  })
  const sent = await sendCalls(session, [call])
  const [hash] = sent.transactions as readonly [Hex]
  const app = deployedApp(await publicClient.getTransactionReceipt({ hash }))
  output.line(`App id: ${app}`)
  if (args.name !== undefined) {
    await rememberName(session.profile, args.name, app)
    output.line(`Saved as ${args.name} in ${session.profile.file}. Use --app ${args.name}.`)
  }
  if (guardian === undefined) {
    output.warning('The app has no guardian: only its owner can suspend a release.')
    output.line(
      `To set one: assent app guardian GUARDIAN --suspension 14d --app ${args.name ?? app}`,
    )
    return { app, guardian: null, ...sent }
  }
  const named = await sendCalls(session, [setGuardian(app, guardian.address, guardian.suspension)])
  return { app, ...sent, guardian: { ...guardian, ...named } }
}

/** The guardian of a new app. Only the owner can set it, in a second transaction of the same account. */
function readGuardianOption(
  { guardian, suspension }: CreateArguments,
  isOwner: boolean,
): { address: Address; suspension: number } | undefined {
  if (guardian === undefined && suspension === undefined) return undefined
  if (guardian === undefined || suspension === undefined || !isOwner) {
    throw new AssentError(
      'USAGE_INVALID',
      isOwner
        ? '--guardian and --suspension must be used together.'
        : 'Only the owner can set a guardian: omit --owner, or let the owner run assent app guardian.',
      { facts: { guardian: guardian ?? null, suspension: suspension ?? null } },
    )
  }
  return {
    address: readAddress(guardian, '--guardian'),
    suspension: readDuration(suspension, '--suspension'),
  }
}
