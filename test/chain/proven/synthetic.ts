/**
 * A chain in memory that serves what a view asks for: real tries, real headers, words where the contracts keep
 * them. A block costs nothing, so ten thousand apps and a thousand blocks are a test of seconds.
 *
 * `view-parity.test.ts` holds the same readers against real nodes and real contracts.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { createMerkleProof, MerklePatriciaTrie } from '@ethereumjs/mpt'
import { concat, fromRlp, hexToBytes, keccak256, numberToHex, stringToHex, toRlp } from 'viem'
import { appKey, approvalSlot, uint256 } from '../../../src/chain/approval.ts'
import type { EvaluatedBoot } from '../../../src/chain/boot/boot.ts'
import { blockSchema, encodeHeader } from '../../../src/chain/proven/header.ts'
import type { PinnedCode } from '../../../src/chain/proven/read-boot-facts.ts'
import {
  appSlots,
  bondSlot,
  bondsSlots,
  closedSlot,
  hostSlots,
  hostsSlots,
  implementationSlot,
  kmsAuthSlots,
  statusSlot,
} from '../../../src/chain/proven/slots.ts'
import { fromHex, type Hex, to0x } from '../../../src/lib/bytes.ts'

export const blockSeconds = 12
export const genesisTime = 1_700_000_000

const kmsAuth: Hex = `0x${'a1'.repeat(20)}`
const hosts: Hex = `0x${'a2'.repeat(20)}`
const images: Hex = `0x${'a3'.repeat(20)}`
const bonds: Hex = `0x${'a4'.repeat(20)}`
const behind = (name: string): Hex => `0x${keccak256(stringToHex(name)).slice(26)}`
const codeOf = (name: string): Hex => keccak256(stringToHex(`code of ${name}`))
const always = 2n ** 39n

export interface SyntheticOptions {
  readonly apps: number
  /** Accounts that nobody asks about: they make the state as deep as a real one. */
  readonly strangers?: number
  /** Fields of headers after `requestsHash`. */
  readonly moreFields?: Readonly<Record<string, Hex>>
  /** Of the first block, unix seconds. */
  readonly genesis?: number
  /** What a boot shows; bytes of one value each by default. */
  readonly release?: Hex
  readonly image?: Hex
  /** Images beside that one, and measurements of a KMS. */
  readonly images?: readonly Hex[]
  readonly kms?: Hex
  /** Whether the image may show any measurements. */
  readonly isOpen?: boolean
  readonly device?: Hex
  /** Measurements that the image may show, beside zeros. */
  readonly systems?: readonly Hex[]
}

interface Account {
  readonly nonce: bigint
  readonly balance: bigint
  readonly codeHash: Hex
  readonly storage: MerklePatriciaTrie
}

export interface Block {
  readonly json: Record<string, unknown> & { readonly hash: Hex; readonly stateRoot: Hex }
  readonly number: bigint
  readonly timestamp: number
}

export type SyntheticChain = Awaited<ReturnType<typeof buildChain>>

