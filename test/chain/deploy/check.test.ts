/** Each finding of the check, with a deployment that is broken in just this. */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import hre from 'hardhat'
import {
  type Address,
  concat,
  type EIP1193Provider,
  encodeDeployData,
  encodeFunctionData,
  type Hex,
  keccak256,
  pad,
  size,
  slice,
  toBytes,
  toFunctionSelector,
  toHex,
  zeroHash,
} from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  approvalRegistryAbi,
  assentGovernorAbi,
  assentVotesAbi,
  kmsAuthAbi,
  quoteVerifierAbi,
  timelockControllerAbi,
} from '../../../src/chain/abi.ts'
import { noEnd } from '../../../src/chain/approval.ts'
import { type Call, callOf, sendCall } from '../../../src/chain/call.ts'
import { type CheckOptions, checkDeployment } from '../../../src/chain/check/check.ts'
import { creationCodeOf, type Sources } from '../../../src/chain/check/code.ts'
import { recordedSettings } from '../../../src/chain/check/expected-settings.ts'
import {
  type DeploymentFinding,
  type FindingCode,
  findingCodes,
} from '../../../src/chain/check/finding.ts'
import {
  delegate,
  execute,
  propose,
  queue,
  vote,
} from '../../../src/chain/governance/governance.ts'
import {
  acceptOwnership,
  setBonds,
  setImages,
  setVerifier,
  transferOwnership,
  upgrade,
} from '../../../src/chain/governance/settings.ts'
import {
  type Addresses,
  type DeployedContract,
  type Deployment,
  readDeployment,
} from '../../../src/chain/record/deployments.ts'
import { setHosts } from '../../../src/chain/registries/registry.ts'
import {
  type DeployOptions,
  deploy,
  standardHostRules,
  timelockRoles,
} from '../../../src/deploy/deploy.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { connect, daoTimes, hardhatArtifacts, type People, testRules } from '../dao.ts'

const simulator = createSimulator({ at: Math.floor(Date.now() / 1000) })
const compiler = { version: '0.8.35', settings: { optimizer: { enabled: true, runs: 200 } } }
const sources: Sources = {
  artifacts: hardhatArtifacts(hre) as Sources['artifacts'],
  compiler: { settings: { optimizer: { runs: 200, enabled: true } }, version: '0.8.35' },
  compareCommit: async (commit) => (commit === 'c0ffee' ? 'same' : 'unknown'),
}

let folder: string
let people: People
let request: (method: string, ...params: unknown[]) => Promise<unknown>
let addresses: Required<Addresses>
let deployment: Deployment
let snapshot: unknown

function deployOptions(recordFolder: string): DeployOptions {
  return {
    ...people.deployer,
    artifacts: hardhatArtifacts(hre),
    rules: testRules(people.voter, people.guardian),
    attestation: {
      root: simulator.rootCertificate,
      hosts: { ...standardHostRules, window: 255 },
      bonds: { token: `0x${'70'.repeat(20)}`, minimum: 5n, unbondingTime: 86_400 },
    },
    record: { folder: recordFolder, commit: 'c0ffee', compiler },
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-check-'))
  const provider = (await hre.network.create()).provider as unknown as EIP1193Provider
  request = (method, ...params) => provider.request({ method, params } as never)
  people = await connect(provider)
  addresses = (await deploy(deployOptions(folder))) as Required<Addresses>
  deployment = await readDeployment(folder, 31337)
})

beforeEach(async () => {
  if (snapshot !== undefined) await request('evm_revert', snapshot)
  snapshot = await request('evm_snapshot')
})

afterAll(() => rm(folder, { recursive: true, force: true }))

async function check(
  record = deployment,
  options: CheckOptions = {},
): Promise<DeploymentFinding[]> {
  const findings = await checkDeployment(people.stranger.publicClient, record, {
    root: simulator.rootCertificate,
    ...options,
  })
  for (const finding of findings) (finding.holds ? holding : failing).add(placeOf(finding))
  return findings
}

/** Places of the check whose findings held in some test, and those whose findings did not hold in some test. */
const holding = new Set<string>()
const failing = new Set<string>()

/** These codes have one place in the check for all contracts; each other code has a place for each contract. */
const ofAnyContract: ReadonlySet<FindingCode> = new Set([
  ...(['CODE', 'CREATION', 'IMPLEMENTATION', 'INITIALIZABLE', 'LIBRARY', 'RECORD'] as const),
  ...(['OWNER', 'PENDING_OWNER', 'UPGRADES', 'GUARDIAN', 'SETTINGS', 'REPLACED_CODE'] as const),
  ...(['UPGRADE_HISTORY', 'OWNER_HISTORY', 'STORAGE', 'WRONG_CONTRACT', 'DAO_FACTORY'] as const),
])

