/**
 * What the registries cost, as a user pays it: gas of whole transactions on Hardhat's in-process chain.
 *
 * The owner is an account, so that a row is the operation alone; through a DAO the vote comes on top.
 */

import hre from 'hardhat'
import { type Address, encodeFunctionData } from 'viem'

import { kmsAuthAbi, rootKeysAbi } from '../src/chain/abi.ts'
import { noEnd } from '../src/chain/approval.ts'
import { type Call, type Clients, sendCall } from '../src/chain/call.ts'
import * as registry from '../src/chain/registries/registry.ts'
import { proveRootKey } from '../src/chain/registries/root-keys.ts'
import { uploadCollateral } from '../src/chain/verifier/collateral.ts'
import { deployVerifier, type LinkableArtifact } from '../src/chain/verifier/verifier.ts'
import { type Hex, to0x } from '../src/lib/bytes.ts'
import { parseCollateral } from '../src/quote/collateral/collateral.ts'
import { bootstrapReportData, mrAggregated } from '../src/quote/measurements/measure.ts'
import { parseQuote } from '../src/quote/parse.ts'
import { createSimulator } from '../src/tee/simulator/simulator.ts'
import { connect, place } from './registry/hardhat-chain.ts'
import type { BenchRow } from './result-row.ts'

const section = 'registry'
const dstack = 'dstack DstackKms, measured elsewhere'
/** A digest of 32 bytes in a document, as a release note with a commit would be. */
const evidence: Hex = `0x${Buffer.from(`{"commit":"${'c'.repeat(40)}"}`).toString('hex')}`

export async function rows(): Promise<BenchRow[]> {
  const clients = await connect()
  const kmsAuth = await deployKmsAuth(clients)
  const gas = async (call: Call) => Number((await sendCall(clients, call)).gasUsed)
  const image = (n: number) => ({ kind: 'osImage', id: hash(n), evidence }) as const

  // the first of a kind also opens its counter; what users pay is the second
  await gas(registry.approve(kmsAuth, [image(1)], noEnd))
  const one = await gas(registry.approve(kmsAuth, [image(2)], noEnd))
  const ten = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(image)
  const eleven = await gas(registry.approve(kmsAuth, [image(13), ...ten], noEnd))
  const add = await gas(registry.addOsImageHash(kmsAuth, hash(40)))
  const withdrawn = await gas(registry.withdraw(kmsAuth, 'osImage', [hash(3)]))
  const suspended = await gas(registry.suspend(kmsAuth, 'osImage', [hash(4)]))

  const owner = clients.walletClient.account.address
  const newApp = { owner, allowAnyDevice: true, composeHash: hash(99) }
  await gas(registry.deployAndRegisterApp(kmsAuth, newApp))
  const created = await sendCall(clients, registry.deployAndRegisterApp(kmsAuth, newApp))
  const asked = await estimateQuestion(clients, kmsAuth, registry.deployedApp(created))

  return [
    row('approve.first', one, 125_000, 54_600),
    row('approve.next', Math.round((eleven - one) / 10), 90_000, 54_600),
    row('approve.dstack', add, 125_000, 54_600),
    row('withdraw', withdrawn, 45_000, 32_800),
    row('suspend', suspended, 45_000, 32_800),
    row('app.deploy', Number(created.gasUsed), 250_000, 272_600),
    row('app.is-allowed', asked, 70_000, 53_700),
    row('kms.register-root', await registerRootKey(clients, kmsAuth), 700_000, 9_500_000),
  ]
}

function row(name: string, value: number, aim: number, peerValue: number): BenchRow {
  return { section, name, value, unit: 'gas', aim, peer: dstack, peerValue }
}

function hash(n: number): Hex {
  return `0x${n.toString(16).padStart(64, 'a')}`
}

async function deployKmsAuth(clients: Clients): Promise<Address> {
  const app = await place(clients, 'App', [])
  const implementation = await place(clients, 'KmsAuth', [])
  const init = encodeFunctionData({
    abi: kmsAuthAbi,
    functionName: 'initializeGoverned',
    args: [clients.walletClient.account.address, app, app, 86_400],
  })
  return place(clients, 'ERC1967Proxy', [implementation, init])
}

/** A root key with its quote, verified on-chain, of a platform that nobody registered before. */
async function registerRootKey(clients: Clients, kmsAuth: Address): Promise<number> {
  const simulator = createSimulator()
  const platform = simulator.createPlatform()
  const verifier = await deployVerifier({
    ...clients,
    artifacts: async (name) =>
      (await hre.artifacts.readArtifact(name)) as unknown as LinkableArtifact,
    root: simulator.rootCertificate,
  })
  await uploadCollateral(clients, verifier, parseCollateral(simulator.collateral()))
  const owner = clients.walletClient.account.address
  const init = encodeFunctionData({
    abi: rootKeysAbi,
    functionName: 'initialize',
    args: [owner, verifier, kmsAuth, owner, 86_400],
  })
  const implementation = await place(clients, 'RootKeys', [])
  const rootKeys = await place(clients, 'ERC1967Proxy', [implementation, init])

  const pair = {
    caPublicKey: new Uint8Array(91).fill(3),
    k256PublicKey: new Uint8Array(33).fill(2),
  }
  const reportData = bootstrapReportData(pair.caPublicKey, pair.k256PublicKey)
  const quote = platform.quote({ td: { reportData } })
  const { report } = parseQuote(quote)
  const measurement = to0x(mrAggregated(report, report.rtmrs[3]))
  await sendCall(clients, registry.addKmsAggregatedMr(kmsAuth, measurement))
  await sendCall(clients, registry.addKmsDevice(kmsAuth, to0x(platform.deviceId)))
  const { gasUsed } = await sendCall(clients, proveRootKey(rootKeys, quote, pair))
  return Number(gasUsed)
}

function estimateQuestion(clients: Clients, kmsAuth: Address, app: Address): Promise<number> {
  const boot = {
    appId: app,
    composeHash: hash(99),
    instanceId: app,
    deviceId: hash(1),
    mrAggregated: hash(1),
    mrSystem: hash(1),
    osImageHash: hash(5),
    tcbStatus: 'UpToDate',
    advisoryIds: [],
  }
  const question = { abi: kmsAuthAbi, functionName: 'isAppAllowed', args: [boot] } as const
  return clients.publicClient
    .estimateGas({
      account: clients.walletClient.account,
      to: kmsAuth,
      data: encodeFunctionData(question),
    })
    .then(Number)
}