export async function buildChain(options: SyntheticOptions) {
  const {
    apps: count,
    strangers = 0,
    genesis = genesisTime,
    kms = `0x${'00'.repeat(32)}`,
    isOpen = false,
    release = `0x${'11'.repeat(32)}`,
    image = `0x${'22'.repeat(32)}`,
    device = `0x${'33'.repeat(32)}`,
  } = options
  const state = newTrie()
  const accounts = new Map<Hex, Account>()
  const blocks: Block[] = []

  const commit = async (address: Hex) => {
    const { nonce, balance, codeHash, storage } = accounts.get(address) as Account
    const fields = [toQuantity(nonce), toQuantity(balance), to0x(storage.root()), codeHash]
    await state.put(hexToBytes(address), toRlp(fields, 'bytes'))
  }
  const create = async (
    address: Hex,
    codeHash: Hex,
    words: readonly (readonly [Hex, bigint])[],
  ) => {
    const storage = newTrie()
    accounts.set(address, { nonce: 1n, balance: 0n, codeHash, storage })
    for (const [slot, word] of words) await putWord(storage, slot, word)
    await commit(address)
  }
  const store = async (address: Hex, slot: Hex, word: bigint) => {
    await putWord((accounts.get(address) as Account).storage, slot, word)
    await commit(address)
  }
  const pay = async (address: Hex) => {
    const account = accounts.get(address) as Account
    accounts.set(address, { ...account, balance: account.balance + 1n })
    await commit(address)
  }
  const mine = (seconds = blockSeconds): Block => {
    const above = blocks.at(-1)
    const number = BigInt(blocks.length)
    const timestamp = (above?.timestamp ?? genesis - seconds) + seconds
    const block = sealBlock({
      number,
      timestamp,
      parentHash: above?.json.hash ?? `0x${'00'.repeat(32)}`,
      stateRoot: to0x(state.root()),
      more: options.moreFields ?? {},
    })
    blocks.push(block)
    return block
  }

  const apps = Array.from(
    { length: count },
    (_, index): Hex => `0x${keccak256(numberToHex(index + 1)).slice(26)}`,
  )
  const systems = [`0x${'00'.repeat(32)}` as Hex, ...(options.systems ?? [])]
  for (const name of ['KmsAuth', 'App', 'Hosts', 'Images', 'HostBonds'])
    await create(behind(name), codeOf(name), [])
  await create(kmsAuth, codeOf('proxy'), [
    [implementationSlot, BigInt(behind('KmsAuth'))],
    [kmsAuthSlots.gatewayAppId, shortString('gateway')],
    [kmsAuthSlots.appImplementation, BigInt(behind('App'))],
    [kmsAuthSlots.hosts, BigInt(hosts)],
    [kmsAuthSlots.images, BigInt(images)],
    [approvalSlot('kmsMeasurement', kms), approval(1)],
    [approvalSlot('kmsDevice', device), approval(1)],
    ...[image, ...(options.images ?? [])].map(
      (each) => [approvalSlot('osImage', each), approval(1)] as const,
    ),
    ...apps.map((app, index) => [approvalSlot('app', appKey(app)), approval(index + 1)] as const),
  ])
  const [first, second] = hostSlots(device)
  await create(hosts, codeOf('proxy'), [
    [implementationSlot, BigInt(behind('Hosts'))],
    [hostsSlots.rules, 0n],
    [hostsSlots.bonds, BigInt(bonds)],
    [approvalSlot('host', device), approval(1)],
    [first, BigInt(kmsAuth) | (1n << 160n) | (always << 200n) | (1n << 240n)],
    [second, 1n << (8n * 14n)],
    [statusSlot(1), always],
  ])
  await create(bonds, codeOf('proxy'), [
    [implementationSlot, BigInt(behind('HostBonds'))],
    [bondsSlots.minimum, 1n],
    [bondSlot(device, kmsAuth), 1n],
  ])
  await create(images, codeOf('proxy'), [
    [implementationSlot, BigInt(behind('Images'))],
    [closedSlot(image), isOpen ? 0n : 1n],
    ...systems.map(
      (system, index) => [measurementsSlot(image, system), approval(index + 1)] as const,
    ),
  ])
  for (const app of apps) {
    await create(app, codeOf('proxy'), [
      [implementationSlot, BigInt(behind('App'))],
      // any device; releases from the first on
      [appSlots.rules, (1n << (8n * 17n)) | (1n << (8n * 27n))],
      [approvalSlot('release', release), approval(1)],
    ])
  }
  let touched = 0
  /** Changes one of the accounts that nobody asks about. */
  const touch = async (index: number) => {
    const address: Hex = `0x${keccak256(numberToHex(2 ** 40 + index)).slice(26)}`
    const fields = ['0x01', toQuantity(BigInt(touched++)), emptyRoot, emptyCode]
    await state.put(hexToBytes(address), toRlp(fields as Hex[], 'bytes'))
  }
  for (let index = 0; index < strangers; index++) await touch(index)
  mine()

  const proofAt = async (address: Hex, slots: readonly Hex[], stateRoot: Hex) => {
    const at = state.shallowCopy(false)
    at.root(hexToBytes(stateRoot))
    const encoded = await at.get(hexToBytes(address))
    const accountProof = (await createMerkleProof(at, hexToBytes(address))).map((node) =>
      to0x(node),
    )
    const [nonce, balance, root, codeHash] = readAccount(encoded)
    const storage = newTrie(accounts.get(address)?.storage)
    storage.root(hexToBytes(root))
    const storageProof = await Promise.all(
      slots.map(async (key) => ({
        key,
        value: numberToHex(readWord(await storage.get(hexToBytes(key)))),
        proof:
          root === emptyRoot
            ? []
            : (await createMerkleProof(storage, hexToBytes(key))).map((node) => to0x(node)),
      })),
    )
    return { address, nonce, balance, codeHash, storageHash: root, accountProof, storageProof }
  }
  /** What a node answers whose head is at `head`; the same for all that ask. */
  const answer = async (
    method: string,
    params: readonly unknown[],
    { head = blocks.length - 1, final = blocks.length - 1 } = {},
  ): Promise<unknown> => {
    const blockOf = (name: unknown) => {
      if (name === 'latest') return blocks[head]
      if (name === 'finalized' || name === 'safe') return blocks[final]
      const height = Number(name)
      return height <= head ? blocks[height] : undefined
    }
    if (method === 'eth_chainId') return '0x7a69'
    if (method === 'eth_getBlockByNumber') return blockOf(params[0])?.json ?? null
    if (method === 'eth_getBlockByHash') {
      return blocks.slice(0, head + 1).find(({ json }) => json.hash === params[0])?.json ?? null
    }
    if (method !== 'eth_getProof') throw new Error(`no ${method} here`)
    const block = blockOf(params[2])
    if (block === undefined) throw new Error('no such block')
    return proofAt(params[0] as Hex, params[1] as Hex[], block.json.stateRoot)
  }

  const pinned: PinnedCode = {
    proxy: [codeOf('proxy')],
    kmsAuth: [codeOf('KmsAuth')],
    app: [codeOf('App')],
    hosts: [codeOf('Hosts')],
    bonds: [codeOf('HostBonds')],
    images: [codeOf('Images')],
  }
  const boot = (app: Hex): EvaluatedBoot => ({
    appId: fromHex(app, 'app'),
    composeHash: fromHex(release, 'release'),
    instanceId: new Uint8Array(0),
    deviceId: fromHex(device, 'device'),
    mrAggregated: new Uint8Array(32),
    mrSystem: new Uint8Array(32),
    osImageHash: fromHex(image, 'image'),
    tcbStatus: 'UpToDate',
    advisoryIds: [],
  })
  return {
    chainId: 31337,
    kmsAuth,
    hosts,
    images,
    bonds,
    apps,
    pinned,
    release,
    image,
    device,
    boot,
    blocks,
    mine,
    store,
    pay,
    touch,
    answer,
    proofAt,
    head: () => blocks.at(-1) as Block,
  }
}

