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
  PROPOSAL_UNKNOWN: {
    why: 'The governor knows no proposal of this id.',
    fix: 'Compare the id with what the proposal’s creation printed, and the governor and network with those it was made on.',
  },
  PROPOSAL_STATE_WRONG: {
    why: 'A proposal is not in the state in which this can be done: votes count while it is active, it is queued once it has succeeded, executed once its delay is over.',
    fix: 'The facts name the state found and the times; wait, or see why it was defeated or cancelled.',
  },
  PROPOSAL_WOULD_FAIL: {
    why: 'Carried out now, in the name of the owner, a call would be refused by its contract; a proposal of it would be voted on for nothing.',
    fix: 'The contract’s reason is in the facts. If something decided before will make the call possible, say --unchecked.',
  },
  VOTES_TOO_FEW: {
    why: 'An account has fewer votes than this needs; tokens count only once they are delegated, and since the second before.',
    fix: 'Delegate first (to yourself, if you vote yourself), then propose; votes on a running proposal cannot be gained any more.',
  },
  SIGNATURE_INVALID: {
    why: 'A signed vote was not made by the voter it names, or for another proposal, governor or chain, or was used before.',
    fix: 'Let the voter sign again, on the right network.',
  },
  AUTHORITY_MISSING: {
    why: 'The account may not do this, and the owner of the contract is not the DAO that was given either.',
    fix: 'The facts name the owner: use its account, its governor (--governor), or print the calls for it (--via safe, timelock or calldata).',
  },
  SIGNER_UNCLEAR: {
    why: 'The network offers no account, or several and none was chosen; Assent does not guess who signs.',
    fix: 'Say --from with one of the accounts that the facts list.',
  },
  CONFIRMATION_MISSING: {
    why: 'A change was neither confirmed on a terminal nor by --yes; nothing was done.',
    fix: 'Read what would be done, then run the same command again with --yes.',
  },
  EVIDENCE_INVALID: {
    why: 'An evidence document lacks source, commit or recipe, has an unknown field, or its manifest does not hash to what it is evidence for.',
    fix: 'Write the document as docs/governance.md shows; give the manifest byte for byte as it is measured.',
  },
  DRAFT_INVALID: {
    why: 'A file of drafted calls is no such file, or is for another chain.',
    fix: 'Let the tasks write the file (--draft), one file for each chain.',
  },
  CODE_MISMATCH: {
    why: 'The code at a deployed address is not what these sources compile to with the recorded arguments.',
    fix: 'Check out the commit that the record names and compile again; if it still differs, do not use this deployment.',
  },
} as const
