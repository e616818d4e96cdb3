import { type Address, isHex, parseUnits, stringToHex, zeroAddress } from 'viem'

import { hostsAbi } from '../src/chain/abi.ts'
import { toChainError } from '../src/chain/call.ts'
import { onChainStatuses } from '../src/chain/deeds/kms.ts'
import { requireContract } from '../src/chain/deployments.ts'
import {
  registryOf,
  setGatewayAppId,
  setGuardian,
  setHosts,
  setKmsInfo,
} from '../src/chain/registry.ts'
import {
  acceptOwnership,
  type HostRules,
  offerOwnership,
  renounceOwnership,
  setActivationDelay,
  setAdvisoriesDenied,
  setAppImplementation,
  setGuardianEverywhere,
  setHostRules,
  setOperator,
  setStatusRule,
  setVerifier,
  setVoting,
  upgrade,
  type VotingChange,
} from '../src/chain/settings.ts'
import { AssentError } from '../src/errors/index.ts'
import { type Hex, to0x } from '../src/lib/bytes.ts'
import { action } from './action.ts'
import { requireOption } from './approvals.actions.ts'
import {
  readAddress,
  readBoolean,
  readCount,
  readDuration,
  readId,
  readKind,
  readTime,
} from './arguments.ts'
import { readBootstrap } from './bootstrap.ts'
import { carryOut, type DecidingArguments } from './carry-out.ts'
import { requireApp, type Session } from './session.ts'

function readAddressOrNobody(text: string, what: string): Address {
  return text === 'nobody' ? zeroAddress : readAddress(text, what)
}

/** A contract by its name in the deployment, or an app by its address. */
async function readContract(session: Session, text: string): Promise<Address> {
  if (text.startsWith('0x')) return requireApp(session, text)
  const known = ['kmsAuth', 'hosts', 'rootKeys'] as const
  const name = known.find((each) => each === text)
  const address = name === undefined ? undefined : session.addresses[name]
  if (address !== undefined) return address
  throw new AssentError(
    'USAGE_INVALID',
    `contract: an app’s address, or one of ${known.join(', ')} if it is deployed.`,
    {
      facts: { found: text },
    },
  )
}

/** Where code must be, code is looked for. */
async function readCode(session: Session, text: string, what: string): Promise<Address> {
  const address = readAddress(text, what)
  await requireContract(session.publicClient, address, what)
  return address
}

/* HOW THE DAO DECIDES */

export const nameGuardian = action<
  DecidingArguments & { guardian: string; suspension?: string; app?: string }
>(async (args, session) => {
  const guardian = readAddressOrNobody(args.guardian, 'guardian')
  const suspension = readDuration(requireOption(args.suspension, '--suspension'), '--suspension')
  if (args.app !== undefined) {
    const app = await requireApp(session, args.app)
    return carryOut(session, [setGuardian(app, guardian, suspension)], args)
  }
  return carryOut(session, setGuardianEverywhere(session.addresses, guardian, suspension), args)
})

interface Voting extends DecidingArguments {
  readonly votingDelay?: string
  readonly votingPeriod?: string
  readonly threshold?: string
  readonly quorum?: string
  readonly lateExtension?: string
  readonly timelockDelay?: string
}

export const changeVoting = action<Voting>(async (args, session) => {
  const { votingDelay, votingPeriod, threshold, quorum, lateExtension, timelockDelay } = args
  const change: VotingChange = {
    ...(votingDelay ? { votingDelay: readDuration(votingDelay, '--voting-delay') } : {}),
    ...(votingPeriod ? { votingPeriod: readDuration(votingPeriod, '--voting-period') } : {}),
    ...(threshold ? { proposalThreshold: readTokens(threshold) } : {}),
    ...(quorum ? { quorumPercent: readCount(quorum, '--quorum') } : {}),
    ...(lateExtension
      ? { lateQuorumExtension: readDuration(lateExtension, '--late-extension') }
      : {}),
    ...(timelockDelay ? { timelockDelay: readDuration(timelockDelay, '--timelock-delay') } : {}),
  }
  const calls = setVoting(session.addresses, change)
  if (calls.length === 0) throw new AssentError('USAGE_INVALID', 'Say what is to change.')
  return carryOut(session, calls, args)
})

