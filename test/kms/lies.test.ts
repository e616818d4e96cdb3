/**
 * Endpoints that lie, in front of a real node, against a real KMS: not one key is released.
 *
 * Two of three endpoints have to agree on a block. What only a majority could do to us is told by one
 * endpoint here; what no endpoint may be able to do is told by all three.
 */
import type { ServerResponse } from 'node:http'

import { type EIP1193Provider, http, keccak256, numberToHex } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { approvalSlot, kinds } from '../../src/chain/approval.ts'
import { blockSchema, encodeHeader } from '../../src/chain/proven/header.ts'
import { agreedHeaders } from '../../src/chain/proven/headers.ts'
import { type BlockMark, type ChainMemory, volatileMemory } from '../../src/chain/proven/memory.ts'
import { connectEndpoint } from '../../src/chain/proven/rpc.ts'
import { kmsAuthSlots } from '../../src/chain/proven/slots.ts'
import { type ChainView, openView, type ViewOptions } from '../../src/chain/proven/view.ts'
import { proveBoot, verifyAttestation } from '../../src/kms/evidence.ts'
import { attest } from '../../src/kms/ratls.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { type Hex, to0x } from '../../src/lib/bytes.ts'
import type { BootInfo } from '../../src/quote/measure.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { type Anvil, findAnvil, startAnvil } from '../anvil.ts'
import { compile, fakeKmsSource } from '../chain/fakes.ts'
import { type Liar, type Lie, type Real, startLiar } from '../chain/liar.ts'
import {
  appCall,
  deployRegistries,
  hostsCall,
  kmsCall,
  type Registries,
} from '../chain/registries.ts'
import { startNode } from './node.ts'
import { askForKeys, mint } from './wire.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests with lying endpoints are SKIPPED. ***\n')

const never = 2 ** 40 - 1
const maxBlockAgeSeconds = 900
const hour = 3600

let anvil: Anvil
let chain: Registries
let liars: Liar[]
let node: Awaited<ReturnType<typeof startNode>>
let kms: RunningKms
let view: ChainView
let now: number
/** Heights of final blocks: everything allowed, long ago; the same, a moment ago; the withdrawn is withdrawn. */
let longAgo: bigint
let before: bigint
let final: BlockMark
/** CVMs of which only the first may have keys. */
let allowed: SimulatedCvm
let withdrawn: SimulatedCvm
let unproven: SimulatedCvm
let foreign: SimulatedCvm
let otherDevice: SimulatedCvm
/** An app that accepts what the others do not. */
let lenient: Hex
let withdrawnApp: Hex
let strictApp: Hex
let foreignApp: Hex

