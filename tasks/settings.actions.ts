import { type Address, parseUnits, stringToHex, zeroAddress, zeroHash } from 'viem'

import { hostBondsAbi, hostsAbi, imagesAbi, quoteVerifierAbi } from '../src/chain/abi.ts'
import { setBondTerms, slash } from '../src/chain/bonds.ts'
import { toChainError } from '../src/chain/call.ts'
import { requireContract } from '../src/chain/deployments.ts'
import { encodeEvidence, parseEvidence } from '../src/chain/governance/approval-evidence.ts'
import { onChainStatuses, variantNames } from '../src/chain/governance/call-descriptions/kms.ts'
import {
  acceptOwnership,
  approveMeasurementSets,
  closeImages,
  type HostRules,
  openImages,
  renounceOwnership,
  renounceUpgrades,
  setActivationDelay,
  setAdvisoriesDenied,
  setBonds,
  setContinuityDelay,
  setGuardianEverywhere,
  setHostRules,
  setImageName,
  setImages,
  setOperator,
  setStatusRule,
  setVerifier,
  setVoting,
  transferOwnership,
  type VotingChange,
} from '../src/chain/governance/settings.ts'
import {
  registryOf,
  setGatewayAppId,
  setGuardian,
  setHosts,
  setKmsInfo,
} from '../src/chain/registry.ts'
import { AssentError } from '../src/errors/index.ts'
import { fromHex, type Hex, to0x } from '../src/lib/bytes.ts'
import { action } from './action.ts'
import { requireOption } from './approvals.actions.ts'
import {
  readAddress,
  readBoolean,
  readBytes,
  readCount,
  readDuration,
  readId,
  readJson,
  readKind,
  readTime,
  readUnits,
} from './arguments.ts'
import { readBootstrap } from './bootstrap.ts'
import { type OwnerArguments, readNotAfter, submitCalls } from './execute-plan.ts'
import { requireBonds } from './hosts.actions.ts'
import { warnAboutPinnedRegistry } from './pinned-code.ts'
import { requireAnswer, requireApp, type Session } from './session.ts'

function readAddressOrNobody(text: string, what: string): Address {
  return text === 'nobody' ? zeroAddress : readAddress(text, what)
}

/** A contract by its name in the deployment, or an app by its address. */
export async function readContract(session: Session, text: string): Promise<Address> {
  if (text.startsWith('0x')) return requireApp(session, text)
  const known = ['kmsAuth', 'images', 'hosts', 'rootKeys', 'hostBonds'] as const
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
export async function readCode(session: Session, text: string, what: string): Promise<Address> {
  const address = readAddress(text, what)
  await requireContract(session.publicClient, address, what)
  return address
}

/* VOTING */

export const changeGuardian = action<
  OwnerArguments & { guardian: string; suspension?: string; app?: string }
>(async (args, session) => {
  const guardian = readAddressOrNobody(args.guardian, 'guardian')
  const suspension = readDuration(requireOption(args.suspension, '--suspension'), '--suspension')
  const notAfter = await readNotAfter(args, session)
  if (args.app !== undefined) {
    const app = await requireApp(session, args.app)
    return submitCalls(session, [setGuardian(app, guardian, suspension, notAfter)], args)
  }
  return submitCalls(
    session,
    setGuardianEverywhere(session.addresses, guardian, suspension, notAfter),
    args,
  )
})

interface Voting extends OwnerArguments {
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
  if (calls.length === 0)
    throw new AssentError('USAGE_INVALID', 'No parameter is given: pass at least one option.')
  return submitCalls(session, calls, args)
})

function readTokens(text: string): bigint {
  if (/^\d{1,60}(?:\.\d{1,18})?$/.test(text)) return parseUnits(text, 18)
  throw new AssentError('USAGE_INVALID', '--threshold: a number of tokens, like 12.5.')
}

/* KMS */

export const changeDelay = action<OwnerArguments & { kind: string; delay: string }>(
  async (args, session) => {
    const { addresses } = session
    const kind = readKind(args.kind)
    const registry = registryOf(addresses, kind, zeroAddress)
    if (registry !== addresses.kmsAuth && kind !== 'measurements') {
      throw new AssentError('USAGE_INVALID', `The kind ${args.kind} has no activation delay.`, {
        hint: 'For hosts use set-host-rules; apps have a notice period (set-notice-period).',
      })
    }
    const notAfter = await readNotAfter(args, session)
    const call = setActivationDelay(addresses, kind, readDuration(args.delay, 'delay'), notAfter)
    return submitCalls(session, [call], args)
  },
)

/** A function of each registry that no other contract has. */
const registryProbes = {
  hosts: { abi: hostsAbi, functionName: 'continuityDelay', expected: 'a host registry' },
  images: {
    abi: imagesAbi,
    functionName: 'isClosed',
    args: [zeroHash],
    expected: 'an image registry',
  },
  hostBonds: { abi: hostBondsAbi, functionName: 'unbondingTime', expected: 'a HostBonds contract' },
} as const

