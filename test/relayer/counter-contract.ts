/** Compiles, deploys and targets `CounterContract.sol`. */
import { readFileSync } from 'node:fs'

import { encodeFunctionData, type Hex, keccak256, parseAbi, stringToBytes } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

import type { QuoteTarget } from '../../src/relayer/outbox/intent-targets.ts'
import { type Anvil, anvilKeys } from '../anvil.ts'

export const boardAbi = parseAbi([
  'error Refused(bytes32 key, string why)',
  'function effects(bytes32) view returns (uint256)',
  'function set(bool refusing, bool silent)',
  'function record(bytes32 key, bytes)',
])

let compiled: Hex | undefined

async function boardBytecode(): Promise<Hex> {
  if (compiled !== undefined) return compiled
  // Only who deploys pays for loading the compiler.
  const { default: solc } = await import('solc')
  const source = readFileSync(new URL('./CounterContract.sol', import.meta.url), 'utf8')
  const input = {
    language: 'Solidity',
    sources: { 'CounterContract.sol': { content: source } },
    settings: { outputSelection: { '*': { Board: ['evm.bytecode.object'] } } },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input)))
  const object: string | undefined =
    output.contracts?.['CounterContract.sol']?.Board?.evm.bytecode.object
  if (object === undefined) throw new Error(JSON.stringify(output.errors))
  compiled = `0x${object}`
  return compiled
}

/** The account that deploys and reconfigures; never the relayer's own. */
const janitor = privateKeyToAccount(anvilKeys[2])

export interface Board {
  readonly address: Hex
  readonly target: QuoteTarget
  effects(key: string, blockNumber?: bigint): Promise<number>
  /** What the relayer does, sent by somebody else; it waits for a block. */
  record(key: string): Promise<void>
  set(state: { refusing?: boolean; silent?: boolean }): Promise<void>
}

export async function deployBoard({ client }: Anvil): Promise<Board> {
  const mined = async (hash: Hex) => {
    await client.mine({ blocks: 1 })
    return client.waitForTransactionReceipt({ hash })
  }
  const bytecode = await boardBytecode()
  const deployment = await mined(
    await client.deployContract({ abi: boardAbi, bytecode, account: janitor }),
  )
  const address = deployment.contractAddress as Hex
  const readEffects = (key: string, blockNumber?: bigint) =>
    client.readContract({
      address,
      abi: boardAbi,
      functionName: 'effects',
      args: [keyOf(key)],
      ...(blockNumber === undefined ? {} : { blockNumber }),
    })
  return {
    address,
    effects: async (key, blockNumber) => Number(await readEffects(key, blockNumber)),
    async record(key) {
      await client.writeContract({
        address,
        abi: boardAbi,
        functionName: 'record',
        args: [keyOf(key), '0x'],
        account: janitor,
        gas: 200_000n,
        maxFeePerGas: 1_000_000_000_000n,
        maxPriorityFeePerGas: 1n,
      })
    },
    async set({ refusing = false, silent = false }) {
      await mined(
        await client.writeContract({
          address,
          abi: boardAbi,
          functionName: 'set',
          args: [refusing, silent],
          account: janitor,
        }),
      )
    },
    target: createBoardTarget(address),
  }
}

export function createBoardTarget(address: Hex): QuoteTarget {
  return {
    errors: boardAbi,
    parsePermit: (permit) => ({ value: permit ?? null, deadline: null }),
    encode: ({ key }) => ({
      to: address,
      data: encodeFunctionData({
        abi: boardAbi,
        functionName: 'record',
        args: [keyOf(key), '0x'],
      }),
    }),
    async isDone({ key }, client, blockNumber) {
      const effects = await client.readContract({
        address,
        abi: boardAbi,
        functionName: 'effects',
        args: [keyOf(key)],
        blockNumber,
      })
      return effects > 0n
    },
  }
}

function keyOf(key: string): Hex {
  return keccak256(stringToBytes(key))
}
