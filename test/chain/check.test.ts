/** Each finding of the check, with a deployment that is broken in just this. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import hre from 'hardhat'
import { type Address, type EIP1193Provider, type Hex, keccak256, pad, toBytes } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { deploy, standardHostRules, timelockRoles } from '../../scripts/deploy.ts'
import {
  approvalRegistryAbi,
  assentGovernorAbi,
  kmsAuthAbi,
  timelockControllerAbi,
} from '../../src/chain/abi.ts'
import { type Call, callOf, sendCall } from '../../src/chain/call.ts'
import { type CheckOptions, checkDeployment, type Finding } from '../../src/chain/check.ts'
import { type Addresses, type Deployment, readDeployment } from '../../src/chain/deployments.ts'
import {
  acceptOwnership,
  offerOwnership,
  setBonds,
  setImages,
  setVerifier,
  upgrade,
} from '../../src/chain/governance/settings.ts'
import { setHosts } from '../../src/chain/registry.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { connect, hardhatArtifacts, type People, testRules } from './dao.ts'

const later = 2 ** 40 - 1
const simulator = createSimulator({ at: Math.floor(Date.now() / 1000) })
const artifacts = hardhatArtifacts(hre) as NonNullable<CheckOptions['artifacts']>

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
    record: { folder, commit: 'c0ffee', compiler: { version: '0.8.35', settings: {} } },
  })
  addresses = placed as Required<Addresses>
  deployment = await readDeployment(folder, 31337)
})

beforeEach(async () => {
  if (snapshot !== undefined) await request('evm_revert', snapshot)
  snapshot = await request('evm_snapshot')
})

afterAll(() => rm(folder, { recursive: true, force: true }))

function check(record = deployment, options: CheckOptions = {}): Promise<Finding[]> {
  return checkDeployment(people.stranger.publicClient, record, {
    root: simulator.rootCertificate,
    ...options,
  })
}

async function wrong(record = deployment, options: CheckOptions = {}): Promise<string[]> {
  const findings = await check(record, options)
  return findings.filter(({ holds }) => !holds).map(({ what }) => what)
}

/** Does what only the DAO may, as if somebody else had won a vote. */
async function asTimelock(...calls: Call[]): Promise<void> {
  const from = addresses.timelock
  await request('hardhat_impersonateAccount', from)
  await request('hardhat_setBalance', from, '0xde0b6b3a7640000')
  for (const { to, data } of calls) await request('eth_sendTransaction', { from, to, data })
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

test('finds a fresh deployment as it must be, code and all', async () => {
  const findings = await check(deployment, { artifacts })

  expect(findings.filter(({ holds }) => !holds)).toEqual([])
  const contracts = Object.keys(deployment.contracts)
  for (const name of contracts) {
    expect(findings.some(({ what }) => what.startsWith(`code of ${name}:`))).toBe(true)
  }
  expect(findings.length).toBeGreaterThan(contracts.length + 40)
})

test('wants to be told whose quotes must count', async () => {
  const asked = checkDeployment(people.stranger.publicClient, deployment)

  expect(await asked.catch((error: unknown) => isAssentError(error, 'INPUT_INVALID'))).toBe(true)
})

describe('finds who decides', () => {
  test.each([
    ['proposer', timelockRoles.proposer],
    ['canceller', timelockRoles.canceller],
    ['executor', timelockRoles.executor],
    ['admin', timelockRoles.admin],
  ])('beside the one %s there must be', async (name, role) => {
    await asTimelock(grant(role, account('stranger')))

    expect(await wrong()).toEqual([`holders of the timelock's ${name} role`])
  })

  test('by a role that nobody knows', async () => {
    await asTimelock(grant(keccak256(toBytes('SPARE_ROLE')), account('deployer')))

    expect(await wrong()).toEqual(['holders of other roles of the timelock'])
  })

  test('where the deployer kept his role', async () => {
    await asTimelock(grant(timelockRoles.admin, account('deployer')))

    expect(await wrong()).toEqual(["holders of the timelock's admin role"])
  })

  test('where a registry is on its way to another owner, or there, or guarded by another', async () => {
    const stranger = account('stranger')
    const { kmsAuth } = addresses
    await asTimelock(offerOwnership(kmsAuth, stranger))
    expect(await wrong()).toEqual(['pending owner of kmsAuth'])

    await sendCall(people.stranger, acceptOwnership(kmsAuth))
    const args = [stranger, 86_400, later] as const
    await sendCall(people.stranger, callOf(kmsAuth, approvalRegistryAbi, 'setGuardian', args, ''))
    expect(await wrong()).toEqual(['owner of kmsAuth', 'guardian of kmsAuth, as of the governor'])
  })

  test.each(['images', 'hosts', 'rootKeys', 'hostBonds'] as const)(
    'in %s as well',
    async (name) => {
      await asTimelock(offerOwnership(addresses[name], account('stranger')))
      await sendCall(people.stranger, acceptOwnership(addresses[name]))

      expect(await wrong()).toEqual([`owner of ${name}`])
    },
  )

  test('where the deployer owns a registry', async () => {
    await asTimelock(offerOwnership(addresses.images, account('deployer')))
    await sendCall(people.deployer, acceptOwnership(addresses.images))

    expect(await wrong()).toEqual([
      'owner of images',
      expect.stringMatching(/^the deployer .* can allow, change or give away nothing$/),
    ])
  })

  test('where the guardian could allow something', async () => {
    await asTimelock(offerOwnership(addresses.hosts, account('guardian')))
    await sendCall(people.guardian, acceptOwnership(addresses.hosts))

    const findings = await check()

    const found = findings.find(({ what }) => what.startsWith('the guardian'))
    expect(found?.holds).toBe(false)
    expect(found?.found).toContain('hosts.approve')
    expect(found?.found).toContain('hosts.upgradeToAndCall')
  })

  test('where the governor obeys another timelock', async () => {
    const call = callOf(
      addresses.governor,
      assentGovernorAbi,
      'updateTimelock',
      [account('stranger')],
      '',
    )
    await asTimelock(call)

    expect(await wrong()).toEqual(['timelock of the governor'])
  })
})

describe('finds other code', () => {
  test('behind a proxy', async () => {
    const other = deployment.contracts.rootKeysImplementation?.address as Address
    await asTimelock(upgrade(addresses.hosts, other))

    expect(await wrong()).toContain('implementation of hosts, as recorded')
  })

  test('than the recorded implementation', async () => {
    const kmsAuthImplementation = { ...deployment.contracts.kmsAuthImplementation }
    const contracts = {
      ...deployment.contracts,
      kmsAuthImplementation: { ...kmsAuthImplementation, address: addresses.votes },
    }

    expect(await wrong({ ...deployment, contracts } as Deployment)).toEqual([
      'implementation of kmsAuth, as recorded',
      'the code of kmsAuth cannot be initialized itself',
    ])
  })

  test('in an implementation that anyone could initialize', async () => {
    const implementation = deployment.contracts.imagesImplementation?.address as Address
    const slot = '0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00'
    await request('hardhat_setStorageAt', implementation, slot, pad('0x0', { size: 32 }))

    expect(await wrong()).toEqual(['the code of images cannot be initialized itself'])
  })

  test('by one changed byte, or one changed immutable', async () => {
    for (const name of ['timelock', 'governor', 'hosts'] as const) {
      const address = addresses[name]
      const code = (await request('eth_getCode', address, 'latest')) as string
      const last = code.length - 120
      const flipped = code[last] === '0' ? '1' : '0'
      await request(
        'hardhat_setCode',
        address,
        code.slice(0, last) + flipped + code.slice(last + 1),
      )
    }
    const verifier = addresses.quoteVerifier
    const code = (await request('eth_getCode', verifier, 'latest')) as string
    // the root's key is an immutable, and nowhere else in the code
    const [x] = (await people.stranger.publicClient.readContract({
      address: verifier,
      abi: [
        {
          type: 'function',
          name: 'rootKey',
          stateMutability: 'view',
          inputs: [],
          outputs: [{ type: 'uint256' }, { type: 'uint256' }],
        },
      ],
      functionName: 'rootKey',
    })) as [bigint, bigint]
    const other = pad(`0x${(x ^ 1n).toString(16)}`).slice(2)
    const word = pad(`0x${x.toString(16)}`).slice(2)
    await request('hardhat_setCode', verifier, code.replaceAll(word, other))

    expect(await wrong(deployment, { artifacts })).toEqual([
      'quotes must lead back to the given root',
      expect.stringMatching(/^code of timelock:/),
      expect.stringMatching(/^code of governor:/),
      expect.stringMatching(/^code of quoteVerifier:/),
      expect.stringMatching(/^code of hosts:/),
    ])
  })

  test('than the recorded arguments make', async () => {
    const votes = {
      ...deployment.contracts.votes,
      arguments: ['Other votes', 'VOTE', account('voter'), '1'],
    }
    const contracts = { ...deployment.contracts, votes } as Deployment['contracts']

    expect(await wrong({ ...deployment, contracts }, { artifacts })).toEqual([
      expect.stringMatching(/^code of votes:/),
    ])
  })

  test('than a recorded transaction could have made', async () => {
    const bootJudge = { ...deployment.contracts.bootJudge, nonce: 999 }
    const contracts = { ...deployment.contracts, bootJudge } as Deployment['contracts']

    expect(await wrong({ ...deployment, contracts }, { artifacts })).toEqual([
      expect.stringMatching(/^code of bootJudge:/),
    ])
  })

  test('and a deployment that stopped in the middle', async () => {
    const pending = {
      ...deployment.contracts.votes,
      name: 'hosts',
      code: pad('0x1'),
      sinceBlock: 1,
    }

    expect(await wrong({ ...deployment, pending } as unknown as Deployment)).toEqual([
      'the deployment is complete',
    ])
  })
})

describe('finds what asks the wrong one', () => {
  const elsewhere: Address = `0x${'5a'.repeat(20)}`

  test('for apps, hosts and images', async () => {
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
    expect(await wrong()).toEqual([
      'app implementation of kmsAuth, as recorded',
      'hosts that kmsAuth asks',
      'images that kmsAuth asks',
    ])
  })

  test('for quotes and bonds', async () => {
    await asTimelock(
      setVerifier(addresses.hosts, elsewhere, later),
      setVerifier(addresses.rootKeys, elsewhere, later),
      setBonds(addresses.hosts, elsewhere, later),
    )

    expect(await wrong()).toEqual([
      'verifier of hosts',
      'bonds that hosts asks',
      'verifier of rootKeys',
    ])
  })

  test('for KMS measurements', async () => {
    const rootKeys = await standIn(pad(addresses.quoteVerifier))
    const contracts = {
      ...deployment.contracts,
      rootKeys: { ...deployment.contracts.rootKeys, address: rootKeys },
    } as Deployment['contracts']

    expect(await wrong({ ...deployment, contracts })).toContain('kmsAuth of rootKeys')
  })
})

describe('finds whose quotes count', () => {
  test('if it is not Intel', async () => {
    expect(await wrong(deployment, { root: 'intel' })).toEqual([
      'quotes must lead back to Intel’s root key',
    ])
  })

  test('and that P-256 is not verified', async () => {
    // a "precompile" that says yes to everything
    const p256: Address = `0x${'7a'.repeat(20)}`
    await request('hardhat_setCode', p256, '0x60015f5260205ff3')
    const word = pad('0x0100', { size: 32 }).slice(2)
    const code = (await request('eth_getCode', addresses.quoteVerifier, 'latest')) as string
    expect(code).toContain(word)
    await request(
      'hardhat_setCode',
      addresses.quoteVerifier,
      code.replaceAll(word, pad(p256).slice(2)),
    )

    expect(await wrong()).toEqual(['P-256 is verified on this chain'])
  })
})
