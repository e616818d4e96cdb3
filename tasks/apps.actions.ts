import { sha256 } from 'viem'

import {
  announce,
  approveManifest,
  disableUpgrades,
  setAllowAnyDevice,
  setNotice,
  setRequireTcbUpToDate,
  supersede,
} from '../src/chain/app.ts'
import { requireContract } from '../src/chain/deployments.ts'
import { readDraft } from '../src/chain/drafts.ts'
import { deployAndRegisterApp, deployedApp, registerApp } from '../src/chain/registry.ts'
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
import { carryOut, type DecidingArguments, sendOwn } from './carry-out.ts'
import { requireApp, type SigningArguments, signerOf } from './session.ts'

interface Creating extends SigningArguments {
  readonly owner?: string
  readonly release?: string
  readonly device?: string
  readonly anyDevice: boolean
  readonly tcbRequired: boolean
  readonly frozen: boolean
}

export const createApp = action<Creating>(async (args, session) => {
  const { publicClient, addresses, say } = session
  const account = (await signerOf(session, args.from)).walletClient.account.address
  const call = deployAndRegisterApp(addresses.kmsAuth, {
    owner: args.owner === undefined ? account : readAddress(args.owner, '--owner'),
    disableUpgrades: args.frozen,
    requireTcbUpToDate: args.tcbRequired,
    allowAnyDevice: args.anyDevice,
    ...(args.device ? { deviceId: readId(args.device, '--device') } : {}),
    ...(args.release ? { composeHash: readId(args.release, '--release') } : {}),
  })
  const done = await sendOwn(session, call, args)
  const [hash] = done.transactions as readonly [`0x${string}`]
  const app = deployedApp(await publicClient.getTransactionReceipt({ hash }))
  say.line(`The app’s id: ${app}`)
  return { app, ...done }
})

interface OnApp {
  readonly app: string
}

export const registerExistingApp = action<SigningArguments & OnApp>(async (args, session) => {
  const app = readAddress(args.app, 'app')
  await requireContract(session.publicClient, app, 'app')
  return sendOwn(session, registerApp(session.addresses.kmsAuth, app), args)
})

export const approveRelease = action<
  DecidingArguments & OnApp & { manifest: string; activeFrom?: string; expiresAt?: string }
>(async (args, session) => {
  const app = await requireApp(session, args.app)
  const manifest = await readBytes(args.manifest)
  const composeHash = sha256(manifest)
  session.say.line(`${args.manifest} hashes to ${composeHash}.`)
  const call = approveManifest(app, composeHash, manifest, {
    ...(args.activeFrom ? { activeFrom: readTime(args.activeFrom, '--active-from') } : {}),
    ...(args.expiresAt ? { expiresAt: readTime(args.expiresAt, '--expires-at') } : {}),
  })
  return { composeHash, ...(await carryOut(session, [call], args)) }
})

export const supersedeReleases = action<
  DecidingArguments & OnApp & { oldest: string; at?: string; nextEpoch: boolean }
>(async (args, session) => {
  const app = await requireApp(session, args.app)
  const from = args.at === undefined ? 0 : readTime(args.at, '--at')
  return carryOut(
    session,
    [supersede(app, readCount(args.oldest, 'oldest'), from, args.nextEpoch)],
    args,
  )
})

export const changeNotice = action<DecidingArguments & OnApp & { notice: string }>(
  async (args, session) => {
    const app = await requireApp(session, args.app)
    return carryOut(session, [setNotice(app, readDuration(args.notice, 'notice'))], args)
  },
)

export const announceCall = action<DecidingArguments & OnApp & { file: string }>(
  async (args, session) => {
    const app = await requireApp(session, args.app)
    const [call, ...more] = await readDraft(args.file, session.chainId)
    if (call === undefined || more.length > 0 || call.to.toLowerCase() !== app.toLowerCase()) {
      throw new AssentError('DRAFT_INVALID', 'An announcement is of exactly one call to the app.', {
        facts: { file: args.file, app },
      })
    }
    return carryOut(session, [announce(app, call)], args)
  },
)

export const changeAnyDevice = action<DecidingArguments & OnApp & { any: string }>(
  async (args, session) => {
    const app = await requireApp(session, args.app)
    return carryOut(session, [setAllowAnyDevice(app, readBoolean(args.any, 'any'))], args)
  },
)

export const changeTcbRequired = action<DecidingArguments & OnApp & { required: string }>(
  async (args, session) => {
    const app = await requireApp(session, args.app)
    return carryOut(
      session,
      [setRequireTcbUpToDate(app, readBoolean(args.required, 'required'))],
      args,
    )
  },
)

export const freezeApp = action<DecidingArguments & OnApp>(async (args, session) =>
  carryOut(session, [disableUpgrades(await requireApp(session, args.app))], args),
)
