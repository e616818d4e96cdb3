/** The Ethereum light client: what a beacon API may send that is refused, and what stops the node. */
export const consensusErrors = {
  CONSENSUS_MESSAGE_INVALID: {
    why: 'A light-client message is not JSON or SSZ of the shape that its fork defines.',
    fix: 'Do not trust this beacon API, or check that it serves the configured network.',
  },
  CONSENSUS_NETWORK_INVALID: {
    why: 'The description of a beacon network has a missing, unknown or contradictory value.',
    fix: 'Correct the named member; docs/light-client.md has an example.',
  },
  CONSENSUS_FORK_UNKNOWN: {
    why: 'A message is of a fork that this version of Assent does not know for this network.',
    fix: 'Update Assent, or correct the fork schedule of your own network.',
  },
  CONSENSUS_CHECKPOINT_MISMATCH: {
    why: 'A bootstrap is not of the trusted checkpoint: its header has another root.',
    fix: 'Ask another beacon API. If all differ, check the checkpoint and the network in the configuration.',
  },
  CONSENSUS_CHECKPOINT_STALE: {
    why: 'The trusted header is older than the weak subjectivity period. Validators that have left since could sign another chain at no cost.',
    fix: 'Configure a recent finalized block root from several independent sources as the trusted checkpoint, and start the store again from it.',
  },
  CONSENSUS_PROOF_INVALID: {
    why: 'A Merkle branch of a message does not lead to the root that it must lead to.',
    fix: 'Do not trust this beacon API; nothing was changed.',
  },
  CONSENSUS_SIGNATURE_INVALID: {
    why: 'The sync committee did not sign this header on this network and fork.',
    fix: 'Do not trust this beacon API. If all fail alike, the chain may have had a fork that this version does not know.',
  },
  CONSENSUS_SIGNERS_TOO_FEW: {
    why: 'Fewer members of the sync committee signed than the message needs.',
    fix: 'Wait for another update; the validators of the chain may be offline.',
  },
  CONSENSUS_SLOT_INVALID: {
    why: 'The slots of a message are out of order, or later than the current slot.',
    fix: 'Check this machine’s clock; if it is right, do not trust this beacon API.',
  },
  CONSENSUS_PERIOD_MISMATCH: {
    why: 'A message is signed in a sync committee period whose committee is not known here.',
    fix: 'Updates must be given in the order of their periods, without a gap.',
  },
  CONSENSUS_NOT_NEWER: {
    why: 'A message tells nothing that is newer than what is known.',
    fix: 'Nothing needs to be done; the store never goes back.',
  },
  CONSENSUS_COMMITTEE_CONFLICT: {
    why: 'Two signed headers of one period name different next sync committees.',
    fix: 'Find out which chain is the right one before anything else; validators may be signing two chains.',
  },
  CONSENSUS_UNREACHABLE: {
    why: 'No beacon API gave an answer that could be verified.',
    fix: 'The facts say what each of them did; repair or replace those that fail.',
  },
  CONSENSUS_STORE_MISSING: {
    why: 'There is no store of the light client in its folder.',
    fix: 'Restore the folder; only a new node begins a store, from its trusted checkpoint.',
  },
  CONSENSUS_STORE_EXISTS: {
    why: 'A store of the light client was to be begun where there is one.',
    fix: 'Nothing needs to be done; the existing store is used.',
  },
  CONSENSUS_STORE_INVALID: {
    why: 'The store of the light client was changed, damaged, or written for another network or by another node.',
    fix: 'Treat it as an attack on this node’s disk until it is explained; then restore the folder.',
  },
  CONSENSUS_STORE_UNWRITABLE: {
    why: 'The store of the light client could not be written durably, so the new header is not used.',
    fix: 'Check the folder, its permissions and the free space.',
  },
} as const
