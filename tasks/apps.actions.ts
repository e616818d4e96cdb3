import { type Address, isAddressEqual, sha256, zeroAddress } from 'viem'
import { z } from 'zod'

import {
  announce,
  approveManifest,
  setAllowAnyDevice,
  setNoticePeriod,
  setRequireTcbUpToDate,
  setVariants,
  supersede,
} from '../src/chain/app.ts'
import { requireContract } from '../src/chain/deployments.ts'
import { variantNames } from '../src/chain/governance/call-descriptions/kms.ts'
import { readDraft } from '../src/chain/governance/drafts.ts'
import { createDao, type DaoParameters, readCreatedDao } from '../src/chain/governance/settings.ts'
import {
  deployAndRegisterApp,
  deployedApp,
  registerApp,
  setGuardian,
} from '../src/chain/registry.ts'
import { AssentError } from '../src/errors/index.ts'
import { action } from './action.ts'
import {
  readAddress,
  readBoolean,
  readBytes,
  readCount,
  readDuration,
  readId,
  readTime,
} from './arguments.ts'
import { accountSchema, daoFields, newTokenSchema, readBy } from './dao-file.ts'
import { type OwnerArguments, readNotAfter, sendCalls, submitCalls } from './execute-plan.ts'
import { requireApp, signerOf, type TransactionArguments } from './session.ts'

interface Creating extends TransactionArguments {
  readonly owner?: string
  readonly release?: string
  readonly device?: string
  readonly anyDevice: boolean
  readonly requireTcbUpToDate: boolean
  readonly renounceUpgrades: boolean
  readonly guardian?: string
  readonly suspension?: string
}

/** The guardian of a new app. Only the owner can set it, in a second transaction of the same account. */
function readGuardianOption(
  { guardian, suspension }: Creating,
  isOwner: boolean,
): { address: Address; suspension: number } | undefined {
  if (guardian === undefined && suspension === undefined) return undefined
  if (guardian === undefined || suspension === undefined || !isOwner) {
    throw new AssentError(
      'USAGE_INVALID',
      isOwner
        ? '--guardian and --suspension must be used together.'
        : 'Only the owner can set a guardian: omit --owner, or let the owner run set-guardian --app.',
      { facts: { guardian: guardian ?? null, suspension: suspension ?? null } },
    )
  }
  return {
    address: readAddress(guardian, '--guardian'),
    suspension: readDuration(suspension, '--suspension'),
  }
}

export const createApp = action<Creating>(async (args, session) => {
  const { publicClient, addresses, output } = session
  const account = (await signerOf(session, args.from)).walletClient.account.address
  const owner = args.owner === undefined ? account : readAddress(args.owner, '--owner')
  const guardian = readGuardianOption(args, isAddressEqual(owner, account))
  const call = deployAndRegisterApp(addresses.kmsAuth, {
    owner,
    disableUpgrades: args.renounceUpgrades,
    requireTcbUpToDate: args.requireTcbUpToDate,
    allowAnyDevice: args.anyDevice,
    ...(args.device ? { deviceId: readId(args.device, '--device') } : {}),
    ...(args.release ? { composeHash: readId(args.release, '--release') } : {}),
  })
  const done = await sendCalls(session, [call], args)
  const [hash] = done.transactions as readonly [`0x${string}`]
  const app = deployedApp(await publicClient.getTransactionReceipt({ hash }))
  output.line(`App id: ${app}`)
  if (guardian === undefined) {
    output.warning('The app has no guardian: only its owner can suspend a release.')
    output.line(`To set one: assent set-guardian GUARDIAN --suspension 14d --app ${app}`)
    return { app, ...done }
  }
  const named = await sendCalls(
    session,
    [setGuardian(app, guardian.address, guardian.suspension)],
    args,
  )
  return { app, ...done, guardian: { ...guardian, ...named } }
})

interface AppArguments {
  readonly app: string
}

export const registerExistingApp = action<TransactionArguments & AppArguments>(
  async (args, session) => {
    const app = readAddress(args.app, 'app')
    await requireContract(session.publicClient, app, 'app')
    return sendCalls(session, [registerApp(session.addresses.kmsAuth, app)], args)
  },
)

export const approveRelease = action<
  OwnerArguments & AppArguments & { manifest: string; activeFrom?: string; expiresAt?: string }
