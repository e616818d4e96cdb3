import { readFileSync } from 'node:fs'

import hre from 'hardhat'
import {
  type Abi,
  type AbiItem,
  type Address,
  type EIP1193Provider,
  encodeFunctionData,
  keccak256,
  parseAbiItem,
  parseEventLogs,
  toBytes,
  toEventSelector,
  toFunctionSelector,
} from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'

import { appAbi, erc1967ProxyAbi, kmsAuthAbi } from '../../src/chain/abi.ts'
import { appKey } from '../../src/chain/approval.ts'
import { type Call, sendCall } from '../../src/chain/call.ts'
import * as registry from '../../src/chain/registries/registry.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { describeRecorded, readCommittedJson, readVectorJson } from '../vectors.ts'
import { createDao, type Dao, hardhatArtifacts } from './dao.ts'

interface Facts {
  readonly contracts: Record<
    'DstackKms' | 'DstackApp',
    {
      readonly functions: Record<string, { selector: Hex; signature: string }>
      readonly events: Record<string, { topic0: Hex; signature: string }>
      readonly errors: Record<string, { selector: Hex }>
    }
  >
  readonly policyTopics: Record<string, Hex>
  readonly requireStrings: readonly string[]
  readonly reasonStrings: Record<string, readonly string[]>
  readonly erc7201: Record<
    'Ownable' | 'Ownable2Step' | 'Initializable' | 'ERC1967Implementation',
    Hex
  >
}

const facts = readCommittedJson<Facts>('dstack/contracts/selectors-topics-storage.json')
const calldata = readCommittedJson<{
  bootInfo: Parameters<typeof question>[1]
  isAppAllowed: Hex
  isKmsAllowed: Hex
}>('dstack/contracts/calldata-example.json')

