/**
 * What attested instances cost: gas of whole transactions for registrations, and for `isFrom` the gas that a contract spends
 * on the call, with cold and with warm storage. Real quotes of a simulated host, on Hardhat's in-process chain.
 */
import { type Address, keccak256, parseAbi, parseEventLogs, zeroAddress } from 'viem'

import { quoteVerifierAbi, requestsAbi } from '../src/chain/abi.ts'
import { recordBoot } from '../src/chain/registries/instances.ts'
import {
  encodeInputReference,
  fulfilRequest,
  joinWorkers,
  requestWork,
  resultDigest,
  setRequestTerms,
  toContractSignature,
  workerDigest,
} from '../src/chain/registries/requests.ts'
import { fromHex, type Hex, to0x } from '../src/lib/bytes.ts'
import { signK256Digest } from '../src/lib/k256.ts'
import { encodeWithKnownKey } from '../src/quote/compact.ts'
import { parseQuote } from '../src/quote/parse.ts'
import {
  addressOf,
  createInstanceSystem,
  type InstanceSystem,
  instanceKey,
} from '../test/chain/instance-system.ts'
import type { BenchRow } from './result-row.ts'

const digest: Hex = `0x${'5a'.repeat(32)}`

export async function rows(): Promise<BenchRow[]> {
  const system = await createInstanceSystem()
  const gas = async (call: Parameters<InstanceSystem['send']>[0]) =>
    Number((await system.send(call)).gasUsed)
  const keys = {
    raw: instanceKey('raw'),
    known: instanceKey('known'),
    issued: instanceKey('issued'),
  }
  const raw = await gas(await system.quoteKey(keys.raw))
  const record = await registerPlatform(system)
  const short = (quote: Uint8Array) => encodeWithKnownKey(parseQuote(quote), record)
  const known = await gas(await system.quoteKey(keys.known, short))
  const issued = await gas(await system.issueKey(keys.issued))
  const boot = await gas(
    recordBoot(system.contracts.instances, await anotherBoot(system), system.osImageHash),
  )
  const ofQuote = await measure(system, keys.known)
  const ofChain = await measure(system, keys.issued)
  const work = await measureRequests(system, keys.issued)
  return [
    row('instances.record-boot', boot, null),
    row('instances.register-quote', known, 320_000),
    row('instances.register-quote-raw', raw, null),
    row('instances.register-chain', issued, 120_000),
    row('instances.is-from', ofChain.warm, 12_000),
    row('instances.is-from-cold', ofChain.cold, null),
    row('instances.is-from-quote', ofQuote.warm, null),
    row('instances.is-from-quote-cold', ofQuote.cold, null),
    row('requests.request', work.request, null),
    row('requests.fulfil', work.fulfil, null),
  ]
}

function row(name: string, value: number, aim: number | null): BenchRow {
  return { section: 'instances', name, value, unit: 'gas', aim, peer: null, peerValue: null }
}

/** Stores platform and TCB verdict, so that later quotes of the host are short. */
async function registerPlatform(system: InstanceSystem): Promise<Uint8Array> {
  const { publicClient, walletClient } = system.clients
  const { request, result } = await publicClient.simulateContract({
    account: walletClient.account,
    address: system.verifier,
    abi: quoteVerifierAbi,
    functionName: 'registerVerdict',
    args: [to0x(system.cvm.quote(new Uint8Array(64)))],
  })
  await publicClient.waitForTransactionReceipt({ hash: await walletClient.writeContract(request) })
  return fromHex(result[1], 'record', 20)
}

/** The log of another instance of the app. */
async function anotherBoot(system: InstanceSystem) {
  const { image, compose, appId } = system.cvm
  const instanceSeed = new Uint8Array(20).fill(9)
  const cvm = system.platform.createCvm({ image, compose, appId, instanceSeed })
  cvm.advance('ready', { keyProvider: { name: 'kms', id: system.pair.caPublicKey } })
  return cvm.events
}

/** A public request of 32 bytes to the only worker, and its result of 33 bytes; accounts and slots were used before. */
async function measureRequests(
  system: InstanceSystem,
  key: Uint8Array,
): Promise<{ request: number; fulfil: number }> {
  const { app, account, deviceId, contracts } = system
  const { publicClient } = system.clients
  const requests = await system.deploy('Requests', [contracts.instances, zeroAddress, account, 500])
  const at = { chainId: await publicClient.getChainId(), requests }
  const terms = { payee: account, minFee: 0n, ownerShare: 2_000, answerTime: 600 }
  await system.send(setRequestTerms(requests, app, terms))
  const worker = { app, operator: account, deviceId }
  const joined = toContractSignature(signK256Digest(key, workerDigest(at, worker)))
  await system.send(joinWorkers(requests, { ...worker, key: addressOf(key), capacity: 9 }, joined))
  const input = new Uint8Array(33)
  const inputReference = encodeInputReference({ kind: 'inline', input })
  let gas = { request: 0, fulfil: 0 }
  // the second time, because the first one writes slots that nobody had written before
  for (let round = 0; round < 2; round++) {
    const deadline = Number((await publicClient.getBlock()).timestamp) + 3_600
    const made = { app, inputDigest: keccak256(input), inputReference, deadline, fee: 1_000n }
    const asked = await system.send(requestWork(requests, made))
    const [log] = parseEventLogs({ abi: requestsAbi, eventName: 'Requested', logs: asked.logs })
    const id = log?.args.id ?? '0x'
    const signature = toContractSignature(signK256Digest(key, resultDigest(at, id, input)))
    const done = await system.send(fulfilRequest(requests, id, to0x(input), signature))
    gas = { request: Number(asked.gasUsed), fulfil: Number(done.gasUsed) }
  }
  return gas
}

let meter: Address | undefined

async function measure(
  system: InstanceSystem,
  key: Uint8Array,
): Promise<{ cold: number; warm: number }> {
  meter ??= await system.deploy('SignatureMeter')
  const [cold, warm, isFrom] = await system.clients.publicClient.readContract({
    address: meter,
    abi: parseAbi([
      'function measure(address instances, address app, bytes32 digest, bytes signature) view returns (uint256 cold, uint256 warm, bool isFrom)',
    ]),
    functionName: 'measure',
    args: [
      system.contracts.instances,
      system.app,
      digest,
      to0x(signK256Digest(key, new Uint8Array(32).fill(0x5a))),
    ],
  })
  if (!isFrom) throw new Error('The key must be live, or the gas means nothing.')
  return { cold: Number(cold), warm: Number(warm) }
}
