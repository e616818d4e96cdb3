/**
 * Whether a deployment is as it must be: who may propose, who owns, who can only deny, which code is where,
 * whose quotes count. The record only says where to look; everything is read from the chain.
 */
import {
  type Abi,
  type Address,
  concat,
  getAddress,
  keccak256,
  type PublicClient,
  pad,
  parseEventLogs,
  toBytes,
  toFunctionSelector,
  zeroAddress,
} from 'viem'

import { AssentError } from '../errors/index.ts'
import { fromHex, type Hex, to0x } from '../lib/bytes.ts'
import { parseCertificate } from '../quote/certificate.ts'
import { intelRootKey } from '../quote/intel-root.ts'
import type { TrustAnchor } from '../quote/trust-anchor.ts'
import {
  approvalRegistryAbi,
  assentGovernorAbi,
  bootLogAbi,
  hostsAbi,
  kmsAuthAbi,
  quoteVerifierAbi,
  rootKeysAbi,
  timelockControllerAbi,
} from './abi.ts'
import { decodeRevert, revertData, toChainError } from './call.ts'
import { type Artifacts, requireRecordedCode } from './code.ts'
import { type Addresses, type Deployment, deployedAddresses } from './deployments.ts'
import type { Deed } from './governance/deeds/deed.ts'
import { type ContractType, explained } from './governance/explain.ts'
import { historyOf } from './history.ts'

/** One thing that must hold, and what was found. */
export interface Finding {
  readonly holds: boolean
  readonly what: string
  readonly found: string
}

export interface CheckOptions {
  /** Whose quotes must count; needed where a verifier is deployed. */
  readonly root?: TrustAnchor
  /** Compiled sources; without them the code is not compared. */
  readonly artifacts?: Artifacts
}

/** Roles of the timelock; nobody else may hold any of them. */
const roles = {
  admin: `0x${'00'.repeat(32)}`,
  proposer: keccak256(toBytes('PROPOSER_ROLE')),
  canceller: keccak256(toBytes('CANCELLER_ROLE')),
  executor: keccak256(toBytes('EXECUTOR_ROLE')),
} as const satisfies Record<string, Hex>

/** Proxies with an owner, and the contract behind each. */
const owned = {
  kmsAuth: 'KmsAuth',
  images: 'Images',
  hosts: 'Hosts',
  rootKeys: 'RootKeys',
  hostBonds: 'HostBonds',
} as const satisfies Record<string, ContractType>

type OwnedName = keyof typeof owned

/** @throws CHAIN_UNREACHABLE, CALL_REVERTED, DEPLOYMENT_INVALID */
export async function checkDeployment(
  client: PublicClient,
  deployment: Deployment,
  options: CheckOptions = {},
): Promise<Finding[]> {
  const addresses = deployedAddresses(deployment)
  const names = (Object.keys(owned) as OwnedName[]).filter((name) => addresses[name] !== undefined)
  try {
    const guardian = await readGuardian(client, addresses.governor)
    const findings = [
      await checkPending(deployment),
      ...(await checkRoles(client, deployment, addresses)),
      ...(await checkGovernor(client, addresses)),
    ]
    for (const name of names) {
      const address = addresses[name] as Address
      findings.push(
        ...(await checkOwned(client, name, address, { timelock: addresses.timelock, guardian })),
        await checkImplementation(client, name, address, deployment),
        await checkDisabled(client, name, deployment),
      )
    }
    findings.push(...(await checkPowers(client, deployment, addresses, { names, guardian })))
    findings.push(...(await checkWiring(client, addresses)))
    findings.push(...(await checkVerifier(client, addresses, options.root)))
    if (options.artifacts)
      findings.push(...(await checkCode(client, deployment, options.artifacts)))
    return findings
  } catch (cause) {
    throw toChainError(cause, 'check the deployment')
  }
}

async function checkPending({ pending }: Deployment): Promise<Finding> {
  return {
    holds: pending === undefined,
    what: 'the deployment is complete',
    found: pending === undefined ? 'yes' : `it stopped at ${pending.name}: run it again`,
  }
}

/* WHO DECIDES */

