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
  TRANSACTION_TOO_LARGE: {
    why: 'A call needs more gas than one transaction may use (16,777,216, EIP-7825).',
    fix: 'Split it: fewer approvals or calls at a time. Tasks that propose split by themselves where a proposal has several calls.',
  },
  TRANSACTION_REVERTED: {
    why: 'A transaction was included and failed; only its fee was spent.',
    fix: 'Something changed between simulation and inclusion: look at the state and try again.',
  },
  DEPLOYMENT_INVALID: {
    why: 'A deployment record is no such record, is of another chain, or is not what the chain shows.',
    fix: 'Use the file that the deploy script wrote for this chain, or deploy again.',
  },
  CHAIN_TOO_OLD: {
    why: 'The chain lacks an opcode that the contracts are made of: it is older than Cancun.',
    fix: 'Use a chain with the opcodes of Cancun or later. The P-256 precompile may be missing: deploy with `"p256": "solidity"`.',
  },
  STORAGE_MOVED: {
    why: 'New code for a proxy keeps something elsewhere, or as something else, than the code before it: it would read what is there wrongly.',
    fix: 'Append variables, and let them take the place of a gap; the facts name what moved.',
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
  DEPLOYMENT_WRONG: {
    why: 'A deployment is not as it must be: somebody holds what he must not, or other code or another root is there.',
    fix: 'Do not rely on it; the findings say what is wrong. If the DAO changed how it decides, say with --rules what is intended now; if it replaced code, run assent execute with the proposal again, or assent upgrade: they tell the record what is in force.',
  },
  CODE_MISMATCH: {
    why: 'The code at a deployed address is not what these sources compile to with the recorded arguments.',
    fix: 'Check out the commit that the record names and compile again; if it still differs, do not use this deployment.',
  },
  CHAIN_NO_AGREEMENT: {
    why: 'Too few of the configured endpoints vouch for one and the same block.',
    fix: 'The facts say what each endpoint did; repair or replace those that lag, fail or lie.',
  },
  CHAIN_FORKED: {
    why: 'The endpoints show a chain that contradicts itself or what this node has seen as final before.',
    fix: 'Find out which chain is the right one before anything else; someone may be deceiving this node.',
  },
  CHAIN_BEHIND_MEMORY: {
    why: 'The endpoints show an older chain than this node has seen before.',
    fix: 'Wait until they are in sync; if they never are, they are on a fork or withhold blocks.',
  },
  CHAIN_FROM_FUTURE: {
    why: 'A block’s time is ahead of this machine’s clock.',
    fix: 'Set the machine’s clock; if it is right, the endpoints invent blocks.',
  },
  CHAIN_HEADER_INVALID: {
    why: 'A block’s hash does not follow from the header that came with it, or lacks fields.',
    fix: 'Do not trust this endpoint.',
  },
  CHAIN_HEADER_UNKNOWN: {
    why: 'A block’s hash covers header fields that this version does not know: the chain had a fork, or is of another kind.',
    fix: 'Update Assent, or name the fields in `chainView.headerFields` in the order of the header; if only one endpoint shows them, do not trust it.',
  },
  CHAIN_PROOF_INVALID: {
    why: 'A storage proof does not lead to the state root of the block, or contradicts what was claimed beside it.',
    fix: 'Do not trust this endpoint, or use one that keeps the state of the blocks that are asked for.',
  },
  CHAIN_PROOF_REFUSED: {
    why: 'A node answers `eth_getProof` for a block that counts with an error: it does not serve proofs, or only of its newest blocks.',
    fix: 'Let the node keep proofs up to final blocks (reth: `--rpc.eth-proof-window`, erigon: `--prune.include-commitment-history`), or name endpoints that do; the words are the node’s own.',
  },
  CHAIN_CONTRACT_UNKNOWN: {
    why: 'The code at an address is none of those pinned in the configuration, so that its storage cannot be read.',
    fix: 'If the contract was upgraded, check the new code and pin its hash; else somebody replaced it.',
  },
  CHAIN_MEMORY_MISSING: {
    why: 'This node no longer knows which block it had seen, so that an older chain could be shown to it.',
    fix: 'Restore the memory folder; only if that is impossible, run the remember-chain command after checking the endpoints.',
  },
  CHAIN_MEMORY_EXISTS: {
    why: 'A memory of the chain was to be started where there is one.',
    fix: 'Nothing needs to be done; the existing memory is used.',
  },
  CHAIN_MEMORY_INVALID: {
    why: 'The memory of the last block seen was changed, damaged, or written for another chain or contract.',
    fix: 'Treat it as an attack on this node’s disk until it is explained; then restore the folder.',
  },
  CHAIN_MEMORY_UNWRITABLE: {
    why: 'The block seen could not be stored durably, so it is not used.',
    fix: 'Check the folder, its permissions and the free space.',
  },
} as const
