/** The output root of an L2 block: what a dispute game claims. */
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import type { EndpointFault } from '../boot/boot.ts'
import { type EndpointHealth, queryEndpointsInOrder } from '../proven/endpoint-health.ts'
import type { BlockHeader, HeaderField } from '../proven/header.ts'
import { fetchHeader, retryOnce } from '../proven/header-quorum.ts'
import { proofSchema, verifyProof } from '../proven/proof.ts'
import type { Endpoint } from '../proven/rpc-endpoint.ts'
import { emptyRoot } from '../proven/trie.ts'

/** `L2ToL1MessagePasser`, at the same address on each OP Stack chain. */
const messagePasser: Hex = '0x4200000000000000000000000000000000000016'

/** What an output root is the hash of, beside its version. */
interface OutputPreimage {
  readonly stateRoot: Hex
  /** Storage root of the `L2ToL1MessagePasser`. */
  readonly messagePasserStorageRoot: Hex
  readonly blockHash: Hex
}

/** Version 0: `keccak256(version ‖ stateRoot ‖ messagePasserStorageRoot ‖ blockHash)` (OP Stack, L2 output root proposals). */
function outputRootOf(preimage: OutputPreimage): Hex {
  const { stateRoot, messagePasserStorageRoot, blockHash } = preimage
  const words = [`0x${'00'.repeat(32)}`, stateRoot, messagePasserStorageRoot, blockHash]
  return keccak256(`0x${words.map((word) => word.slice(2)).join('')}`)
}

/** An L2 block whose output root is the claimed one. */
export interface ClaimedBlock {
  readonly header: BlockHeader
  readonly messagePasserStorageRoot: Hex
}

/**
 * Finds the L2 block of a claim. Any endpoint may show it, because the output root contains its hash.
 *
 * @param claim output root and block number
 * @throws ROLLUP_OUTPUT_MISMATCH if an endpoint shows another block, CHAIN_*
 */
export function fetchClaimedBlock(
  endpoints: readonly Endpoint[],
  { outputRoot, number }: { readonly outputRoot: Hex; readonly number: bigint },
  options: {
    readonly headerFields: readonly HeaderField[] | undefined
    readonly health: EndpointHealth
    readonly failed: (fault: EndpointFault) => void
  },
): Promise<ClaimedBlock> {
  const ask = async (endpoint: Endpoint, signal: AbortSignal): Promise<ClaimedBlock> => {
    const header = await fetchHeader(endpoint, number, options.headerFields)
    const params = [messagePasser, [], `0x${number.toString(16)}`]
    const answer = await retryOnce(() =>
      endpoint.request('eth_getProof', params, proofSchema, { signal }),
    )
    const asked = { stateRoot: header.stateRoot, address: messagePasser, slots: [] }
    const messagePasserStorageRoot = verifyProof(answer, asked).account?.storageRoot ?? emptyRoot
    const { stateRoot, hash: blockHash } = header
    if (outputRootOf({ stateRoot, messagePasserStorageRoot, blockHash }) === outputRoot)
      return { header, messagePasserStorageRoot }
    const message = `${endpoint.name} shows another block ${number} than the one that the dispute game claims.`
    const facts = { endpoint: endpoint.name, block: String(number), outputRoot, blockHash }
    throw new AssentError('ROLLUP_OUTPUT_MISMATCH', message, { facts })
  }
  const { health, failed } = options
  return queryEndpointsInOrder(endpoints, ask, {
    health,
    failed: ({ name }, { code }) => failed({ endpoint: name, code }),
  })
}
