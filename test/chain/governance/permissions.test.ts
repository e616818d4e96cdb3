/**
 * Who may call what: the table of docs/contracts.md, row by row, against running contracts.
 *
 * Arguments are whatever their types allow: who may not is refused before anyone looks at them.
 */

import { readFileSync } from 'node:fs'
import hre from 'hardhat'
import {
  type Abi,
  type AbiFunction,
  type AbiParameter,
  type Address,
  type EIP1193Provider,
  encodeFunctionData,
  toFunctionSelector,
  zeroAddress,
} from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import * as abis from '../../../src/chain/abi.ts'
import { noEnd } from '../../../src/chain/approval.ts'
import { revertData, sendCall } from '../../../src/chain/call.ts'
import { deployAndRegisterApp, deployedApp } from '../../../src/chain/registries/registry.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { createDao, type Dao, hardhatArtifacts } from '../dao.ts'

interface Row {
  readonly functions: readonly string[]
  readonly contracts: readonly string[]
  readonly who: string
}

const contracts: Record<string, Abi> = {
  KmsAuth: abis.kmsAuthAbi,
  App: abis.appAbi,
  Hosts: abis.hostsAbi,
  HostBonds: abis.hostBondsAbi,
  Images: abis.imagesAbi,
  RootKeys: abis.rootKeysAbi,
  AssentGovernor: abis.assentGovernorAbi,
  TimelockController: abis.timelockControllerAbi,
  AssentVotes: abis.assentVotesAbi,
  AssentVotesWrapper: abis.assentVotesWrapperAbi,
  DaoFactory: abis.daoFactoryAbi,
  QuoteVerifier: abis.quoteVerifierAbi,
  Heartbeat: abis.heartbeatAbi,
  Instances: abis.instancesAbi,
  AppSigners: abis.appSignersAbi,
  AssentValidator: abis.assentValidatorAbi,
  Requests: abis.requestsAbi,
}

/** Parts of the contracts above, proxies, and code that is not a contract of its own. */
const notAlone = [
  'approvalRegistryAbi',
  'renounceableUpgradesAbi',
  'collateralStoreAbi',
  'erc1967ProxyAbi',
  'iAppAuthAbi',
]

const rows = readTable(readFileSync(new URL('../../../docs/contracts.md', import.meta.url), 'utf8'))

function readTable(page: string): Row[] {
  const section = page.slice(page.indexOf('## Permissions and delays'))
  return section
    .slice(0, section.indexOf('\n**Why not'))
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [, functions = '', of = '', who = ''] = line.split('|')
      return {
        functions: [...functions.matchAll(/`(\w+)`/g)].map(([, name]) => name as string),
        contracts: of.split(',').map((name) => name.trim()),
        who: who.trim(),
      }
    })
}

function changing(abi: Abi): AbiFunction[] {
  return abi.filter(
    (item): item is AbiFunction =>
      item.type === 'function' &&
      (item.stateMutability === 'nonpayable' || item.stateMutability === 'payable'),
  )
}

describe('the table of permissions', () => {
  test.each(Object.keys(contracts))('has each function of %s once', (contract) => {
    const found = [...new Set(changing(contracts[contract] as Abi).map(({ name }) => name))].sort()
    const listed = rows
      .filter(({ contracts: of }) => of.includes(contract))
      .flatMap(({ functions }) => functions)

    expect([...listed].sort()).toEqual(found)
  })

  test('has every upgradeable contract', () => {
    const known = new Set<unknown>(Object.values(contracts))
    const others = Object.entries(abis)
      .filter(([name, abi]) => !known.has(abi) && !notAlone.includes(name))
      .filter(([, abi]) => changing(abi as Abi).length > 0)

    expect(others.map(([name]) => name)).toEqual([])
    expect(rows.flatMap(({ contracts: of }) => of).filter((name) => !(name in contracts))).toEqual(
      [],
    )
  })
})

const refusals = {
  owner: toFunctionSelector('OwnableUnauthorizedAccount(address)'),
  guardian: toFunctionSelector('GuardianUnauthorizedAccount(address)'),
  initialized: toFunctionSelector('InvalidInitialization()'),
  dao: toFunctionSelector('GovernorOnlyExecutor(address)'),
  deposit: toFunctionSelector('GovernorDisabledDeposit()'),
  role: toFunctionSelector('AccessControlUnauthorizedAccount(address,bytes32)'),
  timelock: toFunctionSelector('TimelockUnauthorizedCaller(address)'),
}