async function checkRoles(
  client: PublicClient,
  deployment: Deployment,
  { timelock, governor }: Addresses,
): Promise<Finding[]> {
  const from = BigInt(deployment.contracts.timelock?.block ?? 0)
  const holders = await roleHolders(client, timelock, from)
  const intended: Record<keyof typeof roles, Address> = {
    admin: timelock,
    proposer: governor,
    canceller: governor,
    executor: governor,
  }
  const known = new Set<string>(Object.values(roles))
  const others = [...holders].filter(([role, who]) => !known.has(role) && who.length > 0)
  return [
    ...Object.entries(roles).map(([name, role]) =>
      equal(`holders of the timelock's ${name} role`, holders.get(role) ?? [], [
        intended[name as keyof typeof roles],
      ]),
    ),
    equal(
      'holders of other roles of the timelock',
      others.flatMap(([, who]) => who),
      [],
    ),
  ]
}

/** Who holds what, from the timelock's whole history: its roles cannot be listed. */
async function roleHolders(
  client: PublicClient,
  timelock: Address,
  fromBlock: bigint,
): Promise<Map<Hex, string[]>> {
  const logs = parseEventLogs({
    abi: timelockControllerAbi,
    eventName: ['RoleGranted', 'RoleRevoked'],
    logs: await historyOf(client, timelock, fromBlock),
  })
  const holders = new Map<Hex, string[]>()
  for (const { eventName, args } of logs) {
    const others = (holders.get(args.role) ?? []).filter((each) => each !== args.account)
    holders.set(args.role, eventName === 'RoleGranted' ? [...others, args.account] : others)
  }
  return holders
}

function readGuardian(client: PublicClient, governor: Address): Promise<Address> {
  return client.readContract({
    address: governor,
    abi: assentGovernorAbi,
    functionName: 'proposalGuardian',
  })
}

async function checkGovernor(
  client: PublicClient,
  { governor, timelock, votes }: Addresses,
): Promise<Finding[]> {
  const contract = { address: governor, abi: assentGovernorAbi } as const
  const [foundTimelock, foundVotes] = await Promise.all([
    client.readContract({ ...contract, functionName: 'timelock' }),
    client.readContract({ ...contract, functionName: 'token' }),
  ])
  return [
    equal('timelock of the governor', [foundTimelock], [timelock]),
    equal('votes of the governor', [foundVotes], [votes]),
  ]
}

async function checkOwned(
  client: PublicClient,
  name: OwnedName,
  address: Address,
  { timelock, guardian }: { timelock: Address; guardian: Address },
): Promise<Finding[]> {
  const contract = { address, abi: approvalRegistryAbi } as const
  const owner = await client.readContract({ ...contract, functionName: 'owner' })
  const pending = await client.readContract({ ...contract, functionName: 'pendingOwner' })
  const findings = [
    equal(`owner of ${name}`, [owner], [timelock]),
    equal(`pending owner of ${name}`, [pending], [zeroAddress]),
  ]
  if (name === 'hostBonds') return findings
  const denier = await client.readContract({ ...contract, functionName: 'guardian' })
  return [...findings, equal(`guardian of ${name}, as of the governor`, [denier], [guardian])]
}

/* WHO CAN ONLY DENY, AND WHO NOTHING */

/** Tries, in a call that changes nothing, every function of an owner as somebody who must not have it. */
async function checkPowers(
  client: PublicClient,
  deployment: Deployment,
  addresses: Addresses,
  { names, guardian }: { names: readonly OwnedName[]; guardian: Address },
): Promise<Finding[]> {
  const deployers = new Set(Object.values(deployment.contracts).map(({ deployer }) => deployer))
  const suspects: [string, Address][] = [
    ...[...deployers].map((each): [string, Address] => ['the deployer', each]),
    ...(guardian === zeroAddress ? [] : [['the guardian', guardian] as [string, Address]]),
  ]
  const findings: Finding[] = []
  for (const [who, account] of suspects) {
    const allowed: string[] = []
    for (const name of names) {
      const open = await openFunctions(client, owned[name], addresses[name] as Address, account)
      allowed.push(...open.map((each) => `${name}.${each}`))
    }
    findings.push({
      holds: allowed.length === 0,
      what: `${who} (${account}) can allow, change or give away nothing`,
      found: allowed.length === 0 ? 'every function of the owner refuses it' : allowed.join(', '),
    })
  }
  return findings
}

