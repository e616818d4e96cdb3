/** Rows of things as they are before their first event. */
import type { State } from '../database/tables.ts'
import { nobody } from './owned.ts'

/** An app as it is created: TDX only, no rules, the first epoch. */
export const newApp: State<'apps'> = {
  deployer: null,
  allowAnyDevice: false,
  requireTcbUpToDate: false,
  upgradesDisabled: false,
  variants: 1,
  noticePeriod: 0,
  noticeSince: 0,
  oldest: 0,
  nextOldest: 0,
  endFrom: 0,
  endOpenedEpoch: false,
  epoch: 1,
}

/** A host without a proof. */
export const newHost: State<'hosts'> = {
  operator: null,
  namedOperator: null,
  attestedAt: null,
  expiresAt: null,
  status: null,
  fmspc: null,
  tcbEvaluationNumber: null,
  qeEvaluationNumber: null,
  approvalVersion: null,
  tcbDate: null,
  provenAtBlock: null,
  advisories: null,
  advisoriesDigest: null,
  platformInstanceId: null,
  quoteDigest: null,
  quoteId: null,
  endedVerdict: null,
  firstId: null,
  continuedBlock: null,
  continuedIndex: null,
}

/** An account that never had votes. */
export const newVoter: State<'voters'> = { balance: '0', delegate: nobody, votes: '0' }

/** A contract before its first event. */
export function newContract(role: string): State<'contracts'> {
  return {
    role,
    owner: null,
    pendingOwner: null,
    guardian: null,
    suspension: null,
    implementation: null,
    upgradesRenounced: false,
    settings: {},
  }
}