/** Code and text of a finding, without the expected value and without what only this deployment has. */
function placeOf({ code, what }: DeploymentFinding): string {
  const names = ofAnyContract.has(code) ? [...Object.keys(deployment.contracts), 'spare'] : ['-']
  const longestFirst = names.sort((a, b) => b.length - a.length).join('|')
  const text = what
    .replace(/: .*/, '')
    .replaceAll(/0x[0-9a-fA-F]{40}/g, 'ADDRESS')
    .replaceAll(new RegExp(`\\b(${longestFirst})\\d*\\b`, 'gi'), 'NAME')
    .replaceAll(/\d+/g, 'N')
  return `${code} ${text}`
}

const seen = new Set<FindingCode>()

/** The codes of what does not hold, in the order of the check. */
async function wrong(record = deployment, options: CheckOptions = {}): Promise<FindingCode[]> {
  const findings = await check(record, options)
  const codes = findings.filter(({ holds }) => !holds).map(({ code }) => code)
  for (const code of codes) seen.add(code)
  return codes
}

/** The record with another entry for one contract. */
function recorded(name: string, other: Partial<DeployedContract>): Deployment {
  const known = deployment.contracts[name] as DeployedContract
  return { ...deployment, contracts: { ...deployment.contracts, [name]: { ...known, ...other } } }
}

/** Creates a contract as the deployer, and returns its entry for the record. */
async function create(contract: string, args: readonly unknown[], code?: Hex) {
  const { publicClient, walletClient } = people.deployer
  const { abi, bytecode } = await hre.artifacts.readArtifact(contract)
  const data = code ?? encodeDeployData({ abi, bytecode: bytecode as Hex, args })
  const deployer = account('deployer').toLowerCase() as Address
  const nonce = await publicClient.getTransactionCount({ address: deployer })
  const transaction = await walletClient.sendTransaction({ data })
  const { blockNumber, contractAddress } = await publicClient.waitForTransactionReceipt({
    hash: transaction,
  })
  return {
    address: (contractAddress as Address).toLowerCase() as Address,
    contract,
    block: Number(blockNumber),
    transaction,
    deployer,
    nonce,
    arguments: args as unknown[],
  }
}

/** Does what only the DAO may, as if somebody else had won a vote. */
async function asTimelock(...calls: Call[]): Promise<void> {
  const from = addresses.timelock
  await request('hardhat_impersonateAccount', from)
  await request('hardhat_setBalance', from, '0xde0b6b3a7640000')
  for (const { to, data } of calls) await request('eth_sendTransaction', { from, to, data })
}

/** Lets the DAO vote for calls: the governor obeys nobody else. */
async function decide(...calls: Call[]): Promise<void> {
  const { governor, votes } = addresses
  const pass = async (seconds: number) => {
    await request('evm_increaseTime', seconds)
    await request('evm_mine')
  }
  await delegate(people.voter, votes, account('voter'))
  await pass(2)
  const { id } = await propose(people.voter, governor, calls, 'decide')
  await pass(daoTimes.votingDelay + 1)
  await vote(people.voter, governor, id, 'for')
  await pass(daoTimes.votingPeriod + 1)
  await queue(people.stranger, governor, id)
  await pass(daoTimes.timelockDelay + 1)
  await execute(people.stranger, governor, id)
}

function grant(role: Hex, account: Hex): Call {
  return callOf(addresses.timelock, timelockControllerAbi, 'grantRole', [role, account], 'grant')
}

const account = (part: keyof People) => people[part].walletClient.account.address

/** A contract that answers every question with the same word. */
async function standIn(word: Hex): Promise<Address> {
  const at: Address = `0x${'5a'.repeat(20)}`
  await request('hardhat_setCode', at, `0x7f${word.slice(2)}5f5260205ff3`)
  return at
}

async function codeAt(address: Address): Promise<string> {
  return (await request('eth_getCode', address, 'latest')) as string
}

test('a fresh deployment passes every check, including its code', async () => {
  const findings = await check(deployment, { sources })

  expect(findings.filter(({ holds }) => !holds)).toEqual([])
  const contracts = Object.keys(deployment.contracts)
  for (const name of contracts) {
    expect(findings.some(({ what }) => what.startsWith(`code of ${name}:`))).toBe(true)
  }
  expect(findings.length).toBeGreaterThan(2 * contracts.length + 50)
})

