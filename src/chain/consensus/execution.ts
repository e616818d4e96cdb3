/** The execution block of a beacon block: proven under the block's body root. */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, isZero } from '../../lib/bytes.ts'
import { capellaExecution, denebExecution, type ExecutionValue } from './containers.ts'
import { depthOf, isValidBranch, rootOfBranch } from './merkle.ts'
import type { LightClientHeader } from './messages.ts'
import { epochAt, isActive, type Network } from './network.ts'

/** The data of the execution chain in a beacon block. */
export interface Execution {
  /** `get_lc_execution_root`: of the payload header, or the block hash since Gloas. */
  readonly root: Uint8Array
  /** Hash of the execution block: of this beacon block until Fulu, of its parent since Gloas. */
  readonly blockHash: Uint8Array
}

/** `EXECUTION_PAYLOAD_GINDEX`: of the payload in a block's body. */
const payloadIndex = 25
/** Index of `block_hash` in the payload header of Capella, and of Deneb and later. */
const hashInCapella = 28
const hashInDeneb = 44
/** `EXECUTION_BLOCK_HASH_GINDEX_GLOAS`: of `signed_execution_payload_bid.message.parent_block_hash`. */
const hashInGloas = 2856

/**
 * `is_valid_light_client_header` and `get_lc_execution_root` (Capella, Deneb, Electra, Gloas light client).
 *
 * @returns undefined for a header from before Capella, which has no execution data
 * @throws CONSENSUS_PROOF_INVALID
 */
export function executionOf(network: Network, header: LightClientHeader): Execution | undefined {
  const epoch = epochAt(network, header.slot)
  const { execution, executionBlockHash, executionBranch } = header.value
  const found =
    executionBlockHash !== undefined
      ? provenHash(network, epoch, header, executionBlockHash)
      : execution !== undefined
        ? provenPayload(network, epoch, header, execution)
        : isActive(network, 'capella', epoch)
          ? 'unproven'
          : undefined
  if (found !== 'unproven') return found
  throw new AssentError(
    'CONSENSUS_PROOF_INVALID',
    `The execution data of slot ${header.slot} is not proven.`,
    { facts: { slot: header.slot, form: header.form, branch: executionBranch?.length ?? 0 } },
  )
}

type Found = Execution | undefined | 'unproven'

/** Form of Gloas: the block hash alone, with one branch up to the body root. */
function provenHash(
  network: Network,
  epoch: number,
  { value: { beacon, executionBranch: branch = [] } }: LightClientHeader,
  hash: Uint8Array,
): Found {
  if (isActive(network, 'gloas', epoch)) {
    const isProven = isValidBranch(hash, branch, hashInGloas, beacon.bodyRoot)
    return isProven ? { root: hash, blockHash: hash } : 'unproven'
  }
  if (!isActive(network, 'capella', epoch)) {
    return isZero(hash) && branch.every(isZero) ? undefined : 'unproven'
  }
  const inPayload = isActive(network, 'deneb', epoch) ? hashInDeneb : hashInCapella
  const depth = depthOf(inPayload)
  const whole = (payloadIndex << depth) | (inPayload - (1 << depth))
  if (!isValidBranch(hash, branch, whole, beacon.bodyRoot)) return 'unproven'
  const inner = branch.slice(branch.length - depthOf(whole), branch.length - depthOf(payloadIndex))
  return { root: rootOfBranch(hash, inner, inPayload), blockHash: hash }
}

/** Forms of Capella to Fulu: the whole payload header. */
function provenPayload(
  network: Network,
  epoch: number,
  { form, value: { beacon, executionBranch: branch = [] } }: LightClientHeader,
  execution: ExecutionValue,
): Found {
  const { blobGasUsed = 0n, excessBlobGas = 0n } = execution
  const isOfDeneb = isActive(network, 'deneb', epoch)
  if (!isActive(network, 'capella', epoch)) {
    return isEmpty(execution) && branch.every(isZero) ? undefined : 'unproven'
  }
  if (isOfDeneb ? form === 'capella' : blobGasUsed !== 0n || excessBlobGas !== 0n) return 'unproven'
  // a header of Gloas has no payload header in its body, so that no branch can lead to it
  if (isActive(network, 'gloas', epoch)) return 'unproven'
  const root = (isOfDeneb ? denebExecution : capellaExecution).hashTreeRoot(execution)
  if (!isValidBranch(root, branch, payloadIndex, beacon.bodyRoot)) return 'unproven'
  return { root, blockHash: execution.blockHash }
}

function isEmpty(execution: ExecutionValue): boolean {
  const { blobGasUsed = 0n, excessBlobGas = 0n } = execution
  const bytes = denebExecution.serialize({ ...execution, blobGasUsed, excessBlobGas })
  return equalBytes(bytes, denebExecution.serialize(denebExecution.defaultValue()))
}