beforeAll(async () => {
  if (absent) return
  anvil = await startAnvil({ args: ['--chain-id', '31337', '--slots-in-an-epoch', '1'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  chain = await deployRegistries({ request } as unknown as EIP1193Provider, 'anvil')
  liars = await Promise.all([1, 2, 3].map(() => startLiar(anvil.url)))
  now = Number((await chain.client.getBlock()).timestamp) + 2 * hour
  const simulator = createSimulator({ at: now })
  node = await startNode({
    simulator,
    clock: () => now,
    view: () => view,
    chain,
  })
  kms = node.kms
  await build()
}, 120_000)

afterAll(async () => {
  await node?.stop()
  await Promise.all((liars ?? []).map((liar) => liar.stop()))
  await anvil?.stop()
})

afterEach(() => {
  for (const liar of liars ?? []) Object.assign(liar, { lie: undefined, told: 0 })
})

async function build(): Promise<void> {
  const { host, stranger, image, boot } = node
  const { kmsAuth, hosts, send } = chain
  const device = to0x(host.deviceId)
  const [yes, gone, strict] = [
    await chain.createApp({ allowAnyDevice: true }),
    await chain.createApp({ allowAnyDevice: true }),
    await chain.createApp(),
  ]
  const { FakeKms } = compile(fakeKmsSource)
  const forever = await chain.deployCode(FakeKms?.bytecode as Hex)
  await send(kmsAuth, kmsCall('registerApp', [forever]))
  const [bootYes, bootGone] = [boot(yes, host), boot(gone, host)]
  ;[allowed, withdrawn, unproven] = [bootYes, bootGone, boot(yes, stranger)]
  ;[foreign, otherDevice] = [boot(forever, host), boot(strict, host)]
  ;[lenient, withdrawnApp, strictApp, foreignApp] = [yes, gone, strict, forever]
  const own: BootInfo = await ownBoot()
  for (const hash of [own.osImageHash, image.osImageHash]) {
    await send(kmsAuth, kmsCall('addOsImageHash', [to0x(hash)]))
  }
  await send(kmsAuth, kmsCall('addKmsAggregatedMr', [to0x(own.mrAggregated)]))
  await send(kmsAuth, kmsCall('addKmsDevice', [device]))
  await send(kmsAuth, kmsCall('setHosts', [hosts, never]))
  await send(kmsAuth, kmsCall('setGatewayAppId', ['a gateway whose name is longer than a word']))
  const terms = { kind: kinds.host, id: device, activeFrom: 0, expiresAt: 0, evidence: '0x' }
  await send(hosts, hostsCall('approve', [[terms], never]))
  await chain.proveHost(device)
  const composeHash = to0x(bootYes.composeHash)
  for (const app of [yes, gone, strict]) await send(app, appCall('addComposeHash', [composeHash]))
  await send(yes, appCall('addDevice', [device]))

  const height = () => chain.client.getBlockNumber()
  longAgo = await height()
  await chain.pass(2 * hour - 300)
  before = await height()
  await send(gone, appCall('removeComposeHash', [composeHash]))
  await chain.test.mine({ blocks: 4 })
  const block = await chain.client.getBlock({ blockTag: 'finalized' })
  final = { number: block.number, hash: block.hash, timestamp: Number(block.timestamp) }
  now = Number((await chain.client.getBlock()).timestamp) + 5
}

async function ownBoot(): Promise<BootInfo> {
  const attestation = await attest(node.own.source, new Uint8Array(64))
  return proveBoot(await verifyAttestation(attestation, node.rules), '', 'full', node.rules)
    .bootInfo
}

/* ASKING */

/** A memory that has seen this block. */
function remembering(mark: BlockMark | undefined): ChainMemory {
  const memory = volatileMemory()
  if (mark) void memory.write(mark)
  return memory
}

function openTestView(changed: Partial<ViewOptions> = {}): ChainView {
  const endpoints = liars.map(({ url }, index) =>
    connectEndpoint({ url, name: `${index + 1}`, timeoutMs: 1_000, maxBytes: 200_000 }),
  )
  const rules = { endpoints, required: 2, chainId: 31337, finality: 'finalized' } as const
  return openView({
    chainId: 31337,
    kms: chain.kmsAuth,
    pinned: chain.pinned,
    source: agreedHeaders(rules),
    endpoints,
    required: 2,
    memory: remembering(final),
    maxBlockAgeSeconds,
    refreshSeconds: 60,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock: () => now,
    ...changed,
  })
}

async function keysOf(cvm: SimulatedCvm) {
  const identity = await mint(node.keys, {
    attestation: (reportData) => cvm.attestation(reportData),
  })
  return askForKeys(kms, identity, cvm.vmConfig)
}

/* TELLING */

type Block = Record<string, unknown> & { number: Hex; hash: Hex; timestamp: Hex; stateRoot: Hex }
interface Proof {
  address: Hex
  accountProof: Hex[]
  storageHash: Hex
  codeHash: Hex
  nonce: Hex
  balance: Hex
  storageProof: { key: Hex; value: Hex; proof: Hex[] }[]
}

const hex = (value: bigint) => numberToHex(value)

const blockAt = async (real: Real, height: bigint | string) =>
  (await real('eth_getBlockByNumber', [
    typeof height === 'bigint' ? hex(height) : height,
    false,
  ])) as Block

/** What is told of final blocks; everything else is true. */
const aboutFinal =
  (tell: (real: Real) => Promise<unknown>): Lie =>
  (method, params, real) =>
    method === 'eth_getBlockByNumber' && params[0] === 'finalized' ? tell(real) : undefined

/** Old blocks for the newest ones, and the old state with them. */
const showOld =
  (height: () => bigint): Lie =>
  async (method, params, real) => {
    const [first, second] = params as [string, unknown]
    if (method === 'eth_getBlockByNumber') {
      const asked = first.startsWith('0x') && BigInt(first) <= height()
      return asked ? undefined : blockAt(real, height())
    }
    if (method !== 'eth_getProof') return undefined
    return real(method, [first, second, hex(height())])
  }

/** Changes proofs of the contract; of all contracts if none is named. */
const aboutProofs =
  (
    contract: (() => Hex) | undefined,
    tell: (proof: Proof, params: readonly unknown[], real: Real) => Promise<unknown> | unknown,
  ): Lie =>
  async (method, params, real) => {
    const concerned = contract === undefined || params[0] === contract()
    if (method !== 'eth_getProof' || !concerned) return undefined
    return tell((await real(method, params)) as Proof, params, real)
  }

/** Changes the proof of one slot, where it is asked for. */
const aboutSlot =
  (
    contract: () => Hex,
    slot: () => Hex,
    tell: (
      entry: Proof['storageProof'][number],
      proof: Proof,
      params: readonly unknown[],
      real: Real,
    ) => Promise<Partial<Proof['storageProof'][number]>> | Partial<Proof['storageProof'][number]>,
  ): Lie =>
  async (method, params, real) => {
    if (method !== 'eth_getProof' || params[0] !== contract()) return undefined
    const proof = (await real(method, params)) as Proof
    const entry = proof.storageProof.find(({ key }) => BigInt(key) === BigInt(slot()))
    if (entry === undefined) return undefined
    Object.assign(entry, await tell(entry, proof, params, real))
    return proof
  }

/** The proof of another slot, or of the same one elsewhere or at another time. */
async function entryOf(real: Real, address: Hex, slot: Hex, block: unknown) {
  const proof = (await real('eth_getProof', [address, [slot], block])) as Proof
  return proof.storageProof[0] as Proof['storageProof'][number]
}

const withdrawnRelease = () => approvalSlot('release', to0x(withdrawn.composeHash))
const strictDevice = () => approvalSlot('device', to0x(node.host.deviceId))
const hostsSlot = () => kmsAuthSlots.hosts
const emptySlot: Hex = `0x${'77'.repeat(32)}`

/** A header that hashes rightly and that no chain has. */
function forge(block: Block, changed: Partial<Block>): Block {
  const forged = { ...block, ...changed }
  return { ...forged, hash: keccak256(encodeHeader(blockSchema.parse(forged))) }
}

/** A chain of its own from `height` on: the old state under new, well-formed headers. */
const fork =
  (from: () => bigint, time: () => number = () => final.timestamp): Lie =>
  async (method, params, real) => {
    const [first] = params as [string]
    const old = await blockAt(real, before)
    if (method === 'eth_getBlockByNumber') {
      if (first.startsWith('0x') && BigInt(first) < from()) return undefined
      const number = first.startsWith('0x') ? (first as Hex) : hex(from() + 1n)
      return forge(old, { number, timestamp: hex(BigInt(time())) })
    }
    return method === 'eth_getProof' ? real(method, [params[0], params[1], hex(before)]) : undefined
  }

const raw =
  (write: (response: ServerResponse) => void): Lie =>
  () =>
    write
const body = (text: string, headers: Record<string, string> = {}) =>
  raw((response) => response.writeHead(200, headers).end(text))

interface Case {
  readonly name: string
  readonly liars: 1 | 2 | 3
  readonly cvm: () => SimulatedCvm
  readonly lie: Lie
  /** A node that starts with no memory. */
  readonly fresh?: true
  readonly changed?: Partial<ViewOptions>
}

const w = () => withdrawn
let turns = 0

const lies: readonly Case[] = [
  /* BLOCKS */
  { name: 'one shows an older block as final', liars: 1, cvm: w, lie: showOld(() => before) },
  { name: 'all show an older block as final', liars: 3, cvm: w, lie: showOld(() => before) },
  {
    name: 'all show a block from long ago, to a node without memory',
    liars: 3,
    cvm: w,
    fresh: true,
    lie: showOld(() => longAgo),
  },
  {
    name: 'an older block under the newest number',
    liars: 3,
    cvm: w,
    lie: aboutFinal(async (real) => ({
      ...(await blockAt(real, before)),
      number: hex(final.number),
    })),
  },
  {
    name: 'an older block under the newest hash',
    liars: 3,
    cvm: w,
    lie: mix(
      showOld(() => before),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, before)),
        number: hex(final.number),
        hash: final.hash,
      })),
    ),
  },
  {
    name: 'the newest block with an older state root',
    liars: 3,
    cvm: w,
    lie: mix(
      oldProofs(),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, 'finalized')),
        stateRoot: (await blockAt(real, before)).stateRoot,
      })),
    ),
  },
  {
    name: 'a block from long ago with a younger time',
    liars: 3,
    cvm: w,
    fresh: true,
    lie: mix(
      showOld(() => longAgo),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, longAgo)),
        timestamp: hex(BigInt(final.timestamp)),
      })),
    ),
  },
  {
    name: 'a header without the fields of its fork',
    liars: 3,
    cvm: w,
    lie: aboutFinal(async (real) => ({
      ...(await blockAt(real, 'finalized')),
      requestsHash: null,
    })),
  },
  {
    name: 'a header that lacks a field in the middle',
    liars: 3,
    cvm: w,
    lie: aboutFinal(async (real) => ({
      ...(await blockAt(real, 'finalized')),
      blobGasUsed: undefined,
    })),
  },
  {
    name: 'one invents a chain of well-formed headers',
    liars: 1,
    cvm: w,
    lie: fork(() => final.number),
  },
  {
    name: 'one invents such a chain for a node without memory',
    liars: 1,
    cvm: w,
    fresh: true,
    lie: fork(() => final.number),
  },
  {
    name: 'one invents a chain while another is silent',
    liars: 2,
    cvm: w,
    fresh: true,
    lie: oneForksOneIsDown(),
  },
  { name: 'two invent different chains', liars: 2, cvm: w, fresh: true, lie: eachItsOwn() },
  {
    name: 'all replace the block that this node has seen',
    liars: 3,
    cvm: w,
    lie: fork(() => final.number - 1n),
  },
  {
    name: 'all invent the block after the one this node has seen, on another past',
    liars: 3,
    cvm: w,
    lie: replayedFinality(),
  },
  {
    name: 'all invent a block of the future, for a node without memory',
    liars: 3,
    cvm: w,
    fresh: true,
    lie: fork(
      () => final.number,
      () => now + hour,
    ),
  },
  { name: 'all serve another chain', liars: 3, cvm: w, fresh: true, lie: otherChain() },
  { name: 'no final block', liars: 3, cvm: w, lie: aboutFinal(async () => null) },
  { name: 'another block than the one that was asked for', liars: 3, cvm: w, lie: anotherBlock() },
  {
    name: 'numbers with leading zeros',
    liars: 3,
    cvm: w,
    lie: aboutFinal(async (real) => ({ ...(await blockAt(real, before)), gasUsed: '0x00' })),
  },
  { name: 'flapping between now and before', liars: 3, cvm: w, lie: flapping() },

  /* PROOFS */
  { name: 'proofs of an older state', liars: 3, cvm: w, lie: oldProofs() },
  {
    name: 'an older storage proof under the present account',
    liars: 3,
    cvm: w,
    lie: aboutSlot(
      () => withdrawnApp,
      withdrawnRelease,
      (_, __, ___, real) => entryOf(real, withdrawnApp, withdrawnRelease(), hex(before)),
    ),
  },
  {
    name: 'an older storage proof and a storage root to match',
    liars: 3,
    cvm: w,
    lie: aboutProofs(
      () => withdrawnApp,
      async (proof, [address, slots], real) => {
        const old = (await real('eth_getProof', [address, slots, hex(before)])) as Proof
        return { ...proof, storageHash: old.storageHash, storageProof: old.storageProof }
      },
    ),
  },
  {
    name: 'an older account proof with older storage',
    liars: 3,
    cvm: w,
    lie: aboutProofs(
      () => withdrawnApp,
      (_, [address, slots], real) => real('eth_getProof', [address, slots, hex(before)]),
    ),
  },
  {
    name: 'another value beside the true proof',
    liars: 3,
    cvm: w,
    lie: aboutSlot(
      () => withdrawnApp,
      withdrawnRelease,
      async (_, __, ___, real) => ({
        value: (await entryOf(real, withdrawnApp, withdrawnRelease(), hex(before))).value,
      }),
    ),
  },
  {
    name: 'a storage proof without its end',
    liars: 3,
    cvm: w,
    lie: aboutSlot(
      () => withdrawnApp,
      withdrawnRelease,
      async (entry, _, __, real) => ({
        value: (await entryOf(real, withdrawnApp, withdrawnRelease(), hex(before))).value,
        proof: entry.proof.slice(0, -1),
      }),
    ),
  },
  {
    name: 'an account proof without its end',
    liars: 3,
    cvm: w,
    lie: aboutProofs(
      () => withdrawnApp,
      (proof) => ({ ...proof, accountProof: proof.accountProof.slice(0, -1) }),
    ),
  },
  {
    name: 'an account proof without its beginning',
    liars: 3,
    cvm: w,
    lie: aboutProofs(
      () => withdrawnApp,
      (proof) => ({ ...proof, accountProof: proof.accountProof.slice(1) }),
    ),
  },
  {
    name: 'nodes in another order',
    liars: 3,
    cvm: w,
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      accountProof: [...proof.accountProof].reverse(),
    })),
  },
  {
    name: 'an older leaf spliced into the present path',
    liars: 3,
    cvm: w,
    lie: aboutSlot(
      () => withdrawnApp,
      withdrawnRelease,
      async (entry, _, __, real) => {
        const old = await entryOf(real, withdrawnApp, withdrawnRelease(), hex(before))
        return { value: old.value, proof: [...entry.proof.slice(0, -1), ...old.proof.slice(-1)] }
      },
    ),
  },
  {
    name: 'a node that belongs nowhere',
    liars: 3,
    cvm: w,
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      accountProof: [...proof.accountProof, '0xc22080'],
    })),
  },
  {
    name: 'the proof of another slot under the name of the one asked for',
    liars: 3,
    cvm: () => otherDevice,
    lie: aboutSlot(
      () => strictApp,
      strictDevice,
      async (entry, _, [, , block], real) => ({
        ...(await entryOf(
          real,
          strictApp,
          approvalSlot('release', to0x(otherDevice.composeHash)),
          block,
        )),
        key: entry.key,
      }),
    ),
  },
  {
    name: 'the proof of another slot under its own name',
    liars: 3,
    cvm: () => otherDevice,
    lie: aboutSlot(
      () => strictApp,
      strictDevice,
      (_, __, [, , block], real) =>
        entryOf(real, strictApp, approvalSlot('release', to0x(otherDevice.composeHash)), block),
    ),
  },
  {
    name: 'the same slot of another app',
    liars: 3,
    cvm: () => otherDevice,
    lie: aboutSlot(
      () => strictApp,
      strictDevice,
      (_, __, [, , block], real) => entryOf(real, lenient, strictDevice(), block),
    ),
  },
  {
    name: 'another app under the name of the one asked for',
    liars: 3,
    cvm: () => otherDevice,
    lie: aboutProofs(
      () => strictApp,
      async (_, [, slots, block], real) => ({
        ...((await real('eth_getProof', [lenient, slots, block])) as Proof),
        address: strictApp,
      }),
    ),
  },
  {
    name: 'another app under its own name',
    liars: 3,
    cvm: w,
    lie: aboutProofs(
      () => withdrawnApp,
      (_, [, slots, block], real) => real('eth_getProof', [lenient, slots, block]),
    ),
  },
  {
    name: 'one of our apps in place of a foreign one',
    liars: 3,
    cvm: () => foreign,
    lie: aboutProofs(
      () => foreignApp,
      async (_, [, slots, block], real) => ({
        ...((await real('eth_getProof', [lenient, slots, block])) as Proof),
        address: foreignApp,
      }),
    ),
  },
  {
    name: 'our code hash claimed for a foreign app',
    liars: 3,
    cvm: () => foreign,
    lie: aboutProofs(
      () => foreignApp,
      (proof) => ({ ...proof, codeHash: chain.pinned.proxy[1] }),
    ),
  },
  {
    name: 'a rule that is there, proven absent by the proof of an empty slot',
    liars: 3,
    cvm: () => unproven,
    lie: aboutSlot(
      () => chain.kmsAuth,
      hostsSlot,
      async (entry, _, [, , block], real) => ({
        ...(await entryOf(real, chain.kmsAuth, emptySlot, block)),
        key: entry.key,
      }),
    ),
  },
  {
    name: 'a rule that is there, with a value of zero',
    liars: 3,
    cvm: () => unproven,
    lie: aboutSlot(
      () => chain.kmsAuth,
      hostsSlot,
      () => ({ value: '0x0' }),
    ),
  },
  {
    name: 'a rule that is there, with no proof at all',
    liars: 3,
    cvm: () => unproven,
    lie: aboutSlot(
      () => chain.kmsAuth,
      hostsSlot,
      () => ({ value: '0x0', proof: [] }),
    ),
  },
  {
    name: 'a rule that is there, in a trie said to be empty',
    liars: 3,
    cvm: () => unproven,
    lie: aboutSlot(
      () => chain.kmsAuth,
      hostsSlot,
      () => ({ value: '0x0', proof: ['0x80'] }),
    ),
  },
  {
    name: 'a value of no length',
    liars: 3,
    cvm: () => unproven,
    lie: aboutSlot(
      () => chain.kmsAuth,
      hostsSlot,
      () => ({ value: '0x' as Hex }),
    ),
  },
  {
    name: 'a proof that ends above the rule',
    liars: 3,
    cvm: () => unproven,
    lie: aboutSlot(
      () => chain.kmsAuth,
      hostsSlot,
      (entry) => ({ value: '0x0', proof: entry.proof.slice(0, 1) }),
    ),
  },
  {
    name: 'an account said to be absent',
    liars: 3,
    cvm: () => unproven,
    lie: aboutProofs(
      () => chain.hosts,
      async (_, [, slots, block], real) => ({
        ...((await real('eth_getProof', [
          '0x00000000000000000000000000000000000000f1',
          slots,
          block,
        ])) as Proof),
        address: chain.hosts,
      }),
    ),
  },
  {
    name: 'what is absent, proven by something else',
    liars: 3,
    cvm: () => unproven,
    lie: aboutSlot(
      () => chain.hosts,
      () => approvalSlot('host', to0x(node.stranger.deviceId)),
      async (entry, _, [, , block], real) => ({
        ...(await entryOf(
          real,
          chain.hosts,
          approvalSlot('host', to0x(node.host.deviceId)),
          block,
        )),
        key: entry.key,
      }),
    ),
  },
  {
    name: 'fewer slots than were asked for',
    liars: 3,
    cvm: w,
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      storageProof: proof.storageProof.slice(1),
    })),
  },
  {
    name: 'slots in another order',
    liars: 3,
    cvm: () => otherDevice,
    lie: aboutProofs(
      () => strictApp,
      (proof) => {
        const [release, device] = proof.storageProof.slice(-2)
        return {
          ...proof,
          storageProof: [
            ...proof.storageProof.slice(0, -2),
            { ...device, key: release?.key },
            { ...release, key: device?.key },
          ],
        }
      },
    ),
  },

  /* ANSWERS */
  { name: 'slow', liars: 2, cvm: w, lie: raw(() => {}) },
  {
    name: 'an answer that never ends',
    liars: 3,
    cvm: w,
    lie: raw((response) => void response.writeHead(200).write('{"jsonrpc":"2.0",')),
  },
  {
    name: 'an oversized answer',
    liars: 3,
    cvm: w,
    lie: body(`{"jsonrpc":"2.0","id":1,"result":"${'0'.repeat(300_000)}"}`),
  },
  { name: 'deeply nested JSON', liars: 3, cvm: w, lie: body('['.repeat(90_000)) },
  { name: 'malformed JSON', liars: 3, cvm: w, lie: body('{"jsonrpc":"2.0","id":1,"result":') },
  {
    name: 'an answer to another question',
    liars: 3,
    cvm: w,
    lie: body('{"jsonrpc":"2.0","id":2,"result":"0x1"}'),
  },
  { name: 'neither result nor error', liars: 3, cvm: w, lie: body('{"jsonrpc":"2.0","id":1}') },
  {
    name: 'malformed hex in a proof',
    liars: 3,
    cvm: w,
    lie: aboutProofs(undefined, (proof) => ({ ...proof, accountProof: ['0xzz'] })),
  },
  {
    name: 'half a byte in a proof',
    liars: 3,
    cvm: w,
    lie: aboutProofs(undefined, (proof) => ({ ...proof, accountProof: ['0xabc'] })),
  },
  {
    name: 'a node of a proof that is too large',
    liars: 3,
    cvm: w,
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      accountProof: [`0x${'ab'.repeat(5000)}`],
    })),
  },
  {
    name: 'a proof of too many nodes',
    liars: 3,
    cvm: w,
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      accountProof: Array(200).fill(proof.accountProof[0]),
    })),
  },
  {
    name: 'a page for people',
    liars: 3,
    cvm: w,
    lie: body('<html>welcome</html>', { 'content-type': 'text/html' }),
  },
  {
    name: 'a redirect to somebody else',
    liars: 3,
    cvm: w,
    lie: raw((response) => response.writeHead(307, { location: liars[0]?.url ?? '' }).end()),
  },
  {
    name: 'an error of the server',
    liars: 3,
    cvm: w,
    lie: raw((response) => response.writeHead(500).end('{"jsonrpc":"2.0","id":1,"result":"0x1"}')),
  },
  {
    name: 'a connection that breaks',
    liars: 3,
    cvm: w,
    lie: raw((response) => response.destroy()),
  },
]

