/**
 * All contracts with a real quote verifier, one simulated host, one KMS root key and one CVM whose app is approved: what an
 * instance needs. One account decides in place of the DAO and the app's owner.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import hre from 'hardhat'
import {
  type Abi,
  type Account,
  type Address,
  type Chain,
  createPublicClient,
  createTestClient,
  createWalletClient,
  custom,
  type EIP1193Provider,
  encodeFunctionData,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { hardhat } from 'viem/chains'

import { hostsAbi, imagesAbi, kmsAuthAbi, rootKeysAbi } from '../../src/chain/abi.ts'
import { noEnd } from '../../src/chain/approval.ts'
import { type Call, type Clients, sendCall } from '../../src/chain/call.ts'
import { approveMeasurementSets } from '../../src/chain/governance/settings.ts'
import {
  bindToNewestBlock,
  hostReportData,
  registerHost,
} from '../../src/chain/registries/hosts.ts'
import {
  addRootKey,
  type InstanceBinding,
  type InstanceContracts,
  instanceReportData,
  instanceStatementDigest,
  recordBoot,
  registerInstance,
  registerIssuedInstance,
} from '../../src/chain/registries/instances.ts'
import * as registry from '../../src/chain/registries/registry.ts'
import { proveRootKey, rootKeyId } from '../../src/chain/registries/root-keys.ts'
import { uploadCollateral } from '../../src/chain/verifier/collateral.ts'
import { deployVerifier, type LinkableArtifact } from '../../src/chain/verifier/verifier.ts'
import { signInstanceBinding } from '../../src/kms/certify-instance.ts'
import { encodeSpki, k256PublicKey, signInstanceStatement } from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import { concatBytes, fromHex, type Hex, to0x, utf8ToBytes } from '../../src/lib/bytes.ts'
import { k256Address } from '../../src/lib/k256.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { bootstrapReportData, mrAggregated } from '../../src/quote/measurements/measure.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'

const compose = '{"manifest_version":2,"name":"instances","runner":"docker-compose"}'

export type InstanceSystem = Awaited<ReturnType<typeof createInstanceSystem>>

export async function createInstanceSystem() {
  const { provider } = await hre.network.create()
  const transport = custom(provider as unknown as EIP1193Provider, { retryCount: 0 })
  const publicClient = createPublicClient({
    chain: hardhat,
    transport,
    pollingInterval: 5,
    cacheTime: 0,
  }) as PublicClient
  const test = createTestClient({ chain: hardhat, transport, mode: 'hardhat' })
  const [account] = (await provider.request({ method: 'eth_accounts' })) as [Address]
  const walletClient = createWalletClient({
    account,
    chain: hardhat,
    transport,
  }) as unknown as WalletClient<Transport, Chain, Account>
  const clients: Clients = { publicClient, walletClient }
  const send = (call: Call) => sendCall(clients, call)

  const deploy = async (contract: string, args: readonly unknown[] = []): Promise<Address> => {
    const { abi, bytecode } = await hre.artifacts.readArtifact(contract)
    const hash = await walletClient.deployContract({
      abi: abi as Abi,
      bytecode: bytecode as Hex,
      args,
    })
    const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash })
    return contractAddress as Address
  }
  const proxy = async (contract: string, abi: Abi, functionName: string, args: unknown[]) =>
    deploy('ERC1967Proxy', [
      await deploy(contract),
      encodeFunctionData({ abi, functionName, args }),
    ])

  const simulator = createSimulator()
  const platform = simulator.createPlatform()
  const verifier = await deployVerifier({
    ...clients,
    artifacts: async (name) =>
      (await hre.artifacts.readArtifact(name)) as unknown as LinkableArtifact,
    root: simulator.rootCertificate,
  })
  await uploadCollateral(clients, verifier, parseCollateral(simulator.collateral()))
  const kmsAuth = await proxy('KmsAuth', kmsAuthAbi as Abi, 'initializeGoverned', [
    account,
    await deploy('App'),
    account,
    86_400,
  ])
  const images = await proxy('Images', imagesAbi as Abi, 'initialize', [account, account, 86_400])
  const hosts = await proxy('Hosts', hostsAbi as Abi, 'initialize', [
    account,
    verifier,
    account,
    86_400,
    {
      attestedSince: 0,
      minLifetime: 0,
      maxLifetime: 45 * 86_400,
      window: 8191,
      minEvaluationNumber: 0,
      isOpen: false,
      activationDelay: 0,
    },
  ])
  const rootKeys = await proxy('RootKeys', rootKeysAbi as Abi, 'initialize', [
    account,
    verifier,
    kmsAuth,
    account,
    86_400,
  ])
  const bootLog = await deploy('BootLog', [verifier])
  const instances = await deploy('Instances', [
    kmsAuth,
    images,
    rootKeys,
    bootLog,
    30n * 86_400n,
    8191n,
  ])
  const contracts: InstanceContracts = { instances, kmsAuth, images, rootKeys }

  // a root key, proven with the quote of its bootstrap
  const root = generateKeys()
  const pair = { caPublicKey: encodeSpki(root.ca), k256PublicKey: k256PublicKey(root.k256) }
  const bootstrap = platform.quote({
    td: { reportData: bootstrapReportData(pair.caPublicKey, pair.k256PublicKey) },
  })
  const { report } = parseQuote(bootstrap)
  await send(registry.addKmsAggregatedMr(kmsAuth, to0x(mrAggregated(report, report.rtmrs[3]))))
  await send(registry.addKmsDevice(kmsAuth, to0x(platform.deviceId)))
  await send(proveRootKey(rootKeys, bootstrap, pair))
  const rootKey = rootKeyId(pair)
  await send(registry.approve(rootKeys, [{ kind: 'rootKey', id: rootKey }], noEnd))
  const { y } = secp256k1.Point.fromBytes(pair.k256PublicKey).toAffine()
  await send(addRootKey(instances, pair, y))

  // a host, admitted
  const deviceId = to0x(platform.deviceId)
  const host = await bindToNewestBlock(publicClient, hosts, account)
  await send(
    registerHost(
      hosts,
      platform.quote({ td: { reportData: hostReportData(host) } }),
      host.block.number,
    ),
  )
  await send(registry.approve(hosts, [{ kind: 'host', id: deviceId }], noEnd))
  await send(registry.setHosts(kmsAuth, hosts))

  // an image, an app and its CVM
  const image = createImage()
  const osImageHash = to0x(image.osImageHash)
  await send(registry.addOsImageHash(kmsAuth, osImageHash))
  const created = await send(
    registry.deployAndRegisterApp(kmsAuth, { owner: account, allowAnyDevice: true }),
  )
  const app = registry.deployedApp(created)
  const cvm = platform.createCvm({ image, compose, appId: fromHex(app, 'app id', 20) })
  cvm.advance('ready', { keyProvider: { name: 'kms', id: pair.caPublicKey } })
  const composeHash = to0x(cvm.composeHash)
  await send(registry.addComposeHash(app, composeHash))
  const { mrTd, rtmrs } = cvm.registers
  const registers = to0x(concatBytes(mrTd, rtmrs[0], rtmrs[1], rtmrs[2]))
  const set = { osImageHash, variant: 0, registers, activeFrom: 0, expiresAt: 0 } as const
  await send(approveMeasurementSets(images, [{ ...set, evidence: '0x' }], noEnd))
  await send(recordBoot(instances, cvm.events, osImageHash))

  const bindingFor = async (key: Uint8Array): Promise<InstanceBinding> => {
    const block = await publicClient.getBlock()
    return {
      chainId: hardhat.id,
      registry: instances,
      app,
      key: addressOf(key),
      block: { number: block.number - 1n, hash: block.parentHash },
    }
  }
  return {
    clients,
    test,
    send,
    deploy,
    simulator,
    platform,
    cvm,
    root,
    pair,
    rootKey,
    account,
    contracts,
    hosts,
    verifier,
    app,
    deviceId,
    osImageHash,
    composeHash,
    bindingFor,
    /** The proof by quote of a key, as the instance makes it. */
    quoteKey: async (key: Uint8Array, encode: (quote: Uint8Array) => Uint8Array = (q) => q) => {
      const binding = await bindingFor(key)
      const quote = encode(cvm.quote(instanceReportData(binding)))
      const possession = signInstanceBinding(key, binding)
      return registerInstance(instances, { quote, binding, osImageHash, possession })
    },
    /** The proof by key chain of a key, as KMS and instance make it. */
    issueKey: async (key: Uint8Array, epoch = 1) => {
      const binding = await bindingFor(key)
      const digest = instanceStatementDigest(binding, cvm.composeHash)
      const signed = signInstanceStatement(root, { appId: cvm.appId, epoch }, digest)
      const possession = signInstanceBinding(key, binding)
      return registerIssuedInstance(instances, {
        binding,
        composeHash,
        epoch,
        possession,
        ...signed,
      })
    },
  }
}

/** A private key of an instance, from a name. */
export function instanceKey(name: string): Uint8Array {
  const key = new Uint8Array(32).fill(1)
  key.set(utf8ToBytes(name).subarray(0, 16), 8)
  return key
}

export function addressOf(key: Uint8Array): Address {
  return to0x(k256Address(secp256k1.getPublicKey(key, true)))
}