function readTokens(text: string): bigint {
  if (/^\d{1,60}(?:\.\d{1,18})?$/.test(text)) return parseUnits(text, 18)
  throw new AssentError('USAGE_INVALID', '--threshold: a number of tokens, like 12.5.')
}

/* KMS */

export const changeDelay = action<DecidingArguments & { kind: string; delay: string }>(
  async (args, session) => {
    const { kmsAuth } = session.addresses
    const kind = readKind(args.kind)
    if (registryOf(session.addresses, kind, zeroAddress) !== kmsAuth) {
      throw new AssentError(
        'USAGE_INVALID',
        `KmsAuth keeps no ${args.kind}; hosts have their delay in set-host-rules.`,
      )
    }
    return carryOut(
      session,
      [setActivationDelay(kmsAuth, kind, readDuration(args.delay, 'delay'))],
      args,
    )
  },
)

export const changeHosts = action<DecidingArguments & { hosts: string }>(async (args, session) => {
  const { kmsAuth, hosts } = session.addresses
  const wanted = args.hosts === 'deployed' ? (hosts ?? 'not deployed') : args.hosts
  const address = wanted === 'nobody' ? zeroAddress : await readCode(session, wanted, 'hosts')
  return carryOut(session, [setHosts(kmsAuth, address)], args)
})

export const changeGateway = action<DecidingArguments & { id: string }>((args, session) =>
  carryOut(session, [setGatewayAppId(session.addresses.kmsAuth, args.id)], args),
)

export const publishKmsInfo = action<DecidingArguments & { file: string }>(
  async (args, session) => {
    const { k256PublicKey, caPublicKey, quote, attestation } = await readBootstrap(args.file)
    const info = {
      k256Pubkey: to0x(k256PublicKey),
      caPubkey: to0x(caPublicKey),
      quote: to0x(quote),
      // the whole attestation: its events are nowhere else byte for byte
      eventlog: to0x(attestation),
    }
    return carryOut(session, [setKmsInfo(session.addresses.kmsAuth, info)], args)
  },
)

export const changeAppImplementation = action<DecidingArguments & { implementation: string }>(
  async (args, session) => {
    const code = await readCode(session, args.implementation, 'implementation')
    return carryOut(session, [setAppImplementation(session.addresses.kmsAuth, code)], args)
  },
)

/* HOSTS */

function requireHosts({ addresses }: Session): Address {
  if (addresses.hosts !== undefined) return addresses.hosts
  throw new AssentError('INPUT_INVALID', 'This deployment has no registry of hosts.')
}

interface Rules extends DecidingArguments {
  readonly open?: string
  readonly activationDelay?: string
  readonly minLifetime?: string
  readonly maxLifetime?: string
  readonly attestedSince?: string
  readonly window?: string
  readonly minEvaluationNumber?: string
}

export const changeHostRules = action<Rules>(async (args, session) => {
  const hosts = requireHosts(session)
  const known: HostRules = await session.publicClient
    .readContract({ address: hosts, abi: hostsAbi, functionName: 'rules' })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read the rules of hosts')
    })
  const rules: HostRules = {
    ...known,
    ...(args.open ? { isOpen: readBoolean(args.open, '--open') } : {}),
    ...(args.activationDelay
      ? { activationDelay: readDuration(args.activationDelay, '--activation-delay') }
      : {}),
    ...(args.minLifetime ? { minLifetime: readDuration(args.minLifetime, '--min-lifetime') } : {}),
    ...(args.maxLifetime ? { maxLifetime: readDuration(args.maxLifetime, '--max-lifetime') } : {}),
    ...(args.attestedSince
      ? { attestedSince: readTime(args.attestedSince, '--attested-since') }
      : {}),
    ...(args.window ? { window: readCount(args.window, '--window') } : {}),
    ...(args.minEvaluationNumber
      ? { minEvaluationNumber: readCount(args.minEvaluationNumber, '--min-evaluation-number') }
      : {}),
  }
  return carryOut(session, [setHostRules(hosts, rules)], args)
})

