/**
 * L1 with the dispute contracts of an OP Stack chain: an anvil node whose storage is written at the published slots.
 *
 * The slots, the packing and the hashes are written down here a second time, with viem.
 */
import {
  type Address,
  encodeAbiParameters,
  encodePacked,
  type Hex,
  keccak256,
  numberToHex,
} from 'viem'

import { type Anvil, startAnvil } from '../../anvil.ts'

/** What a game says of itself, in the fields of the published layouts. Times in Unix seconds. */
export interface Game {
  readonly kind: 'fault' | 'aggregate' | 'op-succinct'
  readonly type: number
  readonly createdAt: number
  readonly resolvedAt: number
  /** 0: in progress, 1: the challenger wins, 2: the defender wins. */
  readonly status: 0 | 1 | 2
  readonly wasRespected: boolean
  readonly rootClaim: Hex
  readonly extraData: Hex
  /** Number of claims of a fault game; the root claim is one. */
  readonly claims: number
  readonly counteredBy: Address
  readonly isBlockChallenged: boolean
  /** Of an aggregate game. */
  readonly proofs: number
  readonly counteredByIndex: bigint
}

/** What the factory says of a game, where it differs from the game itself. */
export interface Registration {
  readonly inList?: boolean
  readonly byClaim?: boolean
  readonly type?: number
  readonly createdAt?: number
  /** What the game's code names as its claim. */
  readonly told?: Pick<Game, 'rootClaim' | 'extraData'>
}

export interface DisputeContracts {
  readonly registry: Address
  readonly factory: Address
  readonly portal: Address
}

export type RegistryVersion = 2 | 3

export interface L1 {
  readonly anvil: Anvil
  /** New contracts without games. */
  deploy(rules?: {
    readonly version?: RegistryVersion
    readonly respectedType?: number
    readonly retiredUntil?: number
    readonly factory?: Address
  }): Promise<DisputeContracts>
  create(contracts: DisputeContracts, game: Game, registration?: Registration): Promise<Address>
  setAnchor(contracts: DisputeContracts, game: Address, version?: RegistryVersion): Promise<void>
  blacklist(contracts: DisputeContracts, game: Address, version?: RegistryVersion): Promise<void>
  write(contract: Address, slot: Hex, word: Hex): Promise<void>
  /** Mines blocks, the first with this time, so that everything is final. */
  settle(time: number): Promise<{ readonly number: bigint; readonly timestamp: number }>
}

export const nobody: Address = `0x${'00'.repeat(20)}`
const word = (value: bigint | number): Hex => numberToHex(value, { size: 32 })
const add = (slot: Hex, index: number): Hex => word(BigInt(slot) + BigInt(index))
const ofMapping = (key: Hex, slot: number): Hex =>
  keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint256' }], [key, BigInt(slot)]))
const padded = (address: Address): Hex => word(BigInt(address))

/** From the lowest bit on: each value with its number of bytes. */
const pack = (...fields: readonly (readonly [value: bigint | number, bytes: number])[]): Hex => {
  let packed = 0n
  let at = 0n
  for (const [value, bytes] of fields) {
    packed |= BigInt(value) << at
    at += 8n * BigInt(bytes)
  }
  return word(packed)
}

export const gameUuid = ({
  type,
  rootClaim,
  extraData,
}: Pick<Game, 'type' | 'rootClaim' | 'extraData'>) =>
  keccak256(
    encodeAbiParameters(
      [{ type: 'uint32' }, { type: 'bytes32' }, { type: 'bytes' }],
      [type, rootClaim, extraData],
    ),
  )

export const outputRoot = (stateRoot: Hex, messagePasserStorageRoot: Hex, blockHash: Hex) =>
  keccak256(
    encodePacked(
      ['bytes32', 'bytes32', 'bytes32', 'bytes32'],
      [word(0), stateRoot, messagePasserStorageRoot, blockHash],
    ),
  )

