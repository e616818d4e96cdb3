/** Errors of the relayer: intake, outbox, signer, RPC endpoints, renewal. */
export const relayerErrors = {
  RELAYER_UNAUTHORIZED: {
    why: 'The request has no bearer token, or no operator of this relayer has this token.',
    fix: 'Send `Authorization: Bearer …` with the token whose SHA-256 is in the configuration.',
  },
  RELAYER_RATE_LIMITED: {
    why: 'This operator sends more requests than the relayer accepts.',
    fix: 'Wait for the number of seconds in `Retry-After`, or ask for a higher limit.',
  },
  RELAYER_PURPOSE_UNSERVED: {
    why: 'No contract is configured on this relayer for quotes of this purpose.',
    fix: 'Configure the contract, or send the quote to a relayer that serves this purpose.',
  },
  RELAYER_QUOTE_REFUSED: {
    why: 'The quote failed verification, so the relayer spends no gas on it. The facts contain the reasons.',
    fix: 'Look up the code of each reason. Usually the platform needs an update, or the quote must be new.',
  },
  RELAYER_REFUSED: {
    why: 'A relayer answered a command of `assent` with an error. The message has its code.',
    fix: 'Look up that code in docs/errors.md. `assent` prints its next step if it knows the code.',
  },
  RELAYER_UNREACHABLE: {
    why: 'The relayer of a command does not answer, or says that it cannot answer now. Nothing is said about the quote.',
    fix: 'Check the URL and the network, and try again. The same quote again is the same submission.',
  },
  RELAYER_ANSWER_INVALID: {
    why: 'The answer of a relayer does not have the expected form: it is another service, or another version.',
    fix: 'Check the URL of the relayer, and the versions of both.',
  },
  RELAYER_QUOTE_UNKNOWN: {
    why: 'The relayer accepted no quote with this id.',
    fix: 'Use the id that `POST /v1/quotes` returned.',
  },
  RELAYER_NONCE_UNKNOWN: {
    why: 'The relayer has no heartbeat with this nonce: it was not handed over, waits for the next post, or is too old.',
    fix: 'Hand it over with `POST /v1/heartbeat`, and ask again after the next post.',
  },
  RELAYER_INTENT_UNKNOWN: {
    why: 'The relayer has no intent with this id.',
    fix: 'Use the id from a response or from the log of the relayer.',
  },
  RELAYER_KMS_NOT_ALLOWED: {
    why: 'The DAO has not approved the measurement or the device of this KMS node.',
    fix: 'Propose the approval of the measurement and the device in the facts. Then send the quote again.',
  },
  RELAYER_COLLATERAL_NEAR_EXPIRY: {
    why: 'A certificate or collateral document of the quote expires so soon that the registration would end shortly afterwards.',
    fix: 'Wait for new collateral. If it is late, check the PCCS endpoints.',
  },
  RELAYER_COLLATERAL_STALE: {
    why: 'A PCCS returned collateral that is expired or not valid yet. The relayer does not upload it.',
    fix: 'Refresh the cache of the PCCS or use another one. Check the clock of this host.',
  },
  RELAYER_AGENT_UNAVAILABLE: {
    why: 'The agent hook of a host does not answer, or not with status 200. This is an outage; the relayer tries the renewal again.',
    fix: 'Check the hook and its token, and that the host runs.',
  },
  RELAYER_AGENT_INVALID: {
    why: 'The response of an agent hook does not have the format of docs/relayer.md.',
    fix: 'Correct the hook.',
  },
  RELAYER_AGENT_OPERATOR: {
    why: 'The host behind an agent socket belongs to another operator, and the relayer cannot sign for that operator.',
    fix: "Use an agent hook that signs permits, or let the DAO make the relayer's account the operator of the host.",
  },
  RELAYER_AGENT_DEVICE: {
    why: 'The agent returned a quote of another host than the configured one.',
    fix: 'Correct `deviceId` or the address of the agent.',
  },
  RELAYER_PROOF_UNKNOWN: {
    why: 'The quote of this host proof is unknown, because the registry was called through another contract.',
    fix: 'Send the quote with the upkeep request. It is in the transaction that registered the host.',
  },
  RELAYER_VERDICT: {
    why: 'The on-chain verifier rejected a quote that was verified off-chain. Its collateral is older.',
    fix: 'Check the background job that uploads collateral. The verdict names the document that is missing or expired on-chain.',
  },
  RELAYER_DATABASE_UNREACHABLE: {
    why: 'The relayer cannot open its database. It accepts nothing without it.',
    fix: 'Check the data folder or the database URL, and the permissions.',
  },
  RELAYER_LEASE_LOST: {
    why: 'Another replica holds the lease of this account now. This replica wrote nothing.',
    fix: 'Do nothing: this replica waits until the lease is free. If the lease changes often, the database is slow or a clock jumps.',
  },
  RELAYER_CONFLICT: {
    why: 'A row changed between reading and writing. Nothing was written; the relayer reads it again at the next poll.',
    fix: 'Do nothing, unless this repeats: then two relayers use one account without a shared database.',
  },
  RELAYER_CHAIN_UNREACHABLE: {
    why: 'Fewer RPC endpoints answered than the RPC quorum requires.',
    fix: 'Check the endpoints, or add one. Intents wait and are not lost.',
  },
  RELAYER_CHAIN_DISAGREES: {
    why: 'The RPC endpoints contradict each other, so the relayer uses no answer.',
    fix: 'Find the endpoint that lags or returns false data (metric `assent_relayer_endpoint_disagreements_total`).',
  },
  RELAYER_CHAIN_WRONG: {
    why: 'An RPC endpoint serves another chain than the configured one.',
    fix: 'Correct the endpoint or `chainId`.',
  },
  RELAYER_CHAIN_CHANGED: {
    why: 'The database belongs to another chain with the same chain id: the genesis blocks differ.',
    fix: 'Use the database of this chain or an empty one. Nonces of one chain are not valid on another.',
  },
  RELAYER_NODE_REFUSED: {
    why: 'The node refused a transaction.',
    fix: 'The fact `kind` contains the reason. The outbox retries, replaces or cancels the transaction accordingly.',
  },
  RELAYER_REVERTED: {
    why: 'The contract refuses the call. The facts contain the decoded error.',
    fix: 'Look up the contract error. Often the DAO has not approved the host yet.',
  },
  RELAYER_NO_EFFECT: {
    why: 'The transaction is final, but the on-chain record did not change.',
    fix: 'Read the record. Another account may have registered a newer quote.',
  },
  RELAYER_EXPIRED: {
    why: 'A certificate or collateral document expired before the quote could be submitted.',
    fix: 'Create a new quote and send it.',
  },
  RELAYER_CANCELLED: {
    why: 'Fees were above the fee cap for too long, so the relayer used the nonce for an empty transaction.',
    fix: 'Do nothing: the relayer tries the intent again when fees are lower. Raise the fee cap if it is urgent.',
  },
  RELAYER_NONCE_TAKEN: {
    why: 'Another transaction of the same account used the nonce.',
    fix: 'Make sure that only the relayer sends from its account.',
  },
  RELAYER_KEY_INSECURE: {
    why: 'The configuration contains a private key. Process listings and memory dumps can show it.',
    fix: 'Use a keystore file or a remote signer; for tests set `allowInsecureKey`.',
  },
} as const
