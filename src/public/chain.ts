/**
 * `assent/chain`: the contracts' ABIs, typed reads and calls, permits to sign, and drafts for the DAO.
 *
 * @example
 * import { readHost, signHostPermit } from 'assent/chain'
 */
export * from '../chain/abi.ts'
export * from '../chain/app.ts'
export { type Approval, decodeApproval, type State, stateAt } from '../chain/approval.ts'
export * from '../chain/bonds.ts'
export * from '../chain/boot.ts'
export {
  type Call,
  type Clients,
  callOf,
  decodeRevert,
  sendCall,
  waitForReceipt,
} from '../chain/call.ts'
export * from '../chain/deployments.ts'
export { type ChainEvidence, evidenceDigest } from '../chain/evidence.ts'
export * from '../chain/governance/governance.ts'
export * from '../chain/hosts.ts'
export * as registry from '../chain/registry.ts'
export * from '../chain/root-keys.ts'
export {
  collateralCalls,
  missingCollateral,
  putCollateral,
  readHeld,
  type StoredValidity,
} from '../chain/verifier/collateral.ts'
export { AssentError, type ErrorCode, errorCatalogue, isAssentError } from '../errors/index.ts'
