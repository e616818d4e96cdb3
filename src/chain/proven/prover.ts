/**
 * Fetches storage proofs: from the endpoints, or from another process of this node.
 *
 * The workers of a node mostly need the same proofs. The process that writes the release log fetches and verifies them,
 * and the workers ask that process.
 */
import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { EndpointFault } from '../boot/boot.ts'
import { createHealth, queryEndpointsInOrder } from './endpoint-health.ts'
import { retryOnce } from './header-quorum.ts'
import { proofSchema, verifyProof } from './proof.ts'
import type { Endpoint } from './rpc-endpoint.ts'
import {
  createStateCache,
  openState,
  type ProofSource,
  type ProvenState,
  type StateCache,
  type StateOf,
} from './state.ts'
import type { NodeStore } from './trie.ts'

/** One request for proofs: a contract's account and some of its storage slots, at one block. */
export interface ProofQuestion {
  /** Names of the endpoints to use, best first. */
  readonly endpoints: readonly string[]
  /** The block whose state root the proof must lead to. */
  readonly block: StateOf
  /** Contract, 20 bytes. */
  readonly address: Hex
  /** 32 bytes each; at most `maxSlots`. */
  readonly slots: readonly Hex[]
  /** Milliseconds that one endpoint has from the sending of a request; default: those of the endpoint. */
  readonly timeoutMs?: number | undefined
  /** The client for which the node asks; undefined: for itself. */
  readonly client?: string | undefined
}

/** Trie nodes by hash. */
export type ProvenNodes = ReadonlyMap<Hex, Hex>

/**
 * Fetches and verifies the proofs of one contract.
 *
 * @throws CHAIN_PROOF_INVALID, CHAIN_PROOF_REFUSED, CHAIN_NODE_OVERLOADED, CHAIN_*
 */
export type FetchProof = (
  question: ProofQuestion,
  fault: (fault: EndpointFault) => void,
) => Promise<ProvenNodes>

/** Fetches proofs from the endpoints. @param now monotonic clock in milliseconds @param known trie nodes that were hashed before */
export function proveByEndpoints(
  endpoints: readonly Endpoint[],
  now: () => number,
  known: Pick<NodeStore, 'get'>,
): FetchProof {
  const health = createHealth(now)
  return ({ endpoints: names, block, address, slots, timeoutMs, client }, fault) => {
    const asked = names.flatMap((name) => endpoints.filter((endpoint) => endpoint.name === name))
    const failed = ({ name }: Endpoint, { code }: AssentError) => fault({ endpoint: name, code })
    return queryEndpointsInOrder(
      asked,
      async (endpoint, signal) => {
        const { number, stateRoot } = block
        const params = [address, slots, `0x${number.toString(16)}`]
        const answer = await retryOnce(() =>
          endpoint.request('eth_getProof', params, proofSchema, { signal, timeoutMs, client }),
        ).catch(describeRefusal)
        return verifyProof(answer, { stateRoot, address, slots }, known).nodes
      },
      { health, failed },
    )
  }
}

/** @throws CHAIN_PROOF_REFUSED if a node refused the request, otherwise the original error */
function describeRefusal(error: unknown): never {
  const { facts } = error as AssentError
  const isRefusal = isAssentError(error, 'CHAIN_UNREACHABLE') && facts.rpcCode !== undefined
  if (!isRefusal) throw error
  const message = `${facts.endpoint} gives no proof of a block that counts: ${facts.words || facts.rpcCode}`
  throw new AssentError('CHAIN_PROOF_REFUSED', message, { cause: error, facts })
}

/** Blocks whose requests are joined: the final block and the newest block of each endpoint. */
const blocksKept = 16

/** Joins the requests of several processes, so that no proof is fetched twice. */
export function proveForMany(
  endpoints: readonly Endpoint[],
  cacheBytes: number,
  now: () => number = () => performance.now(),
): FetchProof {
  const memory: StateCache = createStateCache(cacheBytes)
  const prove = proveByEndpoints(endpoints, now, memory.nodes)
  const states = new Map<string, SharedState>()
  const open = ({ block, endpoints: names, timeoutMs }: ProofQuestion): SharedState => {
    const name = [block.stateRoot, block.number, timeoutMs ?? '', ...names].join()
    const known = states.get(name)
    if (known !== undefined) return known
    const heard: SharedState['heard'] = { fault: () => {} }
    const source = askFor(names, prove, { timeoutMs, fault: (fault) => heard.fault(fault) })
    const shared = { state: openState(block, source, memory), heard }
    states.set(name, shared)
    if (states.size > blocksKept) states.delete(states.keys().next().value ?? '')
    return shared
  }
  return (question, fault) => {
    const { state, heard } = open(question)
    heard.fault = fault
    return state.prove(question.address, question.slots, { client: question.client })
  }
}

interface SharedState {
  readonly state: ProvenState<StateOf>
  /** Faults of endpoints are reported to the last caller. */
  readonly heard: { fault: (fault: EndpointFault) => void }
}

/** Source of proofs for a state. A separate function, so that its closure keeps nothing else alive. */
export function askFor(
  endpoints: readonly string[],
  prove: FetchProof,
  {
    timeoutMs,
    fault,
  }: { readonly timeoutMs?: number | undefined; readonly fault: (fault: EndpointFault) => void },
): ProofSource {
  return async ({ number, stateRoot }, address, slots, client) => {
    const block = { number, stateRoot }
    return { nodes: await prove({ endpoints, block, address, slots, timeoutMs, client }, fault) }
  }
}
