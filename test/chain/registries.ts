/** KmsAuth, an app and Hosts under one account's control, on any development node: what votes would do, at once. */
import hre from 'hardhat'
import {
  type Abi,
  type Account,
  type Chain,
  createPublicClient,
  createTestClient,
  createWalletClient,
  custom,
  type EIP1193Provider,
  encodeAbiParameters,
  encodeFunctionData,
  erc20Abi,
  keccak256,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { hardhat } from 'viem/chains'

import { appAbi, hostBondsAbi, hostsAbi, imagesAbi, kmsAuthAbi } from '../../src/chain/abi.ts'
import type { Call, Clients } from '../../src/chain/call.ts'
import { sendCall, waitForReceipt } from '../../src/chain/call.ts'
import type { PinnedCode } from '../../src/chain/proven/read-boot-facts.ts'
import { hostReportData } from '../../src/chain/registries/hosts.ts'
import { deployAndRegisterApp, deployedApp } from '../../src/chain/registries/registry.ts'
import { type Hex, to0x } from '../../src/lib/bytes.ts'

export interface Registries {
  readonly client: PublicClient
  readonly owner: Clients
  readonly test: ReturnType<typeof createTestClient>
  readonly kmsAuth: Hex
  readonly appImplementation: Hex
  readonly hosts: Hex
  readonly bonds: Hex
  readonly images: Hex
  /** What a node has to pin to read them. */
  readonly pinned: PinnedCode
  /** Deploys any contract of this project's artifacts. */
  deploy(contract: string, args?: readonly unknown[]): Promise<Hex>
  deployCode(bytecode: Hex, abi?: Abi, args?: readonly unknown[]): Promise<Hex>
  createApp(options?: { allowAnyDevice?: boolean }): Promise<Hex>
  /** Proves a host. The verifier here accepts every report. */
  proveHost(deviceId: Hex, status?: number): Promise<void>
  send(to: Hex, data: Hex): Promise<void>
  pass(seconds: number): Promise<void>
}

export async function deployRegistries(
  provider: EIP1193Provider,
  mode: 'hardhat' | 'anvil',
): Promise<Registries> {
  const transport = custom(provider, { retryCount: 0 })
  const client = createPublicClient({
    chain: hardhat,
    transport,
    pollingInterval: 20,
    cacheTime: 0,
  })
  const [account] = (await provider.request({ method: 'eth_accounts' })) as [Hex]
  const walletClient = createWalletClient({
    account,
    chain: hardhat,
    transport,
  }) as unknown as WalletClient<Transport, Chain, Account>
  const test = createTestClient({ chain: hardhat, transport, mode })
  const owner = { publicClient: client as PublicClient, walletClient }

  const deployCode = async (bytecode: Hex, abi: Abi = [], args: readonly unknown[] = []) => {
    const hash = await walletClient.deployContract({ abi, bytecode, args })
    const { contractAddress } = await waitForReceipt(client as PublicClient, hash)
    return contractAddress?.toLowerCase() as Hex
  }
  const deploy = async (contract: string, args: readonly unknown[] = []) => {
    const { abi, bytecode } = await hre.artifacts.readArtifact(contract)
    return deployCode(bytecode as Hex, abi as Abi, args)
  }
  const codeHash = async (address: Hex) => keccak256((await client.getCode({ address })) as Hex)

  const appImplementation = await deploy('App')
  const kmsImplementation = await deploy('KmsAuth')
  const hostsImplementation = await deploy('Hosts')
  const kmsAuth = await deploy('ERC1967Proxy', [
    kmsImplementation,
    encodeFunctionData({
      abi: kmsAuthAbi,
      functionName: 'initializeGoverned',
      args: [account, appImplementation, account, 86_400],
    }),
  ])
  const rules = {
    attestedSince: 0,
    minLifetime: 0,
    maxLifetime: 30 * 86_400,
    window: 255,
    minEvaluationNumber: 0,
    isOpen: false,
    activationDelay: 0,
  }
  const hosts = await deploy('ERC1967Proxy', [
    hostsImplementation,
    encodeFunctionData({
      abi: hostsAbi,
      functionName: 'initialize',
      args: [account, await deploy('AcceptingVerifier'), account, 86_400, rules],
    }),
  ])
  const token = await deploy('AssentVotes', ['Bonds', 'BOND', account, 10n ** 24n])
  const bondsImplementation = await deploy('HostBonds')
  const bonds = await deploy('ERC1967Proxy', [
    bondsImplementation,
    encodeFunctionData({
      abi: hostBondsAbi,
      functionName: 'initialize',
      args: [account, token, 0n, 3_600],
    }),
  ])
  const imagesImplementation = await deploy('Images')
  const images = await deploy('ERC1967Proxy', [
    imagesImplementation,
    encodeFunctionData({
      abi: imagesAbi,
      functionName: 'initialize',
      args: [account, account, 86_400],
    }),
  ])
  const send = async (to: Hex, data: Hex) => {
    await sendCall(owner, { to, data, summary: 'do what the test wants' })
  }
  await send(
    token,
    encodeFunctionData({ abi: erc20Abi, functionName: 'approve', args: [bonds, 10n ** 24n] }),
  )
  const createApp = async ({ allowAnyDevice = false } = {}) => {
    const call: Call = deployAndRegisterApp(kmsAuth, { owner: account, allowAnyDevice })
    return deployedApp(await sendCall(owner, call)).toLowerCase() as Hex
  }
  return {
    client: client as PublicClient,
    owner,
    test,
    kmsAuth,
    appImplementation,
    hosts,
    bonds,
    images,
    pinned: {
      proxy: [await codeHash(kmsAuth), await codeHash(await createApp())],
      kmsAuth: [await codeHash(kmsImplementation)],
      app: [await codeHash(appImplementation)],
      hosts: [await codeHash(hostsImplementation)],
      bonds: [await codeHash(bondsImplementation)],
      images: [await codeHash(imagesImplementation)],
    },
    deploy,
    deployCode,
    createApp,
    proveHost: async (deviceId, status = 1) => {
      const { number: head, timestamp } = await client.getBlock()
      // in the past even for a simulation at the head
      const { number, hash } = await client.getBlock({ blockNumber: head - 1n })
      const binding = {
        chainId: 31337,
        registry: hosts,
        operator: account,
        block: { number, hash },
      }
      const quote = encodeReport({
        status,
        deviceId,
        reportData: hostReportData(binding),
        expiresAt: timestamp + 20n * 86_400n,
      })
      await send(
        hosts,
        encodeFunctionData({ abi: hostsAbi, functionName: 'register', args: [quote, number] }),
      )
    },
    send,
    pass: async (seconds) => {
      await test.increaseTime({ seconds })
      await test.mine({ blocks: 1 })
    },
  }
}

/** The owner's functions of an app, by name. */
export function appCall(functionName: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({ abi: appAbi as Abi, functionName, args: args as unknown[] })
}

export function kmsCall(functionName: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({ abi: kmsAuthAbi as Abi, functionName, args: args as unknown[] })
}

export function hostsCall(functionName: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({ abi: hostsAbi as Abi, functionName, args: args as unknown[] })
}

export function bondsCall(functionName: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({ abi: hostBondsAbi as Abi, functionName, args: args as unknown[] })
}

export function imagesCall(functionName: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({ abi: imagesAbi as Abi, functionName, args: args as unknown[] })
}

/** A TD report of version 4 that the registries' policy lets pass: TDATTRIBUTES has SEPT_VE_DISABLE (bit 28) alone. */
export function isolatedTdReport(reportData: Uint8Array): Uint8Array {
  const td = new Uint8Array(584)
  td[123] = 0x10
  td.set(reportData, 520)
  return td
}

/** What the trusting verifier takes for a quote. */
export function encodeReport(claims: {
  readonly status: number
  readonly deviceId: Hex
  readonly reportData: Uint8Array
  readonly expiresAt: bigint
}): Hex {
  const td = isolatedTdReport(claims.reportData)
  const report = kmsReportType()
  const zero = (length: number): Hex => `0x${'00'.repeat(length)}`
  return encodeAbiParameters(report, [
    {
      verdict: 1,
      status: claims.status,
      launchStatus: claims.status,
      currentStatus: claims.status,
      version: 4,
      bodyType: 2,
      tcbEvaluationNumber: 1,
      qeEvaluationNumber: 1,
      tcbDate: 1n,
      collateralIssuedAt: 1n,
      expiresAt: claims.expiresAt,
      fmspc: zero(6),
      deviceId: claims.deviceId,
      platformInstanceId: zero(16),
      quoteId: zero(32),
      advisories: [],
      td: to0x(td),
    },
  ])
}

function kmsReportType() {
  const uint = (name: string, type: string) => ({ name, type })
  return [
    {
      type: 'tuple',
      components: [
        uint('verdict', 'uint8'),
        uint('status', 'uint8'),
        uint('launchStatus', 'uint8'),
        uint('currentStatus', 'uint8'),
        uint('version', 'uint8'),
        uint('bodyType', 'uint8'),
        uint('tcbEvaluationNumber', 'uint32'),
        uint('qeEvaluationNumber', 'uint32'),
        uint('tcbDate', 'uint64'),
        uint('collateralIssuedAt', 'uint64'),
        uint('expiresAt', 'uint64'),
        uint('fmspc', 'bytes6'),
        uint('deviceId', 'bytes32'),
        uint('platformInstanceId', 'bytes16'),
        uint('quoteId', 'bytes32'),
        uint('advisories', 'bytes32[]'),
        uint('td', 'bytes'),
      ],
    },
  ]
}