/** The chain over HTTP, as a node serves it; batches too. */
export async function serveChain(
  answer: (method: string, params: readonly unknown[]) => Promise<unknown>,
) {
  const asked: Record<string, number> = {}
  const respond = async ({ id, method, params }: Question) => {
    asked[method] = (asked[method] ?? 0) + 1
    try {
      return { jsonrpc: '2.0', id, result: await answer(method, params) }
    } catch (error) {
      const { message, rpcCode: code = -32000 } = error as Error & { rpcCode?: number }
      return { jsonrpc: '2.0', id, error: { code, message } }
    }
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const question = JSON.parse(Buffer.concat(chunks).toString()) as Question | Question[]
    const answers = Array.isArray(question)
      ? await Promise.all(question.map(respond))
      : await respond(question)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answers))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

interface Question {
  readonly id: unknown
  readonly method: string
  readonly params: readonly unknown[]
}

const emptyRoot = keccak256('0x80')
const emptyCode = keccak256('0x')

function newTrie(of?: MerklePatriciaTrie): MerklePatriciaTrie {
  return of?.shallowCopy(false) ?? new MerklePatriciaTrie({ useKeyHashing: true })
}

async function putWord(trie: MerklePatriciaTrie, slot: Hex, word: bigint): Promise<void> {
  if (word === 0n) return trie.del(hexToBytes(slot)).then(() => {})
  await trie.put(hexToBytes(slot), toRlp(toBytesOf(word), 'bytes'))
}