/** Names of dstack's events by topic 0. */
const eventNames: ReadonlyMap<Hex, string> = new Map(
  Object.values(facts.contracts).flatMap(({ events }) =>
    Object.entries(events).map(([name, { topic0 }]) => [topic0, name.replace(/\(.*/, '')] as const),
  ),
)

const ours: Record<'DstackKms' | 'DstackApp', Abi> = {
  DstackKms: [...kmsAuthAbi, ...erc1967ProxyAbi],
  DstackApp: [...appAbi, ...erc1967ProxyAbi],
}

/**
 * An item as it is published: `internalType` is the compiler's own business, a parameter without a name
 * is one of a generated getter, and an absent member means the same as an empty or false one.
 */
function published(item: unknown): unknown {
  if (Array.isArray(item)) return item.map(published)
  if (typeof item !== 'object' || item === null) return item
  const entries = Object.entries(item)
    .filter(([key, value]) => key !== 'internalType' && value !== '' && value !== false)
    .filter(([, value]) => !(Array.isArray(value) && value.length === 0))
    .map(([key, value]) => [key, published(value)])
  return Object.fromEntries(entries)
}

function find(abi: Abi, type: string, selector: (item: AbiItem) => Hex, wanted: Hex): unknown {
  const found = abi.find((item) => item.type === type && selector(item) === wanted)
  return found === undefined ? undefined : published(found)
}

const functionSelector = (item: AbiItem) => toFunctionSelector(item as never)
const eventSelector = (item: AbiItem) => toEventSelector(item as never)

function errorSelector(item: AbiItem): Hex {
  const { name, inputs } = item as Extract<AbiItem, { type: 'error' }>
  return toFunctionSelector(`${name}(${inputs.map((input) => input.type).join(',')})`)
}

function question(
  functionName: 'isAppAllowed' | 'isKmsAllowed',
  bootInfo: Parameters<typeof encodeFunctionData<typeof kmsAuthAbi, 'isAppAllowed'>>[0]['args'][0],
): Hex {
  return encodeFunctionData({ abi: kmsAuthAbi, functionName, args: [bootInfo] })
}

function parsed(signature: string): object {
  return published(parseAbiItem(signature as never)) as object
}

describe.each(['DstackKms', 'DstackApp'] as const)('the ABI of %s', (contract) => {
  const { functions, events, errors } = facts.contracts[contract]
  const abi = ours[contract]

  test.each(Object.entries(functions))('has function %s', (_, { selector, signature }) => {
    expect(find(abi, 'function', functionSelector, selector)).toMatchObject(parsed(signature))
  })

  test.each(Object.entries(events))('has event %s', (_, { topic0, signature }) => {
    expect(find(abi, 'event', eventSelector, topic0)).toMatchObject(parsed(signature))
  })

  test.each(Object.entries(errors))('has error %s', (_, { selector }) => {
    expect(find(abi, 'error', errorSelector, selector)).toBeDefined()
  })
})

describe('the calldata of isAppAllowed and isKmsAllowed', () => {
  test('equals the calldata of ethers for the same boot info', () => {
    expect(question('isAppAllowed', calldata.bootInfo)).toBe(calldata.isAppAllowed)
    expect(question('isKmsAllowed', calldata.bootInfo)).toBe(calldata.isKmsAllowed)
  })
})

describeRecorded("dstack's published ABI files", () => {
  test.each(['DstackKms', 'DstackApp'] as const)(
    'is contained in the ABI of Assent: %s',
    (contract) => {
      const upstream = readVectorJson<AbiItem[] | { abi: AbiItem[] }>(
        `dstack/contracts/${contract}.abi.json`,
      )
      const items = (Array.isArray(upstream) ? upstream : upstream.abi).filter(
        ({ type }) => type === 'function' || type === 'event',
      )

      expect(items.length).toBeGreaterThan(20)
      for (const item of items) {
        const [type, selector] =
          item.type === 'event'
            ? (['event', eventSelector] as const)
            : (['function', functionSelector] as const)
        const same = find(ours[contract], type, selector, selector(item))
        expect(same).toMatchObject(published(item) as object)
      }
    },
  )
})

describe('KmsAuth and App on a chain', () => {
  const hash: Hex = `0x${'11'.repeat(32)}`
  let dao: Dao
  let kmsAuth: Address
  let app: Address

  beforeAll(async () => {
    const { provider } = await hre.network.create()
    dao = await createDao({
      provider: provider as unknown as EIP1193Provider,
      artifacts: hardhatArtifacts(hre),
      mode: 'hardhat',
    })
    const { owner } = dao.clients
    const init = encodeFunctionData({
      abi: kmsAuthAbi,
      functionName: 'initialize',
      args: [owner.walletClient.account.address, dao.addresses.appImplementation],
    })
    kmsAuth = await deployProxy(dao.addresses.kmsAuthImplementation, init)
    app = registry.deployedApp(
      await sendCall(
        owner,
        registry.deployAndRegisterApp(kmsAuth, { owner: owner.walletClient.account.address }),
      ),
    )
  })

  async function deployProxy(implementation: Address, init: Hex): Promise<Address> {
    const { walletClient, publicClient } = dao.clients.owner
    const { bytecode } = await hardhatArtifacts(hre)('ERC1967Proxy')
    const hash = await walletClient.deployContract({
      abi: erc1967ProxyAbi,
      bytecode: bytecode as Hex,
      args: [implementation, init],
    })
    const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash })
    return contractAddress as Address
  }

  test('keep owner, initialization and implementation in the published slots', async () => {
    const { publicClient, clients, addresses } = dao
    const at = async (address: Address, slot: Hex) =>
      BigInt((await publicClient.getStorageAt({ address, slot })) ?? '0x0')
    const owner = BigInt(clients.owner.walletClient.account.address)
    const stranger = clients.stranger.walletClient.account.address
    await sendCall(clients.owner, {
      to: app,
      data: encodeFunctionData({
        abi: appAbi,
        functionName: 'transferOwnership',
        args: [stranger],
      }),
      summary: 'offer the app',
    })

    for (const contract of [kmsAuth, app]) {
      expect(await at(contract, facts.erc7201.Ownable)).toBe(owner)
    }
    expect(await at(kmsAuth, facts.erc7201.Initializable)).toBe(1n)
    expect(await at(app, facts.erc7201.Ownable2Step)).toBe(BigInt(stranger))
    expect(await at(kmsAuth, facts.erc7201.ERC1967Implementation)).toBe(
      BigInt(addresses.kmsAuthImplementation),
    )
    expect(await at(app, facts.erc7201.ERC1967Implementation)).toBe(
      BigInt(addresses.appImplementation),
    )
  })

  test('write the initialization of an app to the published slot before any other call', async () => {
    const { publicClient, clients, addresses } = dao
    const made = registry.deployedApp(
      await sendCall(
        clients.owner,
        registry.deployAndRegisterApp(kmsAuth, {
          owner: clients.owner.walletClient.account.address,
        }),
      ),
    )
    const initialized = async () =>
      BigInt(
        (await publicClient.getStorageAt({ address: made, slot: facts.erc7201.Initializable })) ??
          '0x0',
      )
    const initialize: Call = {
      to: made,
      data: encodeFunctionData({
        abi: appAbi,
        functionName: 'initialize',
        args: [clients.stranger.walletClient.account.address, false, false, hash, hash],
      }),
      summary: 'take the app',
    }

    await expect(sendCall(clients.stranger, initialize)).rejects.toThrow('InvalidInitialization')
    expect(await initialized()).toBe(0n)
    await sendCall(clients.owner, {
      to: made,
      data: encodeFunctionData({
        abi: appAbi,
        functionName: 'upgradeToAndCall',
        args: [addresses.appImplementation, '0x'],
      }),
      summary: 'upgrade',
    })
    expect(await initialized()).toBe(1n)
    await expect(sendCall(clients.stranger, initialize)).rejects.toThrow('InvalidInitialization')
  })

  test.each([
    ['OsImageHashAdded', 'OsImageHashRemoved', registry.addOsImageHash, registry.removeOsImageHash],
    [
      'KmsAggregatedMrAdded',
      'KmsAggregatedMrRemoved',
      registry.addKmsAggregatedMr,
      registry.removeKmsAggregatedMr,
    ],
    ['KmsDeviceAdded', 'KmsDeviceRemoved', registry.addKmsDevice, registry.removeKmsDevice],
    ['ComposeHashAdded', 'ComposeHashRemoved', registry.addComposeHash, registry.removeComposeHash],
    ['DeviceAdded', 'DeviceRemoved', registry.addDevice, registry.removeDevice],
  ] as const)('emit %s and %s with the id, and no other event of dstack', async (...row) => {
    const [added, removed, add, remove] = row
    const id: Hex = `0x${'22'.repeat(32)}`
    const contract = add === registry.addComposeHash || add === registry.addDevice ? app : kmsAuth

    const eventsOf = async (call: Call) => {
      const { logs } = await sendCall(dao.clients.owner, call)
      return logs.flatMap(({ address, topics: [topic0], data }) => {
        const name = eventNames.get(topic0 as Hex)
        if (name === undefined || name === 'PolicyChanged') return []
        return [{ address, name, data }]
      })
    }
    const address = expect.stringMatching(new RegExp(contract, 'i'))
    expect(await eventsOf(add(contract, id))).toEqual([{ address, name: added, data: id }])
    expect(await eventsOf(remove(contract, id))).toEqual([{ address, name: removed, data: id }])
  })

  test('name every policy as published', async () => {
    const kms = (functionName: 'setAppImplementation', args: readonly [Address]): Call => ({
      to: kmsAuth,
      data: encodeFunctionData({ abi: kmsAuthAbi, functionName, args }),
      summary: functionName,
    })
    const onApp = (
      functionName: 'setAllowAnyDevice' | 'setRequireTcbUpToDate',
      flag: boolean,
    ): Call => ({
      to: app,
      data: encodeFunctionData({ abi: appAbi, functionName, args: [flag] }),
      summary: functionName,
    })
    const upgrade = (to: Address, implementation: Address): Call => ({
      to,
      data: encodeFunctionData({
        abi: kmsAuthAbi,
        functionName: 'upgradeToAndCall',
        args: [implementation, '0x'],
      }),
      summary: 'upgrade',
    })
    const { addresses } = dao
    const info = { k256Pubkey: '0x02', caPubkey: '0x03', quote: '0x', eventlog: '0x' } as const
    const rows: [string, Call, Hex, boolean][] = [
      [
        'app-implementation',
        kms('setAppImplementation', [addresses.appImplementation]),
        appKey(addresses.appImplementation),
        true,
      ],
      ['kms-info', registry.setKmsInfo(kmsAuth, info), keccak256('0x02'), true],
      ['gateway-app-id', registry.setGatewayAppId(kmsAuth, 'any'), keccak256(toBytes('any')), true],
      [
        'registered-app',
        registry.registerApp(kmsAuth, addresses.votes),
        appKey(addresses.votes),
        true,
      ],
      ['kms-aggregated-mr', registry.addKmsAggregatedMr(kmsAuth, hash), hash, true],
      ['kms-aggregated-mr', registry.removeKmsAggregatedMr(kmsAuth, hash), hash, false],
      ['kms-device', registry.addKmsDevice(kmsAuth, hash), hash, true],
      ['kms-device', registry.removeKmsDevice(kmsAuth, hash), hash, false],
      ['os-image', registry.addOsImageHash(kmsAuth, hash), hash, true],
      ['os-image', registry.removeOsImageHash(kmsAuth, hash), hash, false],
      ['device', registry.addDevice(app, hash), hash, true],
      ['device', registry.removeDevice(app, hash), hash, false],
      ['compose-hash', registry.addComposeHash(app, hash), hash, true],
      ['compose-hash', registry.removeComposeHash(app, hash), hash, false],
      ['allow-any-device', onApp('setAllowAnyDevice', true), `0x${'00'.repeat(32)}`, true],
      [
        'require-tcb-up-to-date',
        onApp('setRequireTcbUpToDate', true),
        `0x${'00'.repeat(32)}`,
        true,
      ],
      [
        'implementation-upgrade',
        upgrade(kmsAuth, addresses.kmsAuthImplementation),
        appKey(addresses.kmsAuthImplementation),
        true,
      ],
      [
        'implementation-upgrade',
        upgrade(app, addresses.appImplementation),
        appKey(addresses.appImplementation),
        true,
      ],
      [
        'upgrades-disabled',
        {
          to: app,
          data: encodeFunctionData({ abi: appAbi, functionName: 'disableUpgrades' }),
          summary: 'freeze',
        },
        `0x${'00'.repeat(32)}`,
        true,
      ],
    ]

    for (const [policy, call, value, enabled] of rows) {
      const receipt = await sendCall(dao.clients.owner, call)
      const changes = parseEventLogs({
        abi: kmsAuthAbi,
        eventName: 'PolicyChanged',
        logs: receipt.logs,
      })
      expect(changes.map(({ args }) => args)).toEqual([
        {
          actor: expect.stringMatching(
            new RegExp(dao.clients.owner.walletClient.account.address, 'i'),
          ),
          policy: facts.policyTopics[policy],
          value,
          enabled,
        },
      ])
    }
    expect(new Set(rows.map(([policy]) => policy))).toEqual(
      new Set(Object.keys(facts.policyTopics)),
    )
  })
})

describe('the revert reasons that tools compare', () => {
  const sources = ['auth/DenialReasons.sol', 'auth/KmsAuth.sol', 'registry/App.sol'].map((file) =>
    readFileSync(new URL(`../../contracts/${file}`, import.meta.url), 'utf8'),
  )

  test.each([...facts.requireStrings, ...Object.values(facts.reasonStrings).flat()])(
    'are spelled as published: %s',
    (sentence) => {
      expect(sources.some((source) => source.includes(`"${sentence}"`))).toBe(true)
    },
  )
})