/** Reads an argument that is the address of a registry, `deployed` for that of this deployment, or `nobody`. */
async function readRegistry(
  session: Session,
  text: string,
  name: 'hosts' | 'images' | 'hostBonds',
): Promise<Address> {
  if (text === 'nobody') return zeroAddress
  if (text !== 'deployed') {
    const address = readAddress(text, name)
    await requireAnswer(session.publicClient, address, { name, ...registryProbes[name] })
    return address
  }
  const deployed = session.addresses[name]
  if (deployed !== undefined) return deployed
  throw new AssentError('INPUT_INVALID', `This deployment has no ${name}.`)
}

export const changeHosts = action<OwnerArguments & { hosts: string }>(async (args, session) => {
  const hosts = await readRegistry(session, args.hosts, 'hosts')
  await warnAboutPinnedRegistry(session, 'hosts', hosts)
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setHosts(session.addresses.kmsAuth, hosts, notAfter)], args)
})

export const changeImages = action<OwnerArguments & { images: string }>(async (args, session) => {
  const images = await readRegistry(session, args.images, 'images')
  await warnAboutPinnedRegistry(session, 'images', images)
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setImages(session.addresses.kmsAuth, images, notAfter)], args)
})

export const changeGateway = action<OwnerArguments & { id: string }>((args, session) =>
  submitCalls(session, [setGatewayAppId(session.addresses.kmsAuth, args.id)], args),
)

export const publishKmsInfo = action<OwnerArguments & { file: string }>(async (args, session) => {
  const { k256PublicKey, caPublicKey, quote, attestation } = await readBootstrap(args.file)
  const info = {
    k256Pubkey: to0x(k256PublicKey),
    caPubkey: to0x(caPublicKey),
    quote: to0x(quote),
    // the whole attestation: its events are nowhere else byte for byte
    eventlog: to0x(attestation),
  }
  return submitCalls(session, [setKmsInfo(session.addresses.kmsAuth, info)], args)
})

/* HOSTS */

function requireHosts({ addresses }: Session): Address {
  if (addresses.hosts !== undefined) return addresses.hosts
  throw new AssentError('INPUT_INVALID', 'This deployment has no host registry.')
}

interface Rules extends OwnerArguments {
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
  return submitCalls(session, [setHostRules(hosts, rules, await readNotAfter(args, session))], args)
})

export const changeStatusRule = action<OwnerArguments & { status: string; until: string }>(
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
    const notAfter = await readNotAfter(args, session)
    const call = setStatusRule(requireHosts(session), status, until, notAfter)
    return submitCalls(session, [call], args)
  },
)

export const changeAdvisories = action<
  OwnerArguments & { verb: string; advisories: readonly string[] }
>(async (args, session) => {
  if (args.verb !== 'deny' && args.verb !== 'accept') {
    throw new AssentError('USAGE_INVALID', 'verb: deny or accept.', { facts: { found: args.verb } })
  }
  const ids = args.advisories.map(readAdvisory)
  const notAfter = await readNotAfter(args, session)
  const call = setAdvisoriesDenied(requireHosts(session), ids, args.verb === 'deny', notAfter)
  return submitCalls(session, [call], args)
})

/** As the verifier packs them: the text, then zeros. */
function readAdvisory(text: string): Hex {
  if (/^INTEL-[A-Z]{2,4}-\d{5}$/.test(text)) return stringToHex(text, { size: 32 })
  throw new AssentError('USAGE_INVALID', 'advisories: ids like INTEL-SA-00828.', {
    facts: { found: text },
  })
}

export const changeOperator = action<OwnerArguments & { device: string; operator: string }>(
  async (args, session) => {
    const device = readId(args.device, 'device')
    const operator = readAddress(args.operator, 'operator')
    const notAfter = await readNotAfter(args, session)
    const call = setOperator(requireHosts(session), device, operator, notAfter)
    return submitCalls(session, [call], args)
  },
)

export const changeVerifier = action<OwnerArguments & { registry: string; verifier: string }>(
  async (args, session) => {
    const { registry } = args
    const address =
      registry === 'hosts' || registry === 'rootKeys' ? session.addresses[registry] : undefined
    if (address === undefined) {
      throw new AssentError('USAGE_INVALID', 'registry: hosts or rootKeys, if it is deployed.', {
        facts: { found: registry },
      })
    }
    const verifier = readAddress(args.verifier, 'verifier')
    await requireAnswer(session.publicClient, verifier, {
      name: 'verifier',
      abi: quoteVerifierAbi,
      functionName: 'rootKey',
      expected: 'a quote verifier',
    })
    const notAfter = await readNotAfter(args, session)
    return submitCalls(session, [setVerifier(address, verifier, notAfter)], args)
  },
)