test('the check needs an expected root of trust', async () => {
  const asked = checkDeployment(people.stranger.publicClient, deployment)

  expect(await asked.catch((error: unknown) => isAssentError(error, 'INPUT_INVALID'))).toBe(true)
})

describe('the check finds', () => {
  test.each([
    ['ROLE_PROPOSER', timelockRoles.proposer],
    ['ROLE_CANCELLER', timelockRoles.canceller],
    ['ROLE_EXECUTOR', timelockRoles.executor],
    ['ROLE_UNKNOWN', keccak256(toBytes('SPARE_ROLE'))],
  ] as const)('%s, in addition to the required ones', async (code, role) => {
    await asTimelock(grant(role, account('stranger')))

    expect(await wrong()).toEqual([code])
  })

  test('a governor without the proposer role', async () => {
    const args = [timelockRoles.proposer, addresses.governor] as const
    await asTimelock(callOf(addresses.timelock, timelockControllerAbi, 'revokeRole', args, ''))

    expect(await wrong()).toEqual(['ROLE_PROPOSER'])
  })

  test('a deployer that kept a role', async () => {
    await asTimelock(grant(timelockRoles.admin, account('deployer')))

    expect(await wrong()).toEqual(['ROLE_ADMIN', 'PERMISSION_DEPLOYER'])
  })

  test('a registry that has another owner, pending owner or guardian', async () => {
    const stranger = account('stranger')
    const { kmsAuth } = addresses
    await asTimelock(transferOwnership(kmsAuth, stranger))
    expect(await wrong()).toEqual(['PENDING_OWNER'])

    await sendCall(people.stranger, acceptOwnership(kmsAuth))
    const args = [stranger, 86_400, noEnd] as const
    await sendCall(people.stranger, callOf(kmsAuth, approvalRegistryAbi, 'setGuardian', args, ''))
    // who owns it is its guardian as well: all that he may not call, he may
    expect(await wrong()).toEqual([
      'OWNER',
      'UPGRADES',
      'GUARDIAN',
      'OWNER_HISTORY',
      'PERMISSION_GUARDIAN',
    ])
  })

  test.each(['images', 'hosts', 'rootKeys', 'hostBonds'] as const)(
    "a stranger's role in %s",
    async (name) => {
      await asTimelock(transferOwnership(addresses[name], account('stranger')))
      await sendCall(people.stranger, acceptOwnership(addresses[name]))

      expect(await wrong()).toEqual(['OWNER', 'UPGRADES', 'OWNER_HISTORY'])
    },
  )

  test('a registry that the deployer owns', async () => {
    await asTimelock(transferOwnership(addresses.images, account('deployer')))
    await sendCall(people.deployer, acceptOwnership(addresses.images))

    expect(await wrong()).toEqual(['OWNER', 'UPGRADES', 'OWNER_HISTORY', 'PERMISSION_DEPLOYER'])
  })

  test('a guardian that can call a privileged function', async () => {
    await asTimelock(transferOwnership(addresses.hosts, account('guardian')))
    await sendCall(people.guardian, acceptOwnership(addresses.hosts))

    const findings = await check()

    const found = findings.find(({ code }) => code === 'PERMISSION_GUARDIAN')
    expect(found?.holds).toBe(false)
    expect(found?.found).toContain('hosts.approve')
    expect(found?.found).toContain('hosts.upgradeToAndCall')
  })

  test('a privileged function that anyone can call', async () => {
    // code that asks nobody who he is, and says yes to everything
    const implementation = deployment.contracts.hostBondsImplementation?.address as Address
    await request('hardhat_setCode', implementation, `0x7f${pad('0x1').slice(2)}5f5260205ff3`)

    const findings = await check()

    const found = findings.find(({ code }) => code === 'PERMISSION_ANYONE')
    expect(found?.found).toContain('hostBonds.upgradeToAndCall')
    expect(await wrong()).toEqual(
      expect.arrayContaining(['PERMISSION_ANYONE', 'PERMISSION_GUARDIAN', 'PERMISSION_DEPLOYER']),
    )
  })

  test('a deployer that has votes or is the guardian', async () => {
    const send = { to: addresses.votes, summary: 'give' }
    const give = callOf(addresses.votes, assentVotesAbi, 'transfer', [account('deployer'), 1n], '')
    await sendCall(people.voter, { ...send, data: give.data })
    expect(await wrong()).toEqual(['DEPLOYER_HOLDS'])

    const args = [account('deployer')] as const
    const { governor } = addresses
    await decide(callOf(governor, assentGovernorAbi, 'setProposalGuardian', args, ''))
    const found = (await check()).find(({ code }) => code === 'DEPLOYER_HOLDS')?.found
    expect(found).toContain('the guardian role')
  })

  test('a governor with another timelock or votes token', async () => {
    const { governor } = addresses
    const args = [account('stranger')] as const
    await decide(callOf(governor, assentGovernorAbi, 'updateTimelock', args, ''))
    // the other timelock can now call the functions of the DAO
    expect(await wrong()).toEqual(expect.arrayContaining(['GOVERNOR_TIMELOCK']))

    expect(await wrong(recorded('votes', { address: addresses.images }))).toContain(
      'GOVERNOR_VOTES',
    )
  })

  test.each([
    ['setVotingDelay', 1],
    ['setVotingPeriod', 1],
    ['setLateQuorumVoteExtension', 1],
    ['updateQuorumNumerator', 1n],
    ['setProposalThreshold', 2n],
  ] as const)('a changed voting rule: %s', async (name, value) => {
    const args = [value] as never
    await decide(callOf(addresses.governor, assentGovernorAbi, name, args, ''))

    expect(await wrong()).toEqual(['SETTINGS'])
  })

  test('a quorum below its share of the token supply', async () => {
    // OpenZeppelin's ERC20 keeps the supply of now in slot 2; what a quorum is a share of is kept elsewhere
    await request('hardhat_setStorageAt', addresses.votes, '0x2', pad(toHex(10n ** 30n)))

    expect(await wrong()).toEqual(['QUORUM_FLOOR'])
  })

  test('an unbonding time shorter than a DAO decision', async () => {
    const { governor } = addresses
    await decide(callOf(governor, assentGovernorAbi, 'setVotingPeriod', [90_000], ''))

    expect(await wrong()).toEqual(['SETTINGS', 'UNBONDING'])
  })

  test('a changed timelock delay, unless it is the expected one', async () => {
    const { timelock } = addresses
    await asTimelock(callOf(timelock, timelockControllerAbi, 'updateDelay', [1n], ''))
    expect(await wrong()).toEqual(['SETTINGS'])

    const expected = { ...recordedSettings(deployment), timelockDelay: 1 }
    expect(await wrong(deployment, { expected })).toEqual([])
  })

  test('another guardian or suspension time', async () => {
    const args = [account('guardian'), 3_600, noEnd] as const
    const { images } = addresses
    await asTimelock(callOf(images, approvalRegistryAbi, 'setGuardian', args, ''))
    expect(await wrong()).toEqual(['SETTINGS'])

    const expected = { ...recordedSettings(deployment), guardian: account('stranger') }
    const codes = await wrong(deployment, { expected })
    // the governor and four registries
    expect(codes.filter((code) => code === 'GUARDIAN')).toHaveLength(5)
  })

  test('no problem in renounced upgrades', async () => {
    await asTimelock(callOf(addresses.images, kmsAuthAbi, 'renounceUpgrades', [], ''))

    const found = (await check()).find(({ what }) => what.includes('replace the code of images'))
    expect(found).toMatchObject({ holds: true, found: 'renounced permanently' })
  })
})