/** Storage of a game by slot. */
function storageOf(game: Game): [Hex, Hex][] {
  const head = [
    [game.createdAt, 8],
    [game.resolvedAt, 8],
    [game.status, 1],
  ] as const
  if (game.kind === 'op-succinct') return [[word(0), pack(...head, [Number(game.wasRespected), 1])]]
  if (game.kind === 'aggregate')
    return [
      [word(0), pack(...head, [1, 1], [Number(game.wasRespected), 1])],
      [word(5), word(game.counteredByIndex)],
      [word(7), pack([2n ** 64n - 1n, 8], [game.proofs, 1])],
    ]
  return [
    [word(0), pack(...head, [1, 1], [Number(game.isBlockChallenged), 1])],
    [word(2), word(game.claims)],
    [keccak256(word(2)), pack([0xffff_ffff, 4], [BigInt(game.counteredBy), 20])],
    [add(keccak256(word(2)), 3), game.rootClaim],
    [word(10), word(Number(game.wasRespected))],
  ]
}

/** Code that answers each call with the result of `gameData()`. */
function codeOf(game: Pick<Game, 'type' | 'rootClaim' | 'extraData'>): Hex {
  const answer = encodeAbiParameters(
    [{ type: 'uint32' }, { type: 'bytes32' }, { type: 'bytes' }],
    [game.type, game.rootClaim, game.extraData],
  ).slice(2)
  const length = numberToHex(answer.length / 2, { size: 2 }).slice(2)
  return `0x61${length}600c5f3961${length}5ff3${answer}`
}

export async function startL1(chainId = 900): Promise<L1> {
  const anvil = await startAnvil({
    args: ['--chain-id', `${chainId}`, '--slots-in-an-epoch', '1'],
    mining: 'manual',
  })
  const { client } = anvil
  let count = 0
  const listed = new Map<Address, number>()
  const newAddress = async (code: Hex): Promise<Address> => {
    const address: Address = `0x${(0xc0de_0000_0000 + ++count).toString(16).padStart(40, 'a')}`
    await client.setCode({ address, bytecode: code })
    return address
  }
  const write: L1['write'] = (address, index, value) =>
    client.setStorageAt({ address, index, value })
  const slotsOf = (version: RegistryVersion) =>
    version === 3
      ? ({ anchor: 2, blacklist: 5, rules: 6 } as const)
      : ({ anchor: 3, blacklist: 58, rules: 59 } as const)
  const rulesContract = ({ registry, portal }: DisputeContracts, version: RegistryVersion) =>
    version === 3 ? registry : portal
  return {
    anvil,
    write,
    async deploy({ version = 3, respectedType = 0, retiredUntil = 0, factory: named } = {}) {
      const [registry, factory, portal] = [
        await newAddress('0x00'),
        await newAddress('0x00'),
        await newAddress('0x00'),
      ]
      const contracts = { registry, factory, portal }
      await write(registry, word(1), padded(named ?? factory))
      const rules = pack([respectedType, 4], [retiredUntil, 8])
      await write(rulesContract(contracts, version), word(slotsOf(version).rules), rules)
      return contracts
    },
    async create({ factory }, game, { inList = true, byClaim = true, ...registered } = {}) {
      const address = await newAddress(codeOf({ ...game, ...registered.told }))
      const { type = game.type, createdAt = game.createdAt } = registered
      const id = pack([BigInt(address), 20], [createdAt, 8], [type, 4])
      const place = listed.get(factory) ?? 0
      if (inList) {
        listed.set(factory, place + 1)
        await write(factory, word(104), word(place + 1))
        await write(factory, add(keccak256(word(104)), place), id)
      }
      if (byClaim) await write(factory, ofMapping(gameUuid({ ...game, type }), 103), id)
      for (const [slot, value] of storageOf(game)) await write(address, slot, value)
      return address
    },
    setAnchor: ({ registry }, game, version = 3) =>
      write(registry, word(slotsOf(version).anchor), padded(game)),
    blacklist: (contracts, game, version = 3) =>
      write(
        rulesContract(contracts, version),
        ofMapping(padded(game), slotsOf(version).blacklist),
        word(1),
      ),
    async settle(time) {
      await client.setNextBlockTimestamp({ timestamp: BigInt(time) })
      await client.mine({ blocks: 4 })
      const { number, timestamp } = await client.getBlock({ blockTag: 'finalized' })
      return { number, timestamp: Number(timestamp) }
    },
  }
}
