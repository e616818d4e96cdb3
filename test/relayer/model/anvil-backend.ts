/** Anvil as the ground of a schedule: the same crashes, lies and reorgs on a real node and a real contract. */
import {
  createPublicClient,
  createWalletClient,
  custom,
  type EIP1193RequestFn,
  http,
  keccak256,
  parseTransaction,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'

import type { Hex } from '../../../src/lib/bytes.ts'
import { createLocalSigner } from '../../../src/relayer/signer/signer.ts'
import { type Anvil, anvilKeys } from '../../anvil.ts'
import type { Board } from '../counter-contract.ts'
import type { EndpointFault, FaultSource } from './model-chain.ts'
import type { Random } from './random.ts'
import type { Ground } from './schedule.ts'

/** Deeper than the deepest finality, so that no reorg reaches the contract. */
const depth = 30

export async function createAnvilGround(anvil: Anvil, board: Board): Promise<Ground> {
  const { client } = anvil
  const signer = createLocalSigner(anvilKeys[0])
  const intruder = createWalletClient({
    account: privateKeyToAccount(anvilKeys[0]),
    chain: foundry,
    transport: http(anvil.url),
  })
  const request = (method: string, params: unknown[]) =>
    client.request({ method, params } as never) as Promise<unknown>
  await client.mine({ blocks: depth })
  let wanted = 1_000_000_000n
  const received: Hex[] = []
  const mine = async (blocks = 1) => {
    for (let block = 0; block < blocks; block++) {
      await request('anvil_setNextBlockBaseFeePerGas', [`0x${wanted.toString(16)}`])
      await client.mine({ blocks: 1 })
    }
  }
  const count = async (blocksAgo = 0) => {
    const blockNumber = (await client.getBlockNumber({ cacheTime: 0 })) - BigInt(blocksAgo)
    return client.getTransactionCount({ address: signer.address, blockNumber })
  }

  const ground: Ground = {
    chainId: foundry.id,
    signer,
    target: board.target,
    maxReorg: 20,
    onReceived: () => undefined,
    isStrict: false,
    // What a node refuses and a contract ignores is the model's part, and that of submit.test.ts.
    refused: null,
    isSilent: false,
    mine,
    async reorg(blocks, random) {
      await request('anvil_reorg', [blocks, []])
      if (random.chance(0.5)) await request('anvil_dropAllTransactions', [])
      await mine()
    },
    async intrude() {
      await request('anvil_dropAllTransactions', [])
      await intruder.sendTransaction({
        to: '0x000000000000000000000000000000000000dead',
        nonce: await count(),
        maxFeePerGas: wanted * 4n,
        maxPriorityFeePerGas: 1n,
      })
      await mine()
    },
    bring: async (key) => {
      await board.record(key)
      await mine()
    },
    async outbid() {
      const waiting = {
        to: '0x000000000000000000000000000000000000dead' as Hex,
        nonce: await count(),
        maxFeePerGas: 20_000_000_000n,
        maxPriorityFeePerGas: 19_000_000_000n,
      }
      // Anvil takes nothing below its base fee.
      await intruder.sendTransaction(waiting).catch(() => undefined)
    },
    async setBaseFee(wei) {
      wanted = wei
    },
    async forget() {
      await request('anvil_dropAllTransactions', [])
    },
    async gossip(random) {
      for (const raw of received) {
        if (random.chance(0.3))
          await request('eth_sendRawTransaction', [raw]).catch(() => undefined)
      }
    },
    createClient(faultOf, random) {
      return createPublicClient({
        chain: foundry,
        transport: custom(
          { request: faulty(anvil, ground, received, faultOf, random) },
          { retryCount: 0 },
        ),
        cacheTime: 0,
      })
    },
    blockOf: async (hash) =>
      client.getTransactionReceipt({ hash }).then(
        ({ blockHash }) => blockHash,
        () => undefined,
      ),
    async effects(key, blocksAgo = 0) {
      if (blocksAgo === 0) return board.effects(key)
      return board.effects(key, (await client.getBlockNumber({ cacheTime: 0 })) - BigInt(blocksAgo))
    },
    count,
  }
  return ground
}

type Request = { readonly method: string; readonly params?: readonly unknown[] }

/** One endpoint in front of the node: forwards, or does what its fault says. */
function faulty(
  anvil: Anvil,
  ground: Ground,
  received: Hex[],
  faultOf: FaultSource,
  random: Random,
): EIP1193RequestFn {
  const forward = (asked: Request) => anvil.client.request(asked as never) as Promise<unknown>
  const answer = async (asked: Request) => {
    const fault = faultOf(nameOf(asked.method))
    if (fault === 'silent') throw new Error('fetch failed')
    if (asked.method === 'eth_sendRawTransaction') return send(asked, fault)
    if (asked.method === 'eth_getTransactionReceipt') return receipt(asked, fault)
    if (fault === 'rejects' && asked.method === 'eth_call') throw new Error('execution reverted')
    if (fault === 'stale') return forward(await lag(asked))
    if (fault === 'invents-blocks' && isNewest(asked)) return invent(asked)
    return forward(asked)
  }

  async function send(asked: Request, fault: EndpointFault): Promise<unknown> {
    const raw = asked.params?.[0] as Hex
    if (fault === 'rejects') throw new Error('intrinsic gas too low')
    const hash = keccak256(raw)
    ground.onReceived({ hash, nonce: parseTransaction(raw).nonce ?? 0 })
    if (fault === 'swallows') return hash
    received.push(raw)
    const sent = await forward(asked)
    if (fault === 'accepts-then-times-out') throw new Error('The request timed out.')
    return sent
  }

  async function receipt(asked: Request, fault: EndpointFault): Promise<unknown> {
    if (fault === 'denies-receipts') return null
    const found = (await forward(asked)) as Record<string, unknown> | null
    if (fault === 'stale') return null
    if (fault !== 'invents-receipts' || found === null) return found
    return { ...found, blockHash: keccak256(found.blockHash as Hex) }
  }

  async function invent(asked: Request): Promise<unknown> {
    const found = (await forward(asked)) as Record<string, Hex>
    return { ...found, number: `0x${(Number(found.number) + 5).toString(16)}` }
  }

  /** The newest block is an older one. */
  async function lag(asked: Request): Promise<Request> {
    if (!isNewest(asked)) return asked
    const latest = Number(await anvil.client.getBlockNumber())
    const behind = Math.max(depth, latest - random.int(1, 6))
    return { ...asked, params: [`0x${behind.toString(16)}`, false] }
  }

  return answer as EIP1193RequestFn
}

function isNewest({ method, params }: Request): boolean {
  return method === 'eth_getBlockByNumber' && params?.[0] === 'latest'
}

/** Faults are chosen by the names of the model's client. */
function nameOf(method: string): string {
  return method === 'eth_sendRawTransaction' ? 'sendRawTransaction' : method
}