/** The first lie that has something to say. */
function mix(...several: readonly Lie[]): Lie {
  return async (method, params, real) => {
    for (const lie of [...several].reverse()) {
      const told = await lie(method, params, real)
      if (told !== undefined) return told
    }
    return undefined
  }
}

function oldProofs(): Lie {
  return (method, params, real) =>
    method === 'eth_getProof' ? real(method, [params[0], params[1], hex(before)]) : undefined
}

function oneForksOneIsDown(): Lie {
  return (method, params, real) =>
    askedOf() === 0
      ? fork(() => final.number)(method, params, real)
      : (response: ServerResponse) => response.destroy()
}

function eachItsOwn(): Lie {
  return (method, params, real) => {
    const index = askedOf()
    return fork(
      () => final.number,
      () => final.timestamp + index,
    )(method, params, real)
  }
}

function replayedFinality(): Lie {
  return async (method, params, real) => {
    const [first] = params as [string]
    const known = first === hex(final.number)
    if (method === 'eth_getBlockByNumber' && known)
      return forge(await blockAt(real, before), { number: first as Hex })
    return fork(() => final.number)(method, params, real)
  }
}

function flapping(): Lie {
  return (...asked) => (turns++ % 2 === 0 ? showOld(() => before)(...asked) : undefined)
}

