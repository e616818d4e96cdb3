/** Bringing a quote to the chain: intake, outbox, signer, endpoints. */
export const relayerErrors = {
  RELAYER_UNAUTHORIZED: {
    why: 'The request has no bearer token or one that no operator of this relayer holds.',
    fix: 'Send `Authorization: Bearer …` with the token whose SHA-256 is in the configuration.',
  },
  RELAYER_RATE_LIMITED: {
    why: 'This operator sends more requests than the relayer accepts.',
    fix: 'Wait for the seconds in `Retry-After`, or ask for a higher limit.',
  },
  RELAYER_PURPOSE_UNSERVED: {
    why: 'This relayer has no contract configured that takes quotes for this purpose.',
    fix: 'Configure the contract, or send the quote to a relayer that serves the purpose.',
  },
  RELAYER_QUOTE_REFUSED: {
    why: 'The quote did not pass verification, so no gas is spent on it. The reasons are in the facts.',
    fix: 'Look up the code of each reason; usually the platform needs an update or a fresh quote.',
  },
  RELAYER_QUOTE_UNKNOWN: {
    why: 'No quote was accepted under this id.',
    fix: 'Use the id that `POST /v1/quotes` returned.',
  },
  RELAYER_INTENT_UNKNOWN: {
    why: 'No intent was ever made under this id.',
    fix: 'Use the id from the answer of the relayer or from its log.',
  },
  RELAYER_KMS_NOT_ALLOWED: {
    why: 'The DAO has not approved the measurement or the device of this KMS node.',
    fix: 'Propose the approval of what is in the facts; then send the quote again.',
  },
  RELAYER_COLLATERAL_NEAR_EXPIRY: {
    why: 'What the quote relies on ends so soon that the registration would hardly outlive it.',
    fix: 'Wait for fresh collateral; check the PCCS endpoints if it is late.',
  },
  RELAYER_COLLATERAL_STALE: {
    why: 'A collateral service gives documents that have ended or that begin later; they are not brought.',
    fix: 'Let the PCCS refresh its cache, or ask another one; check the clock of this machine.',
  },
  RELAYER_AGENT_UNAVAILABLE: {
    why: 'The hook of a machine does not answer, or not with 200: an outage, the renewal is tried again.',
    fix: 'Check the hook, its token and that the machine runs.',
  },
  RELAYER_AGENT_INVALID: {
    why: 'The hook of a machine answers in another form than docs/relayer.md describes.',
    fix: 'Correct the hook.',
  },
  RELAYER_AGENT_OPERATOR: {
    why: 'A machine behind an agent socket belongs to another operator, whose signature nobody here can give.',
    fix: 'Use a hook that signs permits, or let the DAO make the account of the relayer its operator.',
  },
  RELAYER_AGENT_DEVICE: {
    why: 'The agent gave a quote of another machine than the one it is configured for.',
    fix: 'Correct `deviceId` or the address of the agent.',
  },
  RELAYER_PROOF_UNKNOWN: {
    why: 'The bytes with which this machine was proven are not known: the registry was not called directly.',
    fix: 'Send the quote with the chore, from the transaction that brought it.',
  },
  RELAYER_VERDICT: {
    why: 'The verifier on chain does not believe a quote that verifies off-chain: its collateral is behind.',
    fix: 'Look at the keeper of collateral: what the verdict names is missing or has ended on chain.',
  },
  RELAYER_DATABASE_UNREACHABLE: {
    why: 'The database cannot be opened. Without it nothing may be promised.',
    fix: 'Check the data folder or the database URL and its permissions.',
  },
  RELAYER_LEASE_LOST: {
    why: 'Another replica took over this account. This one wrote nothing.',
    fix: 'Nothing: it waits until the lease is free. Frequent changes mean a slow database or clock jumps.',
  },
  RELAYER_CONFLICT: {
    why: 'A row changed between reading and writing. Nothing was written; the next poll reads anew.',
    fix: 'Nothing, unless it repeats: then two relayers work on one account without a shared database.',
  },
  RELAYER_CHAIN_UNREACHABLE: {
    why: 'Fewer endpoints answered than must agree.',
    fix: 'Check the endpoints; add another one. Intents wait and are not lost.',
  },
  RELAYER_CHAIN_DISAGREES: {
    why: 'The endpoints contradict each other, so none of them is believed.',
    fix: 'Find the endpoint that lags or lies (metric `assent_relayer_endpoint_disagreements_total`).',
  },
  RELAYER_CHAIN_WRONG: {
    why: 'An endpoint serves another chain than the configured one.',
    fix: 'Correct the endpoint or `chainId`.',
  },
  RELAYER_CHAIN_CHANGED: {
    why: 'The database belongs to another chain with the same id: the genesis blocks differ.',
    fix: 'Use the database of this chain, or an empty one. Nonces of one chain mean nothing on another.',
  },
  RELAYER_NODE_REFUSED: {
    why: 'The node refused a transaction.',
    fix: 'The fact `kind` says why. The outbox retries, replaces or cancels as the kind demands.',
  },
  RELAYER_REVERTED: {
    why: 'The contract refuses the call. The decoded error is in the facts.',
    fix: 'Look up the error of the contract; often the DAO has not admitted the device yet.',
  },
  RELAYER_NO_EFFECT: {
    why: 'The transaction was final, but the record on chain did not move forward.',
    fix: 'Read the record: a newer quote may have arrived by another way.',
  },
  RELAYER_EXPIRED: {
    why: 'What the quote relies on expired before the quote could be brought to the chain.',
    fix: 'Take a fresh quote and send it.',
  },
  RELAYER_CANCELLED: {
    why: 'Fees stayed above the cap for so long that the nonce was given to an empty transaction.',
    fix: 'Nothing: the intent is tried again when fees fall. Raise the cap if it is urgent.',
  },
  RELAYER_NONCE_TAKEN: {
    why: 'Another transaction of the same account used the nonce.',
    fix: 'Let nobody else send from the account of the relayer.',
  },
  RELAYER_KEYSTORE_INVALID: {
    why: 'The keystore is not a Web3 Secret Storage file of version 3 with a supported cipher.',
    fix: 'Create one with any Ethereum tool (scrypt or PBKDF2, AES-128-CTR).',
  },
  RELAYER_KEYSTORE_PASSWORD: {
    why: 'The password does not open the keystore.',
    fix: 'Check the password file; one trailing line break is ignored, nothing else.',
  },
  RELAYER_KEY_INSECURE: {
    why: 'A private key stands in the configuration, where it leaks into listings and dumps.',
    fix: 'Use a keystore file or a remote signer; for tests set `allowInsecureKey`.',
  },
  RELAYER_SIGNER_UNREACHABLE: {
    why: 'The remote signer does not answer, or not as web3signer does.',
    fix: 'Check its address and that it runs in `eth1` mode. Intents wait and are not lost.',
  },
  RELAYER_SIGNER_WRONG: {
    why: 'The signer holds another key, or returned a signature that is not of the expected account.',
    fix: 'Check the configured account against the keys of the signer.',
  },
} as const
