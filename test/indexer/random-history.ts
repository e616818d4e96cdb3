/** A deployed Assent on anvil, and random operations on all of its contracts. The DAO's timelock is impersonated. */
import { createHash } from 'node:crypto'

import hre from 'hardhat'
import {
  type Abi,
  createPublicClient,
  type EIP1193Provider,
  encodeFunctionData,
  http,
  keccak256,
  type PublicClient,
  toHex,
} from 'viem'
import { foundry } from 'viem/chains'

import {
  appAbi,
  assentGovernorAbi,
  assentVotesAbi,
  heartbeatAbi,
  hostBondsAbi,
  hostsAbi,
  imagesAbi,
  kmsAuthAbi,
  rootKeysAbi,
  timelockControllerAbi,
} from '../../src/chain/abi.ts'
import { noEnd } from '../../src/chain/approval.ts'
import type { Addresses } from '../../src/chain/record/deployments.ts'
import { hostReportData } from '../../src/chain/registries/hosts.ts'
import { standardHostRules } from '../../src/deploy/deploy.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { startAnvil } from '../anvil.ts'
import { createDao, hardhatArtifacts } from '../chain/dao.ts'
import { encodeReport } from '../chain/registries.ts'

export interface RandomHistory {
  readonly url: string
  readonly client: PublicClient
  readonly addresses: Required<Addresses>
  /** Mines one block with `operations` random operations. Some of them revert. */
  block(operations: number): Promise<void>
  /** Sends one operation in a block of its own. @returns whether it succeeded */
  send(from: Hex, to: Hex, abi: Abi, name: string, args: readonly unknown[]): Promise<boolean>
  /** Any RPC method of anvil. */
  rpc<T>(method: string, ...params: readonly unknown[]): Promise<T>
  readonly accounts: readonly Hex[]
  stop(): Promise<void>
}

/** The same numbers for the same seed (SHA-256 of a counter). */
export function createRandom(seed: number) {
  let counter = 0
  const below = (limit: number): number => {
    const digest = createHash('sha256').update(`${seed}/${counter++}`).digest()
    return digest.readUInt32BE(0) % limit
  }
  return {
    below,
    pick: <T>(items: readonly T[]): T => items[below(items.length)] as T,
    chance: (percent: number) => below(100) < percent,
  }
}