describe('the check of the code reports', () => {
  test('another implementation behind a proxy', async () => {
    const other = deployment.contracts.rootKeysImplementation?.address as Address
    await asTimelock(upgrade(addresses.hosts, other))

    expect(await wrong()).toEqual(expect.arrayContaining(['IMPLEMENTATION', 'WRONG_CONTRACT']))
  })

  test('a recorded implementation that is other code', async () => {
    const other = recorded('kmsAuthImplementation', { address: addresses.votes })

    expect(await wrong(other)).toEqual(['IMPLEMENTATION', 'INITIALIZABLE', 'RECORD', 'RECORD'])
  })

  test.each(['imagesImplementation', 'appImplementation'])(
    'an initializer that anyone could call in %s',
    async (name) => {
      const slot = '0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00'
      const at = deployment.contracts[name]?.address
      await request('hardhat_setStorageAt', at, slot, pad('0x0', { size: 32 }))

      expect(await wrong()).toEqual(['INITIALIZABLE'])
    },
  )

  test('one changed byte or immutable', async () => {
    for (const name of ['timelock', 'governor', 'hosts'] as const) {
      const code = await codeAt(addresses[name])
      // the last bytes are the compiler's note, which is never run
      const last = code.length - 20
      const flipped = code[last] === '0' ? '1' : '0'
      const changed = code.slice(0, last) + flipped + code.slice(last + 1)
      await request('hardhat_setCode', addresses[name], changed)
    }
    const verifier = addresses.quoteVerifier
    const code = await codeAt(verifier)
    // the root's key is an immutable, and nowhere else in the code
    const [x] = await people.stranger.publicClient.readContract({
      address: verifier,
      abi: quoteVerifierAbi,
      functionName: 'rootKey',
    })
    const word = (value: bigint) => pad(`0x${value.toString(16)}`).slice(2)
    expect(code).toContain(word(x))
    await request('hardhat_setCode', verifier, code.replaceAll(word(x), word(x ^ 1n)))

    const findings = await check(deployment, { sources })

    const red = findings.filter(({ holds }) => !holds).map(({ code, what }) => [code, what])
    expect(red).toEqual([
      ['ROOT', 'the root of trust is the given root'],
      ['CODE', expect.stringMatching(/^code of timelock:/)],
      ['CODE', expect.stringMatching(/^code of governor:/)],
      ['CODE', expect.stringMatching(/^code of quoteVerifier:/)],
      ['CODE', expect.stringMatching(/^code of hosts:/)],
    ])
  })

  test('recorded constructor arguments that give other code', async () => {
    const args = ['Other votes', 'VOTE', account('voter'), '1']

    expect(await wrong(recorded('votes', { arguments: args }), { sources })).toEqual([
      'CODE',
      'CREATION',
    ])
  })

  test('a recorded transaction that did not create the contract', async () => {
    const other = recorded('bootEvaluator', { nonce: 999 })

    expect(await wrong(other, { sources })).toEqual(['RECORD', 'CODE'])
  })

  test.each([
    ['block', { block: 1 }, ['HANDOVER', 'RECORD']],
    ['transaction', { transaction: pad('0x1') }, ['UPGRADE_HISTORY', 'RECORD']],
    ['deployer', { deployer: `0x${'dd'.repeat(20)}` as Address }, ['RECORD']],
    ['initialization', { initializer: { function: 'initialize', arguments: [] } }, ['RECORD']],
  ])('a transaction that differs from the record: %s', async (_, other, codes) => {
    expect(await wrong(recorded('images', other))).toEqual(codes)
  })

  test('other arguments of the initializer than recorded', async () => {
    const { initializer } = deployment.contracts.images as DeployedContract
    const [, ...rest] = initializer?.arguments ?? []
    const other = {
      function: 'initialize',
      arguments: [account('stranger').toLowerCase(), ...rest],
    }

    expect(await wrong(recorded('images', { initializer: other }))).toEqual(['RECORD'])
  })

  test('another commit or compiler', async () => {
    const other = { ...deployment, commit: 'ab'.repeat(20) }
    expect(await wrong(other, { sources })).toEqual(['COMMIT'])

    const settings = { optimizer: { enabled: true, runs: 1 } }
    const compiled = { ...deployment, compiler: { ...compiler, settings } }
    expect(await wrong(compiled, { sources })).toEqual(['COMPILER'])
  })

  test('an incomplete deployment', async () => {
    const votes = deployment.contracts.votes as DeployedContract
    const { address, deployer, nonce } = votes
    const pending = { name: 'hosts', address, deployer, nonce, code: pad('0x1'), sinceBlock: 1 }

    expect(await wrong({ ...deployment, pending })).toEqual(['INCOMPLETE'])
  })
})

