/** Talking to a chain: contracts, transactions, deployments. An outage is never a denial. */
export const chainErrors = {
  CHAIN_UNREACHABLE: {
    why: 'The endpoint did not answer, or not in time, or not as a node does.',
    fix: 'Check the address of the endpoint and whether it is up; nothing was decided.',
  },
  CHAIN_ID_WRONG: {
    why: 'The endpoint serves another chain than the one configured.',
    fix: 'Correct the endpoint or the chain id; they belong together.',
  },
  CONTRACT_MISSING: {
    why: 'There is no contract at an address where one must be.',
    fix: 'Check the address and that the endpoint serves the chain of the deployment.',
  },
  CALL_REVERTED: {
    why: 'A contract refused a call; nothing was changed.',
    fix: 'The name of the contract error and its values say what was found and expected.',
  },
  TRANSACTION_REVERTED: {
    why: 'A transaction was included and failed; only its fee was spent.',
    fix: 'Something changed between simulation and inclusion: look at the state and try again.',
  },
  DEPLOYMENT_INVALID: {
    why: 'A deployment record is no such record, is of another chain, or is not what the chain shows.',
    fix: 'Use the file that the deploy script wrote for this chain, or deploy again.',
  },
} as const