/** @param seed decides about all operations */
export async function createRandomHistory(seed: number): Promise<RandomHistory> {
  const anvil = await startAnvil({ args: ['--chain-id', '31337', '--gas-limit', '300000000'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  const rpc = <T>(method: string, ...params: readonly unknown[]) =>
    request({ method, params } as never) as Promise<T>
  const simulator = createSimulator({ at: Math.floor(Date.now() / 1000) })
  const provider = { request } as unknown as EIP1193Provider
  const { clients, addresses } = await createDao({
    provider,
    artifacts: hardhatArtifacts(hre),
    mode: 'anvil',
    attestation: { root: simulator.rootCertificate, hosts: standardHostRules },
  })
  const client = createPublicClient({
    chain: foundry,
    transport: http(anvil.url, { batch: true }),
    cacheTime: 0,
  }) as PublicClient
  const accounts = Object.values(clients).map(
    ({ walletClient }) => walletClient.account.address.toLowerCase() as Hex,
  )
  const [deployer = '0x', voter = '0x'] = accounts
  const create = async (contract: string, args: readonly unknown[] = []) => {
    const { abi, bytecode } = await hre.artifacts.readArtifact(contract)
    const { walletClient, publicClient } = clients.deployer
    const hash = await walletClient.deployContract({
      abi: abi as Abi,
      bytecode: bytecode as Hex,
      args,
    })
    const receipt = await publicClient.waitForTransactionReceipt({ hash })
    return receipt.contractAddress as Hex
  }
  // bonds in the votes token, without a second token
  const bonds = await create('ERC1967Proxy', [
    await create('HostBonds'),
    encodeFunctionData({
      abi: hostBondsAbi,
      functionName: 'initialize',
      args: [addresses.timelock, addresses.votes, 0n, 3_600],
    }),
  ])
  const accepting = await create('AcceptingVerifier')
  const all = { ...addresses, hostBonds: bonds } as Required<Addresses>
  await rpc('anvil_impersonateAccount', all.timelock)
  await rpc('anvil_setBalance', all.timelock, toHex(10n ** 21n))

  const submit = (from: Hex, to: Hex, abi: Abi, name: string, args: readonly unknown[]) => {
    const data = encodeFunctionData({ abi, functionName: name, args })
    return rpc<Hex>('eth_sendTransaction', { from, to, data, gas: toHex(5_000_000) })
  }
  const send: RandomHistory['send'] = async (from, to, abi, name, args) => {
    const hash = await submit(from, to, abi, name, args)
    return (
      (await client.waitForTransactionReceipt({ hash, pollingInterval: 10 })).status === 'success'
    )
  }
  await send(all.timelock, all.hosts, hostsAbi as Abi, 'setVerifier', [accepting, noEnd])
  await send(all.timelock, all.rootKeys, rootKeysAbi as Abi, 'setVerifier', [accepting, noEnd])
  for (const account of accounts.slice(2)) {
    await send(voter, all.votes, assentVotesAbi as Abi, 'transfer', [account, 10n ** 19n])
  }

  const random = createRandom(seed)
  const model = createOperations(random, { client, addresses: all, accounts, deployer, submit })
  return {
    url: anvil.url,
    client,
    addresses: all,
    accounts,
    rpc,
    send,
    block: async (operations) => {
      await rpc('evm_setAutomine', false)
      await rpc('evm_increaseTime', random.chance(20) ? random.below(200_000) : random.below(100))
      for (let each = 0; each < operations; each++) await model()
      await rpc('evm_mine')
      await rpc('evm_setAutomine', true)
    },
    stop: anvil.stop,
  }
}

interface Setting {
  readonly client: PublicClient
  readonly addresses: Required<Addresses>
  readonly accounts: readonly Hex[]
  readonly deployer: Hex
  readonly submit: (
    from: Hex,
    to: Hex,
    abi: Abi,
    name: string,
    args: readonly unknown[],
  ) => Promise<Hex>
}

type Operation = readonly [from: Hex, to: Hex, abi: unknown, name: string, args: readonly unknown[]]

/** Returns a function that submits one random operation. */
function createOperations(random: ReturnType<typeof createRandom>, setting: Setting) {
  const { client, addresses, accounts, submit } = setting
  const { timelock, kmsAuth, hosts, images, rootKeys, hostBonds, governor, votes } = addresses
  const guardian = accounts[2] as Hex
  const { pick, below, chance } = random
  const ids = Array.from({ length: 6 }, (_, index) => keccak256(toHex(`thing ${index}`)))
  const proposals: { calls: unknown[]; description: string; id: bigint }[] = []
  const someone = () => pick(accounts)
  const id = () => pick(ids)
  // text that databases and pages read wrongly
  const text = () => pick(['', '123', 'null', '\u0000', '"', 'ümläut', '\ud800', '0x', "'; --"])

  const registries = async (): Promise<readonly (readonly [Hex, Hex, readonly number[]])[]> => {
    const apps = await listApps()
    return [
      [timelock, kmsAuth, [0, 1, 2]],
      [timelock, hosts, [6]],
      [timelock, images, [8]],
      [timelock, rootKeys, [7]],
      ...apps.map((app) => [accounts[3] as Hex, app, [4, 5]] as const),
    ]
  }
  const listApps = async () => {
    const page = await client.readContract({
      address: kmsAuth,
      abi: kmsAuthAbi,
      functionName: 'page',
      args: [3, 0n, 50n],
    })
    return page[0].map((each): Hex => `0x${each.slice(26)}`)
  }
  const onRegistry = async (): Promise<Operation> => {
    const [owner, registry, kinds] = pick(await registries())
    const kind = pick(kinds)
    const some = chance(30) ? [id(), id()] : [id()]
    const until = chance(50) ? 0 : Math.floor(Date.now() / 1000) + below(3_000_000)
    const abi = kmsAuthAbi
    const from = chance(15) ? guardian : owner
    const terms = some.map((each) => ({
      kind,
      id: each,
      activeFrom: 0,
      expiresAt: until,
      evidence: chance(50) ? '0x' : toHex(text()),
    }))
    return pick<Operation>([
      [owner, registry, abi, 'approve', [terms, noEnd]],
      [owner, registry, abi, 'approve', [terms, noEnd]],
      [owner, registry, abi, 'approve', [terms, noEnd]],
      [owner, registry, abi, 'extend', [kind, some, until, noEnd]],
      [owner, registry, abi, 'shorten', [kind, some, until]],
      [from, registry, abi, 'suspend', [kind, some]],
      [owner, registry, abi, 'lift', [kind, some, noEnd]],
      [owner, registry, abi, 'withdraw', [kind, some]],
      ...(chance(15) ? [[owner, registry, abi, 'revoke', [kind, some]] as const] : []),
      [someone(), registry, abi, 'markExpired', [kind, some]],
      [owner, registry, abi, 'setGuardian', [guardian, 3_600 + below(80_000), noEnd]],
    ])
  }
  const onKmsAuth = (): Operation => {
    const target = chance(50) ? hosts : `0x${'0'.repeat(40)}`
    const info = { k256Pubkey: '0x02', caPubkey: '0x30', quote: toHex(text()), eventlog: '0x' }
    const owner = accounts[3]
    return pick<Operation>([
      [
        someone(),
        kmsAuth,
        kmsAuthAbi,
        'deployAndRegisterApp',
        [
          owner,
          chance(20),
          chance(50),
          chance(50),
          id(),
          chance(50) ? id() : `0x${'0'.repeat(64)}`,
        ],
      ],
      [timelock, kmsAuth, kmsAuthAbi, 'setHosts', [target, noEnd]],
      [timelock, kmsAuth, kmsAuthAbi, 'setGatewayAppId', [text()]],
      [timelock, kmsAuth, kmsAuthAbi, 'setKmsInfo', [info]],
      [timelock, kmsAuth, kmsAuthAbi, 'setKmsQuote', [toHex(text())]],
      [timelock, kmsAuth, kmsAuthAbi, 'setActivationDelay', [below(3), below(1_000), noEnd]],
      [timelock, kmsAuth, kmsAuthAbi, 'transferOwnership', [someone()]],
    ])
  }
  const onApp = async (): Promise<Operation> => {
    const apps = await listApps()
    if (apps.length === 0) return onKmsAuth()
    const [owner, app] = [accounts[3] as Hex, pick(apps)]
    const loosen = encodeFunctionData({
      abi: appAbi,
      functionName: 'setAllowAnyDevice',
      args: [true],
    })
    const now = Number((await client.getBlock()).timestamp)
    return pick<Operation>([
      [owner, app, appAbi, 'setAllowAnyDevice', [chance(50)]],
      [owner, app, appAbi, 'setRequireTcbUpToDate', [chance(50)]],
      [owner, app, appAbi, 'setVariants', [1 + 2 * below(2)]],
      [owner, app, appAbi, 'setNoticePeriod', [below(5_000)]],
      [owner, app, appAbi, 'announce', [keccak256(loosen)]],
      [owner, app, appAbi, 'setAllowAnyDevice', [true]],
      [owner, app, appAbi, 'supersede', [1 + below(4), now + below(300_000), chance(50)]],
      [owner, app, appAbi, 'supersede', [1 + below(4), 0, chance(50)]],
      ...(chance(10) ? [[owner, app, appAbi, 'disableUpgrades', []] as const] : []),
    ])
  }
  const register = async (): Promise<Operation> => {
    const operator = someone()
    const { number, hash, timestamp } = await client.getBlock()
    const binding = { chainId: 31337, registry: hosts, operator, block: { number, hash } }
    const reportData = hostReportData(binding)
    const expiresAt = timestamp + BigInt(1 + below(3_000_000))
    const quote = encodeReport({ status: 1 + below(2), deviceId: id(), reportData, expiresAt })
    return [operator, hosts, hostsAbi, 'register', [quote, number]]
  }
  const onHosts = async (): Promise<Operation> => {
    const rules = { ...standardHostRules, isOpen: chance(50), activationDelay: below(100) }
    return pick<Operation>([
      await register(),
      await register(),
      await register(),
      [timelock, hosts, hostsAbi, 'setOperator', [id(), someone(), noEnd]],
      [timelock, hosts, hostsAbi, 'setRules', [rules, noEnd]],
      [
        timelock,
        hosts,
        hostsAbi,
        'setStatusAcceptedUntil',
        [1 + below(3), chance(50) ? noEnd : 0, noEnd],
      ],
      [timelock, hosts, hostsAbi, 'setAdvisoriesDenied', [[id()], chance(50), noEnd]],
      [
        timelock,
        hosts,
        hostsAbi,
        'setBonds',
        [chance(20) ? hostBonds : `0x${'0'.repeat(40)}`, noEnd],
      ],
      [timelock, hosts, hostsAbi, 'setContinuityDelay', [below(100), noEnd]],
    ])
  }
  const onImages = (): Operation => {
    const registers = `0x${id().slice(2).repeat(6)}`
    const set = {
      osImageHash: id(),
      variant: 0,
      registers,
      activeFrom: 0,
      expiresAt: 0,
      evidence: '0x',
    }
    return pick<Operation>([
      [timelock, images, imagesAbi, 'approveMeasurementSets', [[set], noEnd]],
      [timelock, images, imagesAbi, 'closeImages', [[id()]]],
      [timelock, images, imagesAbi, 'openImages', [[id()], noEnd]],
      [timelock, images, imagesAbi, 'setImageName', [id(), text()]],
      [timelock, images, imagesAbi, 'setActivationDelay', [below(1_000), noEnd]],
      [timelock, rootKeys, rootKeysAbi, 'setVerifier', [someone(), noEnd]],
    ])
  }
  const onBonds = (): Operation => {
    const holder = someone()
    return pick<Operation>([
      [holder, votes, assentVotesAbi, 'approve', [hostBonds, 10n ** 20n]],
      [holder, hostBonds, hostBondsAbi, 'deposit', [id(), 1n + BigInt(below(1_000))]],
      [holder, hostBonds, hostBondsAbi, 'deposit', [id(), 1n + BigInt(below(1_000))]],
      [holder, hostBonds, hostBondsAbi, 'unbond', [id(), 1n + BigInt(below(500))]],
      [holder, hostBonds, hostBondsAbi, 'withdraw', [id()]],
      [
        timelock,
        hostBonds,
        hostBondsAbi,
        'slash',
        [id(), holder, 1n + BigInt(below(200)), someone(), '0x', noEnd],
      ],
      [
        timelock,
        hostBonds,
        hostBondsAbi,
        'setTerms',
        [BigInt(1 + below(9)), 3_600 + below(9), noEnd],
      ],
      [holder, addresses.heartbeat, heartbeatAbi, 'beat', [id()]],
    ])
  }
  const propose = async (): Promise<Operation> => {
    const action = encodeFunctionData({
      abi: kmsAuthAbi,
      functionName: 'setGatewayAppId',
      args: [`proposal ${proposals.length}`],
    })
    const description = `${text()} ${proposals.length}`.replace('\ud800', '')
    const calls = [[kmsAuth], [0n], [action]]
    const proposalId = await client.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'getProposalId',
      args: [...calls, keccak256(toHex(description))] as never,
    })
    proposals.push({ calls, description, id: proposalId })
    return [accounts[1] as Hex, governor, assentGovernorAbi, 'propose', [...calls, description]]
  }
  const onGovernance = async (): Promise<Operation> => {
    const known = proposals.at(-1 - below(3))
    if (known === undefined || chance(20)) return propose()
    const hashed = [...known.calls, keccak256(toHex(known.description))]
    const reason = text().replace('\ud800', '')
    const role = keccak256(toHex('PROPOSER_ROLE'))
    return pick<Operation>([
      [accounts[1] as Hex, governor, assentGovernorAbi, 'castVote', [known.id, 1]],
      [someone(), governor, assentGovernorAbi, 'castVoteWithReason', [known.id, below(3), reason]],
      [someone(), governor, assentGovernorAbi, 'queue', hashed],
      [someone(), governor, assentGovernorAbi, 'execute', hashed],
      ...(chance(10) ? [[guardian, governor, assentGovernorAbi, 'cancel', hashed] as const] : []),
      [someone(), votes, assentVotesAbi, 'transfer', [someone(), BigInt(below(1_000))]],
      [someone(), votes, assentVotesAbi, 'delegate', [someone()]],
      [timelock, addresses.timelock, timelockControllerAbi, 'grantRole', [role, guardian]],
      [timelock, addresses.timelock, timelockControllerAbi, 'revokeRole', [role, guardian]],
    ])
  }
  const kinds = [
    onRegistry,
    onRegistry,
    onRegistry,
    onApp,
    onApp,
    onKmsAuth,
    onHosts,
    onImages,
    onBonds,
    onGovernance,
    onGovernance,
  ]
  return async () => {
    const [from, to, abi, name, args] = await pick<() => Operation | Promise<Operation>>(kinds)()
    await submit(from, to, abi as Abi, name, args)
  }
}