>(async (args, session) => {
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
})

export const supersedeReleases = action<
  OwnerArguments & AppArguments & { oldest: string; at?: string; nextEpoch: boolean }
>(async (args, session) => {
  const app = await requireApp(session, args.app)
  const from = args.at === undefined ? 0 : readTime(args.at, '--at')
  return submitCalls(
    session,
    [supersede(app, readCount(args.oldest, 'oldest'), from, args.nextEpoch)],
    args,
  )
})

export const changeNotice = action<OwnerArguments & AppArguments & { notice: string }>(
  async (args, session) => {
    const app = await requireApp(session, args.app)
    return submitCalls(session, [setNoticePeriod(app, readDuration(args.notice, 'notice'))], args)
  },
)

export const announceCall = action<OwnerArguments & AppArguments & { file: string }>(
  async (args, session) => {
    const app = await requireApp(session, args.app)
    const [call, ...more] = await readDraft(args.file, session.chainId)
    if (call === undefined || more.length > 0 || call.to.toLowerCase() !== app.toLowerCase()) {
      throw new AssentError(
        'DRAFT_INVALID',
        'The draft must contain exactly one call to the app.',
        {
          facts: { file: args.file, app },
        },
      )
    }
    return submitCalls(session, [announce(app, call)], args)
  },
)

export const changeAnyDevice = action<OwnerArguments & AppArguments & { any: string }>(
  async (args, session) => {
    const app = await requireApp(session, args.app)
    return submitCalls(session, [setAllowAnyDevice(app, readBoolean(args.any, 'any'))], args)
  },
)

export const changeTcbRequired = action<OwnerArguments & AppArguments & { required: string }>(
  async (args, session) => {
    const app = await requireApp(session, args.app)
    return submitCalls(
      session,
      [setRequireTcbUpToDate(app, readBoolean(args.required, 'required'))],
      args,
    )
  },
)

export const changeVariants = action<
  OwnerArguments & AppArguments & { variants: readonly string[] }
>(async (args, session) => {
  const app = await requireApp(session, args.app)
  const bits = args.variants.map((name) => {
    const n = variantNames.indexOf(name)
    if (n >= 0) return 1 << n
    throw new AssentError('USAGE_INVALID', `variants: of ${variantNames.join(', ')}.`, {
      facts: { found: name },
    })
  })
  return submitCalls(
    session,
    [
      setVariants(
        app,
        bits.reduce((all, bit) => all | bit, 0),
      ),
    ],
    args,
  )
})

const daoSchema = z.strictObject({
  token: z.union([
    newTokenSchema,
    z.strictObject({ name: z.string(), symbol: z.string(), underlying: accountSchema }),
  ]),
  ...daoFields,
})

export const createAppDao = action<OwnerArguments & { file: string; app?: string }>(
  async (args, session) => {
    const { publicClient, addresses, output } = session
    if (addresses.daoFactory === undefined) {
      throw new AssentError('INPUT_INVALID', 'This deployment has no DaoFactory contract.')
    }
    const app = args.app === undefined ? undefined : await requireApp(session, args.app)
    const terms = termsOf(await readBy(daoSchema, args.file))
    const call = createDao(addresses.daoFactory, terms, app)
    const done = await submitCalls(session, [call], args)
    const [hash] = (done.transactions ?? []) as readonly `0x${string}`[]
    if (hash === undefined) return done
    const receipt = await publicClient.getTransactionReceipt({ hash })
    const dao = readCreatedDao(receipt, addresses.daoFactory)
    for (const [name, address] of Object.entries(dao)) output.line(`  ${name.padEnd(9)} ${address}`)
    return { ...dao, ...done }
  },
)

function termsOf(file: z.infer<typeof daoSchema>): DaoParameters {
  const { token, guardian, quorumPercent, timelockDelay, ...rest } = file
  return {
    ...rest,
    name: token.name,
    symbol: token.symbol,
    underlying: 'underlying' in token ? token.underlying : zeroAddress,
    holder: 'underlying' in token ? zeroAddress : token.holder,
    supply: 'underlying' in token ? 0n : token.supply,
    quorumPercent: BigInt(quorumPercent),
    timelockDelay: BigInt(timelockDelay),
    guardian: guardian === 'nobody' ? zeroAddress : guardian,
  }
}
