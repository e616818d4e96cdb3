/**
 * The chain as this browser sees it: blocks on which enough endpoints agree, and their state by storage proofs.
 *
 * The readers are those of the KMS. So an endpoint can withhold an answer, but not invent one for an agreed block.
 */
import {
  type AgreedHeader,
  agreedHeaderAt,
  type QuorumRules,
} from '../../../src/chain/proven/header-quorum.ts'
import { askFor, proveByEndpoints } from '../../../src/chain/proven/prover.ts'
import { connectEndpoint, type Endpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { createStateCache, openState, type ProvenState } from '../../../src/chain/proven/state.ts'
import { AssentError, isAssentError } from '../../../src/errors/index.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { bytesSchema } from '../../../src/lib/schema.ts'
import type { Settings } from '../settings.ts'
import type { At } from './indexer.ts'

/** A block on which the endpoints agree. */
export interface AgreedBlock extends AgreedHeader {
  /** Reads with storage proofs under the state root of the block. */
  readonly state: ProvenState
}

/** The chain through the endpoints of the settings. */
export interface Chain {
  readonly required: number
  readonly endpoints: readonly Endpoint[]
  /**
   * The block of an answer of the indexer, as the endpoints have it.
   *
   * @throws CHAIN_FORKED if they have another block at this height, CHAIN_*
   */
  blockOf(at: At): Promise<AgreedBlock>
  /**
   * The answer of a contract at a block, if enough endpoints give the same one.
   *
   * @throws CHAIN_NO_AGREEMENT
   */
  call(block: AgreedBlock, to: Hex, data: Hex): Promise<Hex>
}

const timeoutMs = 10_000
const cacheBytes = 32 * 1024 * 1024
/** Blocks whose proven values are kept. */
const blocksKept = 4

export function openChain({ chainId, endpoints: servers, required }: Settings): Chain {
  const endpoints = servers.map(({ name, url }, index) =>
    connectEndpoint({ url, name: `${index + 1}:${name}`, timeoutMs }),
  )
  const rules: QuorumRules = { endpoints, required, chainId, finality: 'latest' as never }
  const memory = createStateCache(cacheBytes)
  const prove = proveByEndpoints(endpoints, () => performance.now(), memory.nodes)
  const blocks = new Map<string, Promise<AgreedBlock>>()

  const read = async ({ block, hash }: At): Promise<AgreedBlock> => {
    const agreed = await agreedHeaderAt(rules, BigInt(block))
    if (hash !== null && agreed.header.hash !== hash) {
      const facts = { block, indexer: hash, endpoints: agreed.header.hash }
      throw new AssentError(
        'CHAIN_FORKED',
        `The indexer describes another block ${block} than the endpoints have.`,
        { facts },
      )
    }
    // a liar must not be able to serve a proof of another block: all are asked, each proof is verified
    const source = askFor(
      endpoints.map(({ name }) => name),
      prove,
      { fault: () => {} },
    )
    return { ...agreed, state: openState(agreed.header, source, memory) }
  }
  return {
    required,
    endpoints,
    blockOf(at) {
      const name = `${at.block}:${at.hash}`
      const known = blocks.get(name)
      if (known !== undefined) return known
      const found = read(at)
      blocks.set(name, found)
      // a failure is asked again
      found.catch(() => blocks.delete(name))
      if (blocks.size > blocksKept) blocks.delete(blocks.keys().next().value as string)
      return found
    },
    async call({ header }, to, data) {
      const number = `0x${header.number.toString(16)}`
      const answers = await Promise.all(
        endpoints.map((endpoint) =>
          endpoint.request('eth_call', [{ to, data }, number], bytesSchema).catch((error) => {
            if (isAssentError(error)) return undefined
            throw error
          }),
        ),
      )
      const found = answers.find(
        (answer) =>
          answer !== undefined && answers.filter((other) => other === answer).length >= required,
      )
      if (found !== undefined) return found
      const message = `Fewer than ${required} of ${endpoints.length} endpoints give the same answer.`
      throw new AssentError('CHAIN_NO_AGREEMENT', message, { facts: { to } })
    },
  }
}