function otherChain(): Lie {
  return (method, params, real) =>
    method === 'eth_chainId' ? '0x1' : showOld(() => before)(method, params, real)
}

function anotherBlock(): Lie {
  return async (method, params, real) => {
    if (method !== 'eth_getBlockByNumber') return undefined
    return blockAt(real, params[0] === 'finalized' ? 'latest' : before)
  }
}

/** Which liar is being asked: set by the wrapper below. */
let asked = 0
const askedOf = () => asked

function set(each: Case): void {
  liars.slice(0, each.liars).forEach((liar, index) => {
    liar.lie = (method, params, real) => {
      asked = index
      return each.lie(method, params, real)
    }
  })
}

describe.skipIf(absent)('endpoints that tell the truth', () => {
  test('get the allowed CVM its keys, and nobody else', async () => {
    view = openTestView()

    expect(await keysOf(allowed)).toMatchObject({ status: 200 })
    const denied: [SimulatedCvm, string][] = [
      [withdrawn, 'Compose hash not allowed'],
      [unproven, 'Host is not registered'],
      [otherDevice, 'Device not allowed'],
      [foreign, 'App contract is not one whose rules this KMS knows'],
    ]
    for (const [cvm, reason] of denied) {
      expect(await keysOf(cvm)).toMatchObject({
        status: 400,
        code: 'KMS_BOOT_DENIED',
        error: expect.stringContaining(reason),
      })
    }
  })

  test('would have let the withdrawn one boot before', async () => {
    for (const liar of liars) liar.lie = showOld(() => before)
    view = openTestView({ memory: remembering(undefined) })

    expect(await keysOf(withdrawn)).toMatchObject({ status: 200 })
  })
})

describe.skipIf(absent)(`${lies.length} lies`, () => {
  test.each(lies)('$name', async (each) => {
    set(each)
    view = openTestView({ memory: remembering(each.fresh ? undefined : final), ...each.changed })
    const { status, code } = await keysOf(each.cvm())

    // the test is of the lie only if it was told
    expect(liars.slice(0, each.liars).every(({ told }) => told > 0)).toBe(true)
    expect(status).toBe(400)
    expect(code).toMatch(/^(CHAIN_|CONTRACT_|KMS_BOOT_DENIED|KMS_SELF_DENIED)/)
  })
})
