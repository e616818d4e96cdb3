/** Each finding of the check, with a deployment that is broken in just this. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import hre from 'hardhat'
import { type Address, type EIP1193Provider, type Hex, keccak256, pad, toBytes, toHex } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  approvalRegistryAbi,
  assentGovernorAbi,
  assentVotesAbi,
  kmsAuthAbi,
  quoteVerifierAbi,
  timelockControllerAbi,
} from '../../src/chain/abi.ts'
import { type Call, callOf, sendCall } from '../../src/chain/call.ts'
import { type CheckOptions, checkDeployment } from '../../src/chain/check/check.ts'
import type { Sources } from '../../src/chain/check/code.ts'
import { recordedSettings } from '../../src/chain/check/expected-settings.ts'
import {
  type DeploymentFinding,
  type FindingCode,
  findingCodes,
} from '../../src/chain/check/finding.ts'
import {
  type Addresses,
  type DeployedContract,
  type Deployment,
  readDeployment,
} from '../../src/chain/deployments.ts'
import { delegate, execute, propose, queue, vote } from '../../src/chain/governance/governance.ts'
import {
  acceptOwnership,
  setBonds,
  setImages,
  setVerifier,
  transferOwnership,
  upgrade,
} from '../../src/chain/governance/settings.ts'
import { setHosts } from '../../src/chain/registry.ts'
import { deploy, standardHostRules, timelockRoles } from '../../src/deploy/deploy.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { connect, daoTimes, hardhatArtifacts, type People, testRules } from './dao.ts'

const later = 2 ** 40 - 1
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

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-check-'))
  const provider = (await hre.network.create()).provider as unknown as EIP1193Provider
  request = (method, ...params) => provider.request({ method, params } as never)
  people = await connect(provider)
  const placed = await deploy({
    ...people.deployer,
    artifacts: hardhatArtifacts(hre),
    rules: testRules(people.voter, people.guardian),
    attestation: {
      root: simulator.rootCertificate,
      hosts: { ...standardHostRules, window: 255 },
      bonds: { token: `0x${'70'.repeat(20)}`, minimum: 5n, unbondingTime: 86_400 },
    },
    record: { folder, commit: 'c0ffee', compiler },
  })
  addresses = placed as Required<Addresses>
  deployment = await readDeployment(folder, 31337)
})

beforeEach(async () => {
  if (snapshot !== undefined) await request('evm_revert', snapshot)
  snapshot = await request('evm_snapshot')
})

afterAll(() => rm(folder, { recursive: true, force: true }))

function check(record = deployment, options: CheckOptions = {}): Promise<DeploymentFinding[]> {
  return checkDeployment(people.stranger.publicClient, record, {
    root: simulator.rootCertificate,
    ...options,
  })
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
  ] as const)('beside those that there must be: %s', async (code, role) => {
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
    const args = [stranger, 86_400, later] as const
    await sendCall(people.stranger, callOf(kmsAuth, approvalRegistryAbi, 'setGuardian', args, ''))
    // who owns it is its guardian as well: all that he may not call, he may
    expect(await wrong()).toEqual(['OWNER', 'UPGRADES', 'GUARDIAN', 'PERMISSION_GUARDIAN'])
  })

  test.each(['images', 'hosts', 'rootKeys', 'hostBonds'] as const)('in %s too', async (name) => {
    await asTimelock(transferOwnership(addresses[name], account('stranger')))
    await sendCall(people.stranger, acceptOwnership(addresses[name]))

    expect(await wrong()).toEqual(['OWNER', 'UPGRADES'])
  })

  test('a registry that the deployer owns', async () => {
    await asTimelock(transferOwnership(addresses.images, account('deployer')))
    await sendCall(people.deployer, acceptOwnership(addresses.images))

    expect(await wrong()).toEqual(['OWNER', 'UPGRADES', 'PERMISSION_DEPLOYER'])
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
    // and whoever is that other timelock may now call what only the DAO may
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
  ] as const)('how it decides: %s', async (name, value) => {
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
    const args = [account('guardian'), 3_600, later] as const
    const { images } = addresses
    await asTimelock(callOf(images, approvalRegistryAbi, 'setGuardian', args, ''))
    expect(await wrong()).toEqual(['SETTINGS'])

    const expected = { ...recordedSettings(deployment), guardian: account('stranger') }
    const codes = await wrong(deployment, { expected })
    // the governor and four registries
    expect(codes.filter((code) => code === 'GUARDIAN')).toHaveLength(5)
  })

  test('no fault in renounced upgrades', async () => {
    await asTimelock(callOf(addresses.images, kmsAuthAbi, 'renounceUpgrades', [], ''))

    const found = (await check()).find(({ what }) => what.includes('replace the code of images'))
    expect(found).toMatchObject({ holds: true, found: 'renounced permanently' })
  })
})

describe('the check of the code finds', () => {
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
    'in %s, which anyone could initialize',
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

  test('recorded arguments that give other code', async () => {
    const args = ['Other votes', 'VOTE', account('voter'), '1']

    expect(await wrong(recorded('votes', { arguments: args }), { sources })).toEqual(['CODE'])
  })

  test('a recorded transaction that did not create the contract', async () => {
    const other = recorded('bootEvaluator', { nonce: 999 })

    expect(await wrong(other, { sources })).toEqual(['RECORD', 'CODE'])
  })

  test.each([
    ['block', { block: 1 }],
    ['transaction', { transaction: pad('0x1') }],
    ['deployer', { deployer: `0x${'dd'.repeat(20)}` as Address }],
    ['initialization', { initializer: { function: 'initialize', arguments: [] } }],
  ])('than the record tells: %s', async (_, other) => {
    expect(await wrong(recorded('images', other))).toEqual(['RECORD'])
  })

  test('other arguments of the initialization', async () => {
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

describe('the check of references finds', () => {
  const elsewhere: Address = `0x${'5a'.repeat(20)}`

  test('another contract for apps, hosts or images', async () => {
    await asTimelock(
      setHosts(addresses.kmsAuth, addresses.hosts),
      setImages(addresses.kmsAuth, addresses.images, later),
    )
    expect(await wrong()).toEqual([])

    await asTimelock(
      callOf(addresses.kmsAuth, kmsAuthAbi, 'setAppImplementation', [elsewhere], ''),
      setHosts(addresses.kmsAuth, elsewhere),
      setImages(addresses.kmsAuth, elsewhere, later),
    )
    expect(await wrong()).toEqual(['APP_IMPLEMENTATION', 'HOSTS', 'IMAGES'])
  })

  test('another contract for quotes or bonds', async () => {
    await asTimelock(
      setVerifier(addresses.hosts, elsewhere, later),
      setVerifier(addresses.rootKeys, elsewhere, later),
      setBonds(addresses.hosts, elsewhere, later),
    )

    expect(await wrong()).toEqual(['VERIFIER', 'BONDS', 'VERIFIER'])
  })

  test('another contract for KMS measurements', async () => {
    const rootKeys = await standIn(pad(addresses.quoteVerifier))

    expect(await wrong(recorded('rootKeys', { address: rootKeys }))).toContain('KMS_AUTH')
  })
})

describe('the check of the quote verifier finds', () => {
  test('another root of trust than Intel’s', async () => {
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

test('each code of a finding fails in a test of this file', () => {
  expect(Object.keys(findingCodes).filter((code) => !seen.has(code as FindingCode))).toEqual([])
})

test('docs/governance.md contains each code of a finding with its meaning', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/governance.md'), 'utf8')

  for (const [code, words] of Object.entries(findingCodes)) {
    expect(page).toContain(`| \`${code}\` | ${words} |`)
  }
})