describe('the check of a prepared deployment reports', () => {
  const unknown: Address = `0x${'5a'.repeat(20)}`
  /** The address of a contract in the record. */
  const at = (name: string) => (deployment.contracts[name] as DeployedContract).address

  test.each([
    ['a name of another type', 'bootLog', { contract: 'BootEvaluator' }],
    ['a proxy that is none', 'images', { contract: 'Images' }],
    ['a test contract as implementation', 'hostsImplementation', { contract: 'AppV2' }],
    [
      'a first implementation of a next version',
      'kmsAuthImplementation',
      { contract: 'KmsAuthV2' },
    ],
    [
      'other creation code of the factory',
      'votesCode',
      { creationCodePart: { contract: 'AssentVotesWrapper', from: 0, to: 1 } },
    ],
  ])('%s', async (_, name, other) => {
    expect(await wrong(recorded(name, other))).toContain('TYPE')
  })

  test('a name that Assent does not know', async () => {
    const { bootLog } = deployment.contracts
    const contracts = { ...deployment.contracts, spare: bootLog as DeployedContract }

    expect(await wrong({ ...deployment, contracts })).toEqual(['TYPE'])
  })

  test('a linked library that is not the recorded one', async () => {
    const { libraries } = deployment.contracts.quoteVerifier as DeployedContract
    const args = [toHex(simulator.rootCertificate), pad('0x0100', { size: 20 })]
    const artifact = await sources.artifacts('QuoteVerifier')
    const others = { ...libraries, DocumentUpload: unknown }
    const code = creationCodeOf(artifact, args, others)
    const verifier = { ...(await create('QuoteVerifier', args, code)), libraries: others }

    const codes = await wrong(recorded('quoteVerifier', verifier), { sources })
    // hosts, rootKeys and bootLog were created with the genuine one
    expect(codes).toEqual(['LIBRARY', 'VERIFIER', 'VERIFIER', 'VERIFIER'])
  })

  test('creation code that leaves the same code behind and writes into storage', async () => {
    const genuine = (await codeAt(addresses.bootEvaluator)) as Hex
    // 1 into slot 7; then the genuine code, which follows these 15 bytes, is copied and returned
    const head =
      `0x60016007556${'1'}${toHex(size(genuine), { size: 2 }).slice(2)}80600f5f395ff3` as Hex
    expect(size(head)).toBe(15)
    const entry = await create('BootEvaluator', [], concat([head, genuine]))
    const slot = { address: entry.address, slot: '0x7' } as const
    expect(await people.stranger.publicClient.getStorageAt(slot)).toBe(pad('0x1'))

    expect(await wrong(recorded('bootEvaluator', entry), { sources })).toEqual(['CREATION'])
  })

  test('a factory with other creation code than recorded', async () => {
    const other = await create('CreationCode', ['0x6000'])
    const args = [
      [at('governorHead'), at('governorTail')],
      other.address,
      at('votesCode'),
      at('wrapperCode'),
    ]
    const daoFactory = await create('DaoFactory', args)

    expect(await wrong(recorded('daoFactory', daoFactory), { sources })).toEqual(['DAO_FACTORY'])
  })

  test('a factory with two creation codes in exchanged places', async () => {
    const args = [
      [at('governorHead'), at('governorTail')],
      at('votesCode'),
      at('timelockCode'),
      at('wrapperCode'),
    ]
    const daoFactory = await create('DaoFactory', args)

    const codes = await wrong(recorded('daoFactory', daoFactory), { sources })
    expect(codes).toEqual(['DAO_FACTORY', 'DAO_FACTORY'])
  })

  test('a factory with a part of a creation code', async () => {
    const { bytecode } = await hre.artifacts.readArtifact('TimelockController')
    const creationCodePart = { contract: 'TimelockController', from: 0, to: 100 }
    const code = slice(bytecode as Hex, 0, 100)
    const timelockCode = { ...(await create('CreationCode', [code])), creationCodePart }
    const args = [
      [at('governorHead'), at('governorTail')],
      timelockCode.address,
      at('votesCode'),
      at('wrapperCode'),
    ]
    const daoFactory = await create('DaoFactory', args)
    const contracts = { ...deployment.contracts, timelockCode, daoFactory }

    expect(await wrong({ ...deployment, contracts }, { sources })).toEqual(['DAO_FACTORY'])
  })

  test('a P-256 contract that passes the test signatures and is not recorded', async () => {
    // asks the precompile
    await request('hardhat_setCode', unknown, '0x365f5f375f5f365f6101005afa503d5f5f3e3d5ff3')
    const word = pad('0x0100', { size: 32 }).slice(2)
    const code = await codeAt(addresses.quoteVerifier)
    const changed = code.replaceAll(word, pad(unknown).slice(2))
    await request('hardhat_setCode', addresses.quoteVerifier, changed)

    const found = (await check()).find(({ code: each }) => each === 'P256')
    expect(found?.found).toContain('which is not recorded, accepts a valid signature')
    expect(await wrong()).toEqual(['P256'])
  })

  test('code of a registry that was in use for a short time only', async () => {
    const genuine = at('imagesImplementation')
    const other = await create('Images', [])
    await asTimelock(upgrade(addresses.images, other.address), upgrade(addresses.images, genuine))

    // nobody voted
    expect(await wrong()).toEqual(['UPGRADE_HISTORY'])
  })

  test('code of a registry that was replaced without an event', async () => {
    const slot = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc'
    const other = await create('Images', [])
    await request('hardhat_setStorageAt', addresses.images, slot, pad(other.address))

    expect(await wrong(recorded('imagesImplementation', other))).toContain('UPGRADE_HISTORY')
  })

  test('code that the DAO installed and replaced, if other sources compiled it', async () => {
    const next = await create('KmsAuthV2', [])
    const genuine = at('kmsAuthImplementation')
    await decide(upgrade(addresses.kmsAuth, next.address), upgrade(addresses.kmsAuth, genuine))

    expect(await wrong()).toEqual([])
    const findings = await check(deployment, { sources })
    const red = findings.filter(({ holds }) => !holds)
    expect(red).toMatchObject([{ code: 'REPLACED_CODE', isUnchecked: true }])
    await wrong(deployment, { sources })

    const contracts = { ...deployment.contracts, kmsAuthImplementation2: next }
    expect(await wrong({ ...deployment, contracts }, { sources })).toEqual([])
  })

  test('a registry that had another owner for a short time', async () => {
    const { images } = addresses
    await asTimelock(transferOwnership(images, account('stranger')))
    await sendCall(people.stranger, acceptOwnership(images))
    await sendCall(people.stranger, transferOwnership(images, addresses.timelock))
    await asTimelock(acceptOwnership(images))

    expect(await wrong()).toEqual(['OWNER_HISTORY'])
  })

  test('a registry that can be initialized again', async () => {
    const slot = '0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00'
    await request('hardhat_setStorageAt', addresses.hosts, slot, zeroHash)

    expect(await wrong()).toEqual(['INITIALIZABLE'])
  })

  test.each([
    ['admin', '0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103'],
    ['beacon', '0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50'],
  ])('an ERC-1967 %s in a registry', async (_, slot) => {
    await request('hardhat_setStorageAt', addresses.rootKeys, slot, pad(unknown))

    expect(await wrong()).toEqual(['STORAGE'])
  })

  test('wrapped votes whose underlying token the deployer holds', async () => {
    const supply = 10n ** 21n
    const coin = await create('AssentVotes', ['Coin', 'C', account('deployer'), supply])
    const wrapper = await create('AssentVotesWrapper', [coin.address, 'Votes', 'VOTE', supply])
    await request('hardhat_setCode', addresses.votes, await codeAt(wrapper.address))

    const findings = await check()
    const found = findings.find(({ code }) => code === 'DEPLOYER_HOLDS')
    expect(found?.found).toBe(`${supply} smallest units of the token that the votes wrap`)
    expect(findings.find(({ code }) => code === 'UNDERLYING')).toMatchObject({ isUnchecked: true })
    expect(await wrong()).toEqual(['DEPLOYER_HOLDS', 'UNDERLYING'])
  })

  describe('the use of the timelock by the deployer:', () => {
    const renounce = toFunctionSelector('renounceRole(bytes32,address)')

    /** Deploys again. Instead of the renunciation, `meanwhile` runs; at the end, `late` runs. */
    async function prepared(
      meanwhile: (timelock: Address, giveUp: () => Promise<unknown>) => Promise<unknown>,
      late: (timelock: Address) => Promise<unknown> = async () => undefined,
    ): Promise<Deployment> {
      const other = await mkdtemp(join(tmpdir(), 'assent-check-'))
      const { walletClient } = people.deployer
      const sendTransaction = async (transaction: { to: Address; data?: Hex }) => {
        const give = () => walletClient.sendTransaction(transaction as never)
        if (!transaction.data?.startsWith(renounce)) return give()
        await meanwhile(transaction.to, give)
        // the deployment waits for a transaction of its own
        return walletClient.sendTransaction({ to: account('deployer') } as never)
      }
      const options = deployOptions(other)
      try {
        const placed = await deploy({
          ...options,
          walletClient: { ...walletClient, sendTransaction } as never,
        })
        await late(placed.timelock)
        return await readDeployment(other, 31337)
      } finally {
        await rm(other, { recursive: true, force: true })
      }
    }

    const send = (timelock: Address, functionName: string, args: readonly unknown[]) =>
      sendCall(people.deployer, {
        to: timelock,
        data: encodeFunctionData({ abi: timelockControllerAbi, functionName, args } as never),
        summary: functionName,
      })
    const me = () => account('deployer')
    const giveUp = (timelock: Address) =>
      send(timelock, 'renounceRole', [timelockRoles.admin, me()])

    test('a role that the deployer granted and revoked', async () => {
      const record = await prepared(async (timelock, give) => {
        await send(timelock, 'grantRole', [timelockRoles.canceller, me()])
        await send(timelock, 'revokeRole', [timelockRoles.canceller, me()])
        await give()
      })

      expect(await wrong(record)).toEqual(['ROLE_HISTORY'])
    })

    test('a role that it got after the registries existed', async () => {
      const record = await prepared(async () => undefined, giveUp)

      expect(await wrong(record)).toEqual(['HANDOVER'])
    })

    test('a role that it never renounced', async () => {
      const record = await prepared(async () => undefined)

      expect(await wrong(record)).toEqual(['ROLE_ADMIN', 'HANDOVER', 'PERMISSION_DEPLOYER'])
    })

    test('an operation of its own that it executed', async () => {
      const record = await prepared(
        async () => undefined,
        async (timelock) => {
          for (const role of [timelockRoles.proposer, timelockRoles.executor])
            await send(timelock, 'grantRole', [role, me()])
          const call = [me(), 0n, '0x', zeroHash, zeroHash] as const
          await send(timelock, 'schedule', [...call, BigInt(daoTimes.timelockDelay)])
          await request('evm_increaseTime', daoTimes.timelockDelay + 1)
          await request('evm_mine')
          await send(timelock, 'execute', call)
          for (const role of [timelockRoles.proposer, timelockRoles.executor])
            await send(timelock, 'revokeRole', [role, me()])
          await giveUp(timelock)
        },
      )

      expect(await wrong(record)).toEqual(['ROLE_HISTORY', 'HANDOVER'])
      const found = (await check(record)).find(({ code }) => code === 'HANDOVER')?.found
      expect(found).toContain('the timelock had operations before')
    })
  })
})

