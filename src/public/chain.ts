/**
 * `assent/chain`: ABIs of the contracts, typed reads and calls, permits to sign, and proposals to the DAO.
 *
 * Functions take viem clients. A function that changes the chain returns a `Call`: send it with `sendCall`, or put it
 * into a proposal with `propose`. Errors are {@link AssentError}; a reverted call has the code `CALL_REVERTED` with the
 * name and the arguments of the contract error in its facts.
 *
 * @example
 * import { createPublicClient, http } from 'viem'
 * import { deployedAddresses, readAdmission, readDeployment } from 'assent/chain'
 *
 * const client = createPublicClient({ transport: http('https://rpc.example') })
 * const { hosts } = deployedAddresses(await readDeployment('deployments', 1))
 * const { isAdmitted, validUntil } = await readAdmission(client, hosts, deviceId)
 */
export * from '../chain/abi.ts'
export {
  type Approval,
  decodeApproval,
  type State as ApprovalState,
  stateAt,
} from '../chain/approval.ts'
export * from '../chain/boot/ask-contracts.ts'
export * from '../chain/boot/boot.ts'
export type { Agreement, ChainEvidence, NamedNode, TriePath } from '../chain/boot/evidence.ts'
export {
  type Call,
  type Clients,
  callOf,
  decodeRevert,
  sendCall,
  waitForReceipt,
} from '../chain/call.ts'
export * from '../chain/governance/governance.ts'
export * from '../chain/record/deployments.ts'
export * from '../chain/registries/app.ts'
export * from '../chain/registries/bonds.ts'
export * from '../chain/registries/hosts.ts'
export * from '../chain/registries/instance-proof.ts'
export * from '../chain/registries/instances.ts'
/** Reads and calls of the registries. A namespace, because names such as `approve` and `list` are general. */
export * as registry from '../chain/registries/registry.ts'
export * from '../chain/registries/requests.ts'
export * from '../chain/registries/root-keys.ts'
export {
  collateralCalls,
  missingCollateral,
  readHeld as readStoredValidity,
  type StoredValidity,
  uploadCollateral,
} from '../chain/verifier/collateral.ts'
export { AssentError, type ErrorCode, errorCatalogue, isAssentError } from '../errors/index.ts'