export const changeContinuity = action<OwnerArguments & { delay: string }>(
  async (args, session) => {
    const delay = args.delay === 'off' ? 0 : readDuration(args.delay, 'delay')
    const notAfter = await readNotAfter(args, session)
    return submitCalls(session, [setContinuityDelay(requireHosts(session), delay, notAfter)], args)
  },
)

/* BONDS */

export const changeBonds = action<OwnerArguments & { bonds: string }>(async (args, session) => {
  const bonds = await readRegistry(session, args.bonds, 'hostBonds')
  await warnAboutPinnedRegistry(session, 'hostBonds', bonds)
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setBonds(requireHosts(session), bonds, notAfter)], args)
})

export const changeBondTerms = action<OwnerArguments & { minimum?: string; unbonding?: string }>(
  async (args, session) => {
    const minimum = readUnits(requireOption(args.minimum, '--minimum'), '--minimum')
    const unbonding = readDuration(requireOption(args.unbonding, '--unbonding'), '--unbonding')
    const notAfter = await readNotAfter(args, session)
    const call = setBondTerms(requireBonds(session), minimum, unbonding, notAfter)
    return submitCalls(session, [call], args)
  },
)

export const slashBond = action<
  OwnerArguments & {
    device: string
    holder: string
    amount: string
    to: string
    evidence?: string
  }
>(async (args, session) => {
  const taken = {
    deviceId: readId(args.device, 'device'),
    holder: readAddress(args.holder, 'holder'),
    amount: readUnits(args.amount, 'amount'),
    to: readAddress(args.to, 'to'),
    evidence: to0x(await readBytes(requireOption(args.evidence, '--evidence'))),
  }
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [slash(requireBonds(session), taken, notAfter)], args)
})

/* IMAGES */

function requireImages({ addresses }: Session): Address {
  if (addresses.images !== undefined) return addresses.images
  throw new AssentError('INPUT_INVALID', 'This deployment has no image registry.')
}

interface Measuring extends OwnerArguments {
  readonly image: string
  readonly variant: string
  readonly registers: string
  readonly evidence?: string
  readonly activeFrom?: string
  readonly expiresAt?: string
}

export const approveMeasurements = action<Measuring>(async (args, session) => {
  const variant = variantNames.indexOf(args.variant)
  if (variant < 0) {
    throw new AssentError('USAGE_INVALID', `variant: one of ${variantNames.join(', ')}.`, {
      facts: { found: args.variant },
    })
  }
  const osImageHash = readId(args.image, 'image')
  const evidence =
    args.evidence === undefined
      ? '0x'
      : encodeEvidence(parseEvidence(await readJson(args.evidence)), 'measurements', osImageHash)
  const set = {
    osImageHash,
    variant,
    registers: to0x(fromHex(args.registers, 'registers')),
    activeFrom: args.activeFrom ? readTime(args.activeFrom, '--active-from') : 0,
    expiresAt: args.expiresAt ? readTime(args.expiresAt, '--expires-at') : 0,
    evidence,
  } as const
  const notAfter = await readNotAfter(args, session)
  return submitCalls(
    session,
    [approveMeasurementSets(requireImages(session), [set], notAfter)],
    args,
  )
})

export const changeImageName = action<OwnerArguments & { image: string; release: string }>(
  (args, session) => {
    const image = readId(args.image, 'image')
    return submitCalls(session, [setImageName(requireImages(session), image, args.release)], args)
  },
)

export const closeImagesAction = action<OwnerArguments & { images: readonly string[] }>(
  (args, session) => {
    const images = args.images.map((image) => readId(image, 'image'))
    return submitCalls(session, [closeImages(requireImages(session), images)], args)
  },
)

export const openImagesAction = action<OwnerArguments & { images: readonly string[] }>(
  async (args, session) => {
    const images = args.images.map((image) => readId(image, 'image'))
    const notAfter = await readNotAfter(args, session)
    return submitCalls(session, [openImages(requireImages(session), images, notAfter)], args)
  },
)

/* OWNERSHIP */

export interface ContractArguments extends OwnerArguments {
  readonly contract: string
}

export const transferContract = action<ContractArguments & { to: string }>(
  async (args, session) => {
    const contract = await readContract(session, args.contract)
    return submitCalls(session, [transferOwnership(contract, readAddress(args.to, 'to'))], args)
  },
)

export const acceptContract = action<ContractArguments>(async (args, session) =>
  submitCalls(session, [acceptOwnership(await readContract(session, args.contract))], args),
)

export const renounceContract = action<ContractArguments>(async (args, session) =>
  submitCalls(session, [renounceOwnership(await readContract(session, args.contract))], args),
)

export const renounceContractUpgrades = action<ContractArguments>(async (args, session) => {
  const contract = await readContract(session, args.contract)
  return submitCalls(session, [renounceUpgrades(contract, args.contract.startsWith('0x'))], args)
})