function readWord(encoded: Uint8Array | null): bigint {
  if (encoded === null) return 0n
  const hex = to0x(encoded.length === 1 ? encoded : encoded.subarray(1))
  return BigInt(hex)
}

/** Nonce, balance, storage root and code hash of an account, as `eth_getProof` writes them. */
function readAccount(encoded: Uint8Array | null): [Hex, Hex, Hex, Hex] {
  if (encoded === null) return ['0x0', '0x0', emptyRoot, emptyCode]
  const [nonce, balance, storageRoot, codeHash] = fromRlp(encoded, 'hex') as [Hex, Hex, Hex, Hex]
  // RLP writes zero as no bytes
  const toCount = (digits: Hex) => numberToHex(digits === '0x' ? 0n : BigInt(digits))
  return [toCount(nonce), toCount(balance), storageRoot, codeHash]
}

export function approval(index: number): bigint {
  return (1n << 160n) | (BigInt(index) << 192n)
}

/** Where Images keeps the approval of a set of measurements. */
export function measurementsSlot(image: Hex, system: Hex): Hex {
  return approvalSlot('measurements', keccak256(concat([image, uint256(0n), system])))
}

function shortString(text: string): bigint {
  const bytes = Buffer.alloc(32)
  bytes.write(text)
  bytes[31] = 2 * text.length
  return BigInt(to0x(bytes))
}

function toBytesOf(word: bigint): Hex {
  const digits = word.toString(16)
  return `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`
}

function toQuantity(value: bigint): Hex {
  return value === 0n ? '0x' : toBytesOf(value)
}

export function sealBlock({
  number,
  timestamp,
  parentHash,
  stateRoot,
  more = {},
}: {
  readonly number: bigint
  readonly timestamp: number
  readonly parentHash: Hex
  readonly stateRoot: Hex
  readonly more?: Readonly<Record<string, Hex>>
}): Block {
  const zero = (length: number): Hex => `0x${'00'.repeat(length)}`
  const json = {
    parentHash,
    sha3Uncles: zero(32),
    miner: zero(20),
    stateRoot,
    transactionsRoot: zero(32),
    receiptsRoot: zero(32),
    logsBloom: zero(256),
    difficulty: '0x0',
    number: numberToHex(number),
    gasLimit: '0x1c9c380',
    gasUsed: '0x0',
    timestamp: numberToHex(timestamp),
    extraData: '0x',
    mixHash: zero(32),
    nonce: zero(8),
    baseFeePerGas: '0x7',
    withdrawalsRoot: zero(32),
    blobGasUsed: '0x0',
    excessBlobGas: '0x0',
    parentBeaconBlockRoot: zero(32),
    requestsHash: zero(32),
    ...more,
  }
  const hash = keccak256(encodeHeader(blockSchema.parse({ ...json, hash: zero(32) })))
  return { json: { ...json, hash, stateRoot, transactions: [] }, number, timestamp }
}