/** The owner's functions that do not refuse `account` for not being the owner. */
async function openFunctions(
  client: PublicClient,
  type: ContractType,
  address: Address,
  account: Address,
): Promise<string[]> {
  const { abi, deeds } = explained[type] as unknown as {
    abi: Abi
    deeds: Record<string, Deed | undefined>
  }
  const guarded = abi.filter(
    (item) => item.type === 'function' && deeds[item.name]?.by === 'owner',
  ) as Extract<Abi[number], { type: 'function' }>[]
  const open = await Promise.all(
    guarded.map(async (item) => {
      // zeros are an empty value of every type: the owner is asked for before they matter
      const data = concat([toFunctionSelector(item), pad('0x', { size: 32 * 24 })])
      return (await refusesAsOwner(client, address, account, data)) ? undefined : item.name
    }),
  )
  return open.filter((each) => each !== undefined)
}

async function refusesAsOwner(
  client: PublicClient,
  to: Address,
  account: Address,
  data: Hex,
): Promise<boolean> {
  try {
    await client.call({ account, to, data })
    return false
  } catch (cause) {
    const revert = revertData(cause)
    if (revert === undefined) throw toChainError(cause, `try a function of ${to}`)
    return decodeRevert(revert).error === 'OwnableUnauthorizedAccount'
  }
}

/* WHICH CODE */

const implementationSlot: Hex = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc'

/** OpenZeppelin's Initializable (ERC-7201): the version in the low 8 bytes. */
const initializedSlot: Hex = '0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00'

async function checkImplementation(
  client: PublicClient,
  name: string,
  address: Address,
  { contracts }: Deployment,
): Promise<Finding> {
  const found = await implementationOf(client, address)
  const recorded = contracts[`${name}Implementation`]?.address ?? zeroAddress
  return equal(`implementation of ${name}, as recorded`, [found], [recorded])
}

/** The code behind a proxy (ERC-1967); the zero address if it is none. @throws CHAIN_UNREACHABLE */
export async function implementationOf(client: PublicClient, address: Address): Promise<Address> {
  const word = await storageAt(client, address, implementationSlot)
  return word === undefined ? zeroAddress : `0x${word.slice(26)}`
}

/** Nobody may initialize the code itself and then upgrade it away. */
async function checkDisabled(
  client: PublicClient,
  name: string,
  { contracts }: Deployment,
): Promise<Finding> {
  const address = contracts[`${name}Implementation`]?.address ?? zeroAddress
  const word = await storageAt(client, address, initializedSlot)
  const isDisabled = word?.endsWith('f'.repeat(16)) ?? false
  return {
    holds: isDisabled,
    what: `the code of ${name} cannot be initialized itself`,
    found: isDisabled ? 'it is disabled' : 'anyone may initialize it',
  }
}

async function storageAt(
  client: PublicClient,
  address: Address,
  slot: Hex,
): Promise<Hex | undefined> {
  const word = await client.getStorageAt({ address, slot }).catch((cause: unknown) => {
    throw toChainError(cause, `read the storage of ${address}`)
  })
  return word?.length === 66 ? word : undefined
}

async function checkCode(
  client: PublicClient,
  { contracts, commit }: Deployment,
  artifacts: Artifacts,
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [name, recorded] of Object.entries(contracts)) {
    const what = `code of ${name}: ${recorded.contract} with its arguments, byte for byte`
    try {
      findings.push({
        holds: true,
        what,
        found: await requireRecordedCode(client, artifacts, name, recorded),
      })
    } catch (error) {
      if (!(error instanceof AssentError) || error.code !== 'CODE_MISMATCH') throw error
      const found = `${error.message} (recorded commit ${commit})`
      findings.push({ holds: false, what, found })
    }
  }
  return findings
}

/* WHAT ASKS WHOM */