export const changeStatusRule = action<DecidingArguments & { status: string; until: string }>(
  async (args, session) => {
    const status = onChainStatuses.indexOf(args.status)
    if (status < 1) {
      throw new AssentError(
        'USAGE_INVALID',
        `status: one of ${onChainStatuses.slice(1).join(', ')}.`,
        {
          facts: { found: args.status },
        },
      )
    }
    const ends: Record<string, number> = { always: 2 ** 40 - 1, never: 0 }
    const until = ends[args.until] ?? readTime(args.until, 'until')
    return carryOut(session, [setStatusRule(requireHosts(session), status, until)], args)
  },
)

export const changeAdvisories = action<
  DecidingArguments & { verb: string; advisories: readonly string[] }
>(async (args, session) => {
  if (args.verb !== 'deny' && args.verb !== 'accept') {
    throw new AssentError('USAGE_INVALID', 'verb: deny or accept.', { facts: { found: args.verb } })
  }
  const ids = args.advisories.map(readAdvisory)
  return carryOut(
    session,
    [setAdvisoriesDenied(requireHosts(session), ids, args.verb === 'deny')],
    args,
  )
})

/** As the verifier packs them: the text, then zeros. */
function readAdvisory(text: string): Hex {
  if (/^INTEL-[A-Z]{2,4}-\d{5}$/.test(text)) return stringToHex(text, { size: 32 })
  throw new AssentError('USAGE_INVALID', 'advisories: ids like INTEL-SA-00828.', {
    facts: { found: text },
  })
}

export const changeOperator = action<DecidingArguments & { device: string; operator: string }>(
  (args, session) => {
    const device = readId(args.device, 'device')
    const operator = readAddress(args.operator, 'operator')
    return carryOut(session, [setOperator(requireHosts(session), device, operator)], args)
  },
)

export const changeVerifier = action<DecidingArguments & { registry: string; verifier: string }>(
  async (args, session) => {
    const { registry } = args
    const address =
      registry === 'hosts' || registry === 'rootKeys' ? session.addresses[registry] : undefined
    if (address === undefined) {
      throw new AssentError('USAGE_INVALID', 'registry: hosts or rootKeys, if it is deployed.', {
        facts: { found: registry },
      })
    }
    const verifier = await readCode(session, args.verifier, 'verifier')
    return carryOut(session, [setVerifier(address, verifier)], args)
  },
)

/* OWNERSHIP AND CODE */

interface OnContract extends DecidingArguments {
  readonly contract: string
}

export const replaceCode = action<OnContract & { implementation: string; call?: string }>(
  async (args, session) => {
    const contract = await readContract(session, args.contract)
    const code = await readCode(session, args.implementation, 'implementation')
    const data = args.call ?? '0x'
    if (!isHex(data, { strict: true }) || data.length % 2 !== 0) {
      throw new AssentError('USAGE_INVALID', '--call: calldata in hexadecimal digits.')
    }
    return carryOut(session, [upgrade(contract, code, data)], args)
  },
)

export const handOver = action<OnContract & { to: string }>(async (args, session) => {
  const contract = await readContract(session, args.contract)
  return carryOut(session, [offerOwnership(contract, readAddress(args.to, 'to'))], args)
})

export const takeOver = action<OnContract>(async (args, session) =>
  carryOut(session, [acceptOwnership(await readContract(session, args.contract))], args),
)

export const giveUp = action<OnContract>(async (args, session) =>
  carryOut(session, [renounceOwnership(await readContract(session, args.contract))], args),
)
