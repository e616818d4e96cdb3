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
  CHAIN_TIMEOUT: {
    why: 'An endpoint did not answer in time.',
    fix: 'Use a nearer or faster endpoint, or allow more time in the configuration.',
  },
  CHAIN_ANSWER_INVALID: {
    why: 'The endpoint returned data that the call cannot have produced.',
    fix: 'Do not trust this endpoint; use another one.',
  },
  CHAIN_STALE: {
    why: 'The newest block that may be believed is older than the configured bound: the endpoint lags or the chain stands still.',
    fix: 'Use an endpoint that is in sync, and check this machine’s clock.',
  },
  CHAIN_HEAD_TOO_LOW: {
    why: 'The chain has fewer blocks than the confirmations that the configuration asks for.',
    fix: 'Wait for more blocks, or ask for fewer confirmations on a development chain.',
  },
  CONTRACT_MISMATCH: {
    why: 'There is a contract at the configured address, but it does not answer as a KmsAuth (DstackKms) does.',
    fix: 'Configure the address of the KmsAuth proxy.',
  },
} as const