async function checkWiring(client: PublicClient, addresses: Addresses): Promise<Finding[]> {
  const { kmsAuth, hosts, rootKeys, bootLog, images, hostBonds, quoteVerifier } = addresses
  const none = zeroAddress
  const kms = { address: kmsAuth, abi: kmsAuthAbi } as const
  const findings = [
    equal(
      'app implementation of kmsAuth, as recorded',
      [await client.readContract({ ...kms, functionName: 'appImplementation' })],
      [addresses.appImplementation],
    ),
    oneOf('hosts that kmsAuth asks', await client.readContract({ ...kms, functionName: 'hosts' }), [
      hosts ?? none,
      none,
    ]),
    oneOf(
      'images that kmsAuth asks',
      await client.readContract({ ...kms, functionName: 'images' }),
      [images ?? none, none],
    ),
  ]
  const verifier = [quoteVerifier ?? none]
  if (hosts !== undefined) {
    const at = { address: hosts, abi: hostsAbi } as const
    const found = await client.readContract({ ...at, functionName: 'verifier' })
    const bonds = await client.readContract({ ...at, functionName: 'bonds' })
    findings.push(
      equal('verifier of hosts', [found], verifier),
      oneOf('bonds that hosts asks', bonds, [hostBonds ?? none, none]),
    )
  }
  if (rootKeys !== undefined) {
    const at = { address: rootKeys, abi: rootKeysAbi } as const
    const found = await client.readContract({ ...at, functionName: 'verifier' })
    const asked = await client.readContract({ ...at, functionName: 'kmsAuth' })
    findings.push(
      equal('verifier of rootKeys', [found], verifier),
      equal('kmsAuth of rootKeys', [asked], [kmsAuth]),
    )
  }
  if (bootLog !== undefined) {
    const at = { address: bootLog, abi: bootLogAbi } as const
    const found = await client.readContract({ ...at, functionName: 'verifier' })
    findings.push(equal('verifier of bootLog', [found], verifier))
  }
  return findings
}

/* WHOSE QUOTES */

async function checkVerifier(
  client: PublicClient,
  { quoteVerifier }: Addresses,
  root: TrustAnchor | undefined,
): Promise<Finding[]> {
  if (quoteVerifier === undefined) return []
  if (root === undefined) {
    throw new AssentError(
      'INPUT_INVALID',
      'Say whose quotes must count: intel, or a root certificate.',
    )
  }
  const contract = { address: quoteVerifier, abi: quoteVerifierAbi } as const
  const [x, y] = await client.readContract({ ...contract, functionName: 'rootKey' })
  const found = concat([pad(`0x${x.toString(16)}`), pad(`0x${y.toString(16)}`)])
  const wanted = to0x(root === 'intel' ? intelRootKey : parseCertificate(root, 'root').key.point)
  const p256 = await client.readContract({ ...contract, functionName: 'p256' })
  const works = await verifiesP256(client, p256)
  const mode =
    p256.toLowerCase() === `0x${'0'.repeat(37)}100` ? 'the precompile' : `the contract ${p256}`
  return [
    {
      holds: found === wanted,
      what: `quotes must lead back to ${root === 'intel' ? 'Intel’s root key' : 'the given root'}`,
      found: found === to0x(intelRootKey) ? 'Intel’s root key' : `the key ${found}`,
    },
    {
      holds: works,
      what: 'P-256 is verified on this chain',
      found: `${mode} ${works ? 'tells a good signature from a bad one' : 'does not'}`,
    },
  ]
}

/** RFC 6979 A.2.5, P-256 with SHA-256 over "sample": digest, r, s, x, y. */
const goodSignature = fromHex(
  'af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf' +
    'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
    'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8' +
    '60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6' +
    '7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
  'signature',
)

async function verifiesP256(client: PublicClient, p256: Address): Promise<boolean> {
  const badSignature = goodSignature.with(0, 0)
  const [good, bad] = await Promise.all(
    [goodSignature, badSignature].map(async (bytes) => {
      const { data } = await client.call({ to: p256, data: to0x(bytes) })
      return data ?? '0x'
    }),
  )
  return good === pad('0x01') && bad === '0x'
}

function equal(what: string, found: readonly string[], expected: readonly string[]): Finding {
  const normal = (list: readonly string[]) => [...list].map((each) => getAddress(each)).sort()
  const [is, must] = [normal(found), normal(expected)]
  return { holds: is.join() === must.join(), what, found: is.join(', ') || 'nobody' }
}

function oneOf(what: string, found: Address, allowed: readonly Address[]): Finding {
  const holds = allowed.some((each) => getAddress(each) === getAddress(found))
  return { holds, what, found: found === zeroAddress ? 'none' : getAddress(found) }
}
