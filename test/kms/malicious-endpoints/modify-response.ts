/** How endpoints lie: answers of a real node, changed in one place. */
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'

import { keccak256, numberToHex } from 'viem'

import { approvalSlot } from '../../../src/chain/approval.ts'
import { blockSchema, encodeHeader } from '../../../src/chain/proven/header.ts'
import { kmsAuthSlots } from '../../../src/chain/proven/slots.ts'
import { type Hex, to0x } from '../../../src/lib/bytes.ts'
import type { Lie, Real } from '../../chain/malicious-endpoint.ts'
import { stage } from './fixture.ts'

/** Heights at which the withdrawn was still allowed: long ago, and a moment ago. */
export const longAgo = () => stage.longAgo
export const before = () => stage.before

export type Block = Record<string, unknown> & {
  number: Hex
  hash: Hex
  timestamp: Hex
  stateRoot: Hex
}
export interface Proof {
  address: Hex
  accountProof: Hex[]
  storageHash: Hex
  codeHash: Hex
  nonce: Hex
  balance: Hex
  storageProof: { key: Hex; value: Hex; proof: Hex[] }[]
}

export const hex = (value: bigint) => numberToHex(value)

export const blockAt = async (real: Real, height: bigint | string) =>
  (await real('eth_getBlockByNumber', [
    typeof height === 'bigint' ? hex(height) : height,
    false,
  ])) as Block

/** The false answers about final blocks; everything else is true. */
export const aboutFinal =
  (tell: (real: Real) => Promise<unknown>): Lie =>
  (method, params, real) =>
    method === 'eth_getBlockByNumber' && params[0] === 'finalized' ? tell(real) : undefined

/** Old blocks for the newest ones, and the old state with them. */
export const showOld =
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
export const aboutProofs =
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
export const aboutSlot =
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
export async function entryOf(real: Real, address: Hex, slot: Hex, block: unknown) {
  const proof = (await real('eth_getProof', [address, [slot], block])) as Proof
  return proof.storageProof[0] as Proof['storageProof'][number]
}

export const withdrawnRelease = () => approvalSlot('release', to0x(stage.withdrawn.composeHash))
export const strictDevice = () => approvalSlot('device', to0x(stage.node.host.deviceId))
export const hostsSlot = () => kmsAuthSlots.hosts
export const emptySlot: Hex = `0x${'77'.repeat(32)}`

/** A header that hashes rightly and that no chain has. */
export function forge(block: Block, changed: Partial<Block>): Block {
  const forged = { ...block, ...changed }
  return { ...forged, hash: keccak256(encodeHeader(blockSchema.parse(forged))) }
}

/** A chain of its own from `height` on: the old state under new, well-formed headers. */
export const fork =
  (from: () => bigint, time: () => number = () => stage.final.timestamp): Lie =>
  async (method, params, real) => {
    const [first] = params as [string]
    const old = await blockAt(real, before())
    if (method === 'eth_getBlockByNumber') {
      if (first.startsWith('0x') && BigInt(first) < from()) return undefined
      const number = first.startsWith('0x') ? (first as Hex) : hex(from() + 1n)
      return forge(old, { number, timestamp: hex(BigInt(time())) })
    }
    return method === 'eth_getProof'
      ? real(method, [params[0], params[1], hex(before())])
      : undefined
  }

export const raw =
  (write: (response: ServerResponse) => void): Lie =>
  () =>
    write
/** As if two answers had been written into one: readers of JSON take the last. */
export const twice =
  (lie: Lie): Lie =>
  async (method, params, real) => {
    const changed = await lie(method, params, real)
    if (changed === undefined || typeof changed === 'function') return changed
    const truth = JSON.stringify(await real(method, params))
    return (response: ServerResponse) =>
      response.end(`{"jsonrpc":"2.0","id":1,"result":${truth},"result":${JSON.stringify(changed)}}`)
  }

/** Chunks without end. */
export const flood = raw((response) => {
  const more = () => {
    while (!response.destroyed && response.write(' '.repeat(65_536)));
    response.once('drain', more)
  }
  response.writeHead(200)
  more()
})

const packed = gzipSync(Buffer.alloc(16 * 1024 * 1024, 0x20))
export const bomb = raw((response) =>
  response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed),
)

export const body = (text: string, headers: Record<string, string> = {}) =>
  raw((response) => response.writeHead(200, headers).end(text))

let turns = 0

/** The first lie that has something to say. */
export function mix(...several: readonly Lie[]): Lie {
  return async (method, params, real) => {
    for (const lie of [...several].reverse()) {
      const changed = await lie(method, params, real)
      if (changed !== undefined) return changed
    }
    return undefined
  }
}

export function oldProofs(): Lie {
  return (method, params, real) =>
    method === 'eth_getProof' ? real(method, [params[0], params[1], hex(before())]) : undefined
}

export function oneForksOneIsDown(): Lie {
  return (method, params, real) =>
    stage.asked === 0
      ? fork(() => stage.final.number)(method, params, real)
      : (response: ServerResponse) => response.destroy()
}

export function eachItsOwn(): Lie {
  return (method, params, real) => {
    const index = stage.asked
    return fork(
      () => stage.final.number,
      () => stage.final.timestamp + index,
    )(method, params, real)
  }
}

export function replayedFinality(): Lie {
  return async (method, params, real) => {
    const [first] = params as [string]
    const known = first === hex(stage.final.number)
    if (method === 'eth_getBlockByNumber' && known)
      return forge(await blockAt(real, before()), { number: first as Hex })
    return fork(() => stage.final.number)(method, params, real)
  }
}

export function flapping(): Lie {
  return (...asked) => (turns++ % 2 === 0 ? showOld(before)(...asked) : undefined)
}

export function otherChain(): Lie {
  return (method, params, real) =>
    method === 'eth_chainId' ? '0x1' : showOld(before)(method, params, real)
}

export function anotherBlock(): Lie {
  return async (method, params, real) => {
    if (method !== 'eth_getBlockByNumber') return undefined
    return blockAt(real, params[0] === 'finalized' ? 'latest' : before())
  }
}
