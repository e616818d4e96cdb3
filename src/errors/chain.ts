/**
 * Errors of RPC endpoints, contracts, transactions, deployments and governance. An outage is never reported as a
 * denial.
 */
export const chainErrors = {
  CHAIN_UNREACHABLE: {
    why: 'The RPC endpoint did not answer, answered too late, or does not answer like an Ethereum node.',
    fix: 'Check the URL of the endpoint and that it runs. Nothing was decided.',
  },
  CHAIN_ID_WRONG: {
    why: 'The RPC endpoint serves another chain than the configured one.',
    fix: 'Correct the endpoint or the chain id.',
  },
  CONTRACT_MISSING: {
    why: 'There is no contract at an address that must have one.',
    fix: 'Check the address, and that the endpoint serves the chain of the deployment.',
  },
  CALL_REVERTED: {
    why: 'A contract refused a call. Nothing was changed.',
    fix: 'The facts contain the name and the arguments of the contract error.',
  },
  TRANSACTION_TOO_LARGE: {
    why: 'A call needs more gas than one transaction may use (16,777,216, EIP-7825).',
    fix: 'Split the call: use fewer approvals or calls at a time. Tasks that propose split a proposal of several calls automatically.',
  },
  TRANSACTION_REVERTED: {
    why: 'A transaction was included in a block and failed. It cost its fee and changed nothing else.',
    fix: 'The state changed between simulation and inclusion. Read the state and try again.',
  },
  TRANSACTION_REPLACED: {
    why: 'The sender cancelled a pending transaction, or sent another one with its nonce. The call was not made.',
    fix: 'Look at the transaction `by` of the facts. Make the call again if it is still wanted.',
  },
  DEPLOYMENT_INVALID: {
    why: 'The file is not a deployment record, is for another chain, or does not match the chain.',
    fix: 'Use the file that the deploy script wrote for this chain, or deploy again.',
  },
  CHAIN_TOO_OLD: {
    why: 'The chain does not support an opcode that the contracts use: it is older than the Cancun fork.',
    fix: 'Use a chain with the Cancun fork or later. If only the P-256 precompile is missing, deploy with `"p256": "solidity"`.',
  },
  STORAGE_MOVED: {
    why: 'The storage layout of the new implementation is not compatible with the current one.',
    fix: 'Only append variables, or use the space of a storage gap. The facts list the variables that moved.',
  },
  CHAIN_TIMEOUT: {
    why: 'An RPC endpoint did not answer in time.',
    fix: 'Use a faster endpoint, or increase the timeout in the configuration.',
  },
  CHAIN_RATE_LIMITED: {
    why: 'An RPC endpoint refused a request because it gets too many (HTTP 429, or JSON-RPC error -32005).',
    fix: 'Use an endpoint that permits more requests per second. Nothing was decided.',
  },
  CHAIN_NODE_OVERLOADED: {
    why: 'This node could not read the chain in time: too many of its own requests to an RPC endpoint wait, or `cacheMegabytes` is too small. Nothing was decided, and no endpoint is to blame.',
    fix: 'Try again. If it continues, look for a host that boots many different apps, use faster endpoints, or increase `cacheMegabytes`.',
  },
  CHAIN_ANSWER_INVALID: {
    why: 'The endpoint returned data that is not a valid result of the call.',
    fix: 'Do not trust this endpoint; use another one.',
  },
  CHAIN_STALE: {
    why: 'The newest accepted block is older than the configured limit. The endpoint lags, or the chain produces no blocks.',
    fix: 'Use an endpoint that is in sync, and check the clock of this host.',
  },
  CHAIN_HEAD_TOO_LOW: {
    why: 'The chain has fewer blocks than the configured number of confirmations.',
    fix: 'Wait for more blocks, or configure fewer confirmations on a development chain.',
  },
  CONTRACT_MISMATCH: {
    why: 'The contract at the configured address does not answer like a KmsAuth (DstackKms) contract.',
    fix: 'Configure the address of the KmsAuth proxy.',
  },
  PROPOSAL_UNKNOWN: {
    why: 'The governor does not know a proposal with this id.',
    fix: 'Compare the id with the output of the task that created the proposal. Check that governor and network are the same.',
  },
  PROPOSAL_STATE_WRONG: {
    why: 'The state of the proposal does not allow this step. Votes need an active proposal, queueing a succeeded one, execution a queued one after its delay.',
    fix: 'The facts contain the state and the times. Wait, or find out why the proposal was defeated or cancelled.',
  },
  PROPOSAL_WOULD_FAIL: {
    why: 'In a simulation as the owner, the contract refused a call. The proposal would fail after the vote.',
    fix: "The facts contain the contract's reason. If an earlier decision will make the call possible, pass --skip-simulation.",
  },
  SIMULATION_TOO_LARGE: {
    why: 'A simulation on a local copy of the state needed more requests, bytes or time than its limits allow.',
    fix: 'Use a faster endpoint, or simulate fewer proposals at a time. Nothing is said about the proposal.',
  },
  COMPILER_MISSING: {
    why: 'The Solidity compiler, the npm package solc, is not installed.',
    fix: 'Run npm install with solc and the version that the command prints, or leave out --compile.',
  },
  VOTES_TOO_FEW: {
    why: 'The account has fewer votes than required. Tokens count only after they are delegated, from the next second on.',
    fix: 'Delegate the tokens first (to yourself if you vote yourself), then propose. Votes delegated later do not count for an existing proposal.',
  },
  SIGNATURE_INVALID: {
    why: 'A signed vote is not from the named voter, is for another proposal, governor or chain, or was used before.',
    fix: 'Ask the voter to sign again on the right network.',
  },
  AUTHORITY_MISSING: {
    why: 'The account must not make this call, and the DAO that you passed does not own the contract.',
    fix: 'The facts name the owner. Use its account, use its governor (--governor), or print the calls for it (--via safe, timelock or calldata).',
  },
  SIGNER_UNCLEAR: {
    why: 'The network has no account, or it has several and you chose none. Assent does not guess the signer.',
    fix: 'Pass --from with one of the accounts listed in the facts.',
  },
  WALLET_TRANSACTION_DIFFERENT: {
    why: 'The wallet sent a transaction, but not the one that the command prepared. A smart account wraps calls, and a wallet can be wrong or attacked.',
    fix: 'The facts have both values. Look at the transaction in a block explorer before you do anything else. With a smart account, export the calls: --via safe or calldata.',
  },
  WALLET_TRANSACTION_UNKNOWN: {
    why: 'The wallet returned a hash, and the endpoint of the command did not know a transaction with this hash in time. It can still be included.',
    fix: 'Look for the hash in a block explorer. Compare the chain and the endpoint of the wallet with those of the profile. Run the command again only if the transaction will not be included.',
  },
  FUNDS_INSUFFICIENT: {
    why: 'The account has not enough of the native currency to pay for the value and the gas of the transaction.',
    fix: 'Send native currency to the account in the facts (amounts in wei), or use another account.',
  },
  CONFIRMATION_MISSING: {
    why: 'The change was confirmed neither on the terminal nor by --yes. Nothing was done.',
    fix: 'Read the printed effects, then run the same command again with --yes.',
  },
  QUESTION_INTERRUPTED: {
    why: 'Ctrl-C was pressed while a command waited for an answer. Nothing was done. The exit code is 130.',
    fix: 'Run the same command again if you want to send it after all.',
  },
  EVIDENCE_INVALID: {
    why: 'An evidence document lacks source, commit or recipe, has an unknown field, or its manifest does not have the approved hash.',
    fix: 'Write the document as docs/governance.md shows. Pass the manifest byte for byte as it is measured.',
  },
  DRAFT_INVALID: {
    why: 'The file is not a draft, or the draft is for another chain.',
    fix: 'Let the tasks write the draft (--draft). Use one file for each chain.',
  },
  CODE_MISMATCH: {
    why: 'The code at a deployed address differs from the code that these sources and the recorded arguments give.',
    fix: 'Check out the commit in the deployment record and compile again. If the code still differs, do not use this deployment.',
  },
  CHAIN_NO_AGREEMENT: {
    why: 'Fewer endpoints than the RPC quorum returned the same block.',
    fix: 'The facts describe the result of each endpoint. Repair or replace those that lag, fail or return false data.',
  },
  CHAIN_FORKED: {
    why: 'The RPC endpoints return a chain that contradicts itself or a block that was final for this node.',
    fix: 'First find out which chain is correct. Somebody may be deceiving this node.',
  },
  CHAIN_BEHIND_MEMORY: {
    why: 'The RPC endpoints return an older chain than the trusted checkpoint of this node.',
    fix: 'Wait until the endpoints are in sync. If they never are, they follow a fork or withhold blocks.',
  },
  CHAIN_FROM_FUTURE: {
    why: 'The timestamp of a block is later than the clock of this host.',
    fix: 'Set the clock of this host. If the clock is correct, the endpoints return forged blocks.',
  },
  CHAIN_CLOCK_AHEAD: {
    why: 'The clock of this host is later than it can be: the newest final block and the time since the last heartbeat prove it.',
    fix: 'Set the clock of this host.',
  },
  CHAIN_VIEW_AGE_UNKNOWN: {
    why: 'The node cannot tell how old its view of the chain is: since its start, no final block covered a nonce of its own.',
    fix: 'Wait: after a start this takes a window of the relayer and the finality of the chain. If it stays, check the relayers in `chainView.heartbeat` and their accounts. Nothing was decided.',
  },
  CHAIN_VIEW_TOO_OLD: {
    why: 'No final block covered a recent nonce of this node, so its view of the chain may be old. The relayers do not post, or the node sees no new blocks.',
    fix: 'Check that a relayer in `chainView.heartbeat` posts, and that the endpoints serve new final blocks. Nothing was decided.',
  },
  CHAIN_HEADER_INVALID: {
    why: 'The header of a block does not have the hash of the block, or lacks fields.',
    fix: 'Do not trust this endpoint.',
  },
  CHAIN_HEADER_UNKNOWN: {
    why: 'The hash of a block covers header fields that this version does not know. The chain had a fork, or is of another type.',
    fix: 'Update Assent, or list the fields in `chainView.headerFields` in header order. If only one endpoint returns such headers, do not trust it.',
  },
  CHAIN_PROOF_INVALID: {
    why: 'A storage proof does not lead to the state root of the block, or contradicts the values in the same response.',
    fix: 'Do not trust this endpoint. If it is your own, use one that keeps the state of final blocks.',
  },
  CHAIN_PROOF_REFUSED: {
    why: 'The node returns an error for `eth_getProof` at the final block. It serves no proofs, or only for its newest blocks.',
    fix: "Configure the node to keep proofs up to final blocks (reth: `--rpc.eth-proof-window`, erigon: `--prune.include-commitment-history`), or use another endpoint. The message contains the node's own error.",
  },
  CHAIN_CONTRACT_UNKNOWN: {
    why: 'The code at an address is not in `pinnedCode`, so its storage is not read.',
    fix: 'If the contract was upgraded, check the new code and add its hash to `pinnedCode`. If it was not, another contract was put there.',
  },
  CHAIN_CHECKPOINT_MISSING: {
    why: 'This node has no checkpoint, so an endpoint could show it an older chain.',
    fix: 'Restore the checkpoint folder. If that is impossible, check the endpoints and then run `init-checkpoint`.',
  },
  CHAIN_CHECKPOINT_EXISTS: {
    why: 'The checkpoint folder already contains a checkpoint.',
    fix: 'Do nothing: the service uses the existing checkpoint.',
  },
  CHAIN_CHECKPOINT_INVALID: {
    why: 'The stored checkpoint was changed or damaged, or it is for another chain or contract.',
    fix: 'Treat this as an attack on the disk of this node until you know the cause. Then restore the folder.',
  },
  CHAIN_CHECKPOINT_UNWRITABLE: {
    why: 'The checkpoint could not be stored durably, so the node does not use the new block.',
    fix: 'Check the folder, its permissions and the free disk space.',
  },
  HEARTBEAT_TOKEN_INVALID: {
    why: 'The token for a relayer of the heartbeat is missing in its file, or the relayer does not know it. No nonce of this node is posted there.',
    fix: 'Write a token of one of the `operators` of that relayer into the file of `tokenFile`. In a CVM this is the user config, which the VMM gives to the CVM at its start.',
  },
} as const