describe('the check of references finds', () => {
  const elsewhere: Address = `0x${'5a'.repeat(20)}`

  test('another contract for apps, hosts or images', async () => {
    await asTimelock(
      setHosts(addresses.kmsAuth, addresses.hosts),
      setImages(addresses.kmsAuth, addresses.images, noEnd),
    )
    expect(await wrong()).toEqual([])

    await asTimelock(
      callOf(addresses.kmsAuth, kmsAuthAbi, 'setAppImplementation', [elsewhere], ''),
      setHosts(addresses.kmsAuth, elsewhere),
      setImages(addresses.kmsAuth, elsewhere, noEnd),
    )
    expect(await wrong()).toEqual(['APP_IMPLEMENTATION', 'HOSTS', 'IMAGES'])
  })

  test('another contract for quotes or bonds', async () => {
    await asTimelock(
      setVerifier(addresses.hosts, elsewhere, noEnd),
      setVerifier(addresses.rootKeys, elsewhere, noEnd),
      setBonds(addresses.hosts, elsewhere, noEnd),
    )

    expect(await wrong()).toEqual(['VERIFIER', 'BONDS', 'VERIFIER'])
  })

  test('another contract for KMS measurements', async () => {
    const rootKeys = await standIn(pad(addresses.quoteVerifier))

    expect(await wrong(recorded('rootKeys', { address: rootKeys }))).toContain('KMS_AUTH')
  })

  test('signers of apps that ask another registry of instances', async () => {
    const appSigner = await create('AppSigner', [elsewhere])
    const appSigners = await create('AppSigners', [appSigner.address])
    const contracts = { ...deployment.contracts, appSigners }

    expect(await wrong({ ...deployment, contracts })).toEqual(['INSTANCES', 'INSTANCES'])
  })

  test('requests that pay another account than the DAO', async () => {
    const { instances } = addresses
    const requests = await create('Requests', [instances, elsewhere, elsewhere, 500])
    const contracts = { ...deployment.contracts, requests }

    expect(await wrong({ ...deployment, contracts })).toEqual(['REQUESTS'])
  })
})