describe('a deployed contract', () => {
  let dao: Dao
  let at: Record<string, Address>
  let owner: Address
  let guardian: Address
  let stranger: Address

  beforeAll(async () => {
    const { provider } = await hre.network.create()
    dao = await createDao({
      provider: provider as unknown as EIP1193Provider,
      artifacts: hardhatArtifacts(hre),
      mode: 'hardhat',
    })
    owner = dao.clients.owner.walletClient.account.address
    guardian = dao.clients.guardian.walletClient.account.address
    stranger = dao.clients.stranger.walletClient.account.address
    at = await deployAll()
  })

  async function place(contract: string, args: readonly unknown[] = []): Promise<Address> {
    const { walletClient, publicClient } = dao.clients.deployer
    const { abi, bytecode } = await hardhatArtifacts(hre)(contract)
    const hash = await walletClient.deployContract({
      abi,
      bytecode: bytecode as Hex,
      args,
    } as never)
    const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash })
    return contractAddress as Address
  }

  async function placeProxy(contract: string, name: string, args: readonly unknown[]) {
    const data = encodeFunctionData({ abi: contracts[contract] as Abi, functionName: name, args })
    return place('ERC1967Proxy', [await place(contract), data])
  }

  async function deployAll(): Promise<Record<string, Address>> {
    const rules = {
      attestedSince: 0,
      minLifetime: 0,
      maxLifetime: 86_400,
      window: 200,
      minEvaluationNumber: 0,
      isOpen: false,
      activationDelay: 0,
    }
    const { governor, timelock, votes, appImplementation } = dao.addresses
    const kmsAuth = await placeProxy('KmsAuth', 'initializeGoverned', [
      owner,
      appImplementation,
      guardian,
      86_400,
    ])
    const call = deployAndRegisterApp(kmsAuth, { owner })
    const app = deployedApp(await sendCall(dao.clients.owner, call))
    await sendCall(dao.clients.owner, {
      to: app,
      data: encodeFunctionData({
        abi: abis.appAbi,
        functionName: 'setGuardian',
        args: [guardian, 86_400, noEnd],
      }),
      summary: 'name a guardian',
    })
    return {
      KmsAuth: kmsAuth,
      App: app,
      Hosts: await placeProxy('Hosts', 'initialize', [owner, votes, guardian, 86_400, rules]),
      HostBonds: await placeProxy('HostBonds', 'initialize', [owner, votes, 0n, 86_400]),
      Images: await placeProxy('Images', 'initialize', [owner, guardian, 86_400]),
      RootKeys: await placeProxy('RootKeys', 'initialize', [
        owner,
        votes,
        kmsAuth,
        guardian,
        86_400,
      ]),
      AssentGovernor: governor,
      TimelockController: timelock,
      AssentVotes: votes,
      AssentVotesWrapper: await place('AssentVotesWrapper', [votes, 'Wrapped', 'WRAP', 1n]),
      DaoFactory: await place('DaoFactory', [[votes, votes], votes, votes, votes]),
      Heartbeat: await place('Heartbeat', []),
      Instances: await place('Instances', [kmsAuth, votes, votes, votes, 1n, 1n]),
      AppSigners: await place('AppSigners', [votes]),
      AssentValidator: await place('AssentValidator', [votes, votes]),
      Requests: await place('Requests', [votes, votes, votes, 0]),
    }
  }

  /** The selector of the error with which the call is refused; undefined if it is not. */
  async function refusal(account: Address, to: Address, data: Hex): Promise<Hex | undefined> {
    try {
      await dao.publicClient.call({ account, to, data })
      return undefined
    } catch (error) {
      return (revertData(error) ?? '0x').slice(0, 10) as Hex
    }
  }

  const calls = rows.flatMap(({ functions, contracts: of, who }) =>
    of
      .filter((contract) => contract !== 'QuoteVerifier')
      .flatMap((contract) =>
        changing(contracts[contract] as Abi)
          .filter(({ name }) => functions.includes(name))
          .map((item) => ({ contract, item, who, name: item.name })),
      ),
  )

  test.each(calls)('$contract allows $name only to: $who', async ({ contract, item, who }) => {
    const to = at[contract] as Address
    const data = encodeFunctionData({ abi: [item], args: item.inputs.map(anything) })
    const [byOwner, byGuardian, byStranger] = [
      await refusal(owner, to, data),
      await refusal(guardian, to, data),
      await refusal(stranger, to, data),
    ]

    switch (who) {
      case 'owner':
        expect([byGuardian, byStranger]).toEqual([refusals.owner, refusals.owner])
        expect(byOwner).not.toBe(refusals.owner)
        break
      case 'guardian or owner':
        expect(byStranger).toBe(refusals.guardian)
        expect([byOwner, byGuardian]).not.toContain(refusals.guardian)
        break
      case 'who was named':
        expect([byOwner, byGuardian, byStranger]).toEqual(Array(3).fill(refusals.owner))
        break
      case 'nobody':
        expect([byOwner, byGuardian, byStranger]).toEqual(Array(3).fill(refusals.initialized))
        break
      case 'the DAO itself':
        for (const found of [byOwner, byGuardian, byStranger]) {
          expect([refusals.dao, refusals.deposit]).toContain(found)
        }
        expect(await refusal(dao.addresses.timelock, to, data)).not.toBe(refusals.dao)
        break
      case 'the governor':
        expect([byOwner, byGuardian, byStranger]).toEqual(Array(3).fill(refusals.role))
        expect(await refusal(dao.addresses.governor, to, data)).not.toBe(refusals.role)
        break
      case 'the timelock itself':
        for (const found of [byOwner, byGuardian, byStranger]) {
          expect([refusals.role, refusals.timelock]).toContain(found)
        }
        expect(await refusal(to, to, data)).toBeUndefined()
        break
      case 'anyone':
        expect(Object.values(refusals)).not.toContain(byStranger)
        break
      default:
        throw new Error(`The table names someone unknown: ${who}`)
    }
  })

  test('has no owner if it is the quote verifier', () => {
    const names = abis.quoteVerifierAbi.map((item) => ('name' in item ? item.name : ''))

    for (const power of ['owner', 'transferOwnership', 'upgradeToAndCall', 'grantRole']) {
      expect(names).not.toContain(power)
    }
  })
})

/** A value of the type. */
function anything(parameter: AbiParameter): unknown {
  const { type } = parameter
  if (type.endsWith('[]')) return []
  if (type === 'tuple') {
    const { components } = parameter as AbiParameter & { components: readonly AbiParameter[] }
    return Object.fromEntries(components.map((each) => [each.name, anything(each)]))
  }
  if (type === 'address') return zeroAddress.replace(/0$/, '7')
  if (type === 'bool') return true
  if (type === 'string') return 'x'
  if (type === 'bytes') return '0x'
  if (type.startsWith('bytes')) return `0x${'07'.repeat(Number(type.slice('bytes'.length)))}`
  return Number(type.replace(/\D/g, '')) > 48 ? 1n : 1
}