describe('the check of the quote verifier finds', () => {
  test("a root of trust other than Intel's", async () => {
    expect(await wrong(deployment, { root: 'intel' })).toEqual(['ROOT'])
  })

  test('a chain that does not verify P-256', async () => {
    // a "precompile" that says yes to everything
    const p256: Address = `0x${'7a'.repeat(20)}`
    await request('hardhat_setCode', p256, '0x60015f5260205ff3')
    const word = pad('0x0100', { size: 32 }).slice(2)
    const code = await codeAt(addresses.quoteVerifier)
    expect(code).toContain(word)
    const changed = code.replaceAll(word, pad(p256).slice(2))
    await request('hardhat_setCode', addresses.quoteVerifier, changed)

    expect(await wrong()).toEqual(['P256'])
  })
})

test('every finding code of the check is tested in this file', () => {
  expect(Object.keys(findingCodes).filter((code) => !seen.has(code as FindingCode))).toEqual([])
})

test('every place of the check that makes a finding is tested with a finding that fails', () => {
  expect(holding.size).toBeGreaterThan(40)
  expect([...holding].filter((place) => !failing.has(place))).toEqual([])
})

test('docs/governance.md explains every finding code of the check', async () => {
  const page = await readFile(join(import.meta.dirname, '../../../docs/governance.md'), 'utf8')

  for (const [code, words] of Object.entries(findingCodes)) {
    expect(page).toContain(`| \`${code}\` | ${words} |`)
  }
})
