/** Errors of the Ethereum light client: invalid messages of a beacon API, and states that stop the node. */
export const consensusErrors = {
  CONSENSUS_MESSAGE_INVALID: {
    why: 'A light-client message is not JSON or SSZ in the format of its fork.',
    fix: 'Do not trust this beacon API, or check that it serves the configured network.',
  },
  CONSENSUS_NETWORK_INVALID: {
    why: 'The description of a beacon network has a missing, unknown or contradictory value.',
    fix: 'Correct the named member; docs/light-client.md has an example.',
  },
  CONSENSUS_FORK_UNKNOWN: {
    why: 'This version of Assent does not know the fork of a message for this network.',
    fix: 'Update Assent, or correct the fork schedule of your custom network.',
  },
  CONSENSUS_ROOT_MISMATCH: {
    why: 'The header of a bootstrap has another root than the trusted block root.',
    fix: 'Ask another beacon API. If all differ, check the trusted block root and the network in the configuration.',
  },
  CONSENSUS_HEADER_TOO_OLD: {
    why: 'The trusted header is older than the weak subjectivity period. Validators that have left since could sign another chain at no cost.',
    fix: 'Get a recent finalized block root from several independent sources, configure it as the trusted block root, and begin the store again in an empty folder.',
  },
  CONSENSUS_PROOF_INVALID: {
    why: 'A Merkle branch of a message does not lead to the expected root.',
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
    fix: 'Check the clock of this host. If it is correct, do not trust this beacon API.',
  },
  CONSENSUS_PERIOD_MISMATCH: {
    why: 'A message is from a sync committee period whose committee this node does not know.',
    fix: 'Pass updates in the order of their periods, without a gap.',
  },
  CONSENSUS_NOT_NEWER: {
    why: 'A message contains nothing newer than the store.',
    fix: 'Do nothing: the store never goes back.',
  },
  CONSENSUS_COMMITTEE_CONFLICT: {
    why: 'Two signed headers of one period name different next sync committees.',
    fix: 'First find out which chain is correct. Validators may be signing two chains.',
  },
  CONSENSUS_ANSWER_STALE: {
    why: 'A beacon API shows headers that are more than an epoch older than those of another one.',
    fix: 'Repair or replace this beacon API. It decides nothing while another one is up to date.',
  },
  CONSENSUS_UNREACHABLE: {
    why: 'No beacon API returned a response that could be verified.',
    fix: 'The message has the answer of each beacon API. Repair or replace those that fail.',
  },
  CONSENSUS_STORE_MISSING: {
    why: 'The folder of the light client contains no store.',
    fix: 'Restore the folder. Only a new node creates a store from its trusted block root.',
  },
  CONSENSUS_STORE_EXISTS: {
    why: 'The folder already contains a store of the light client.',
    fix: 'Do nothing: the existing store is used.',
  },
  CONSENSUS_STORE_INVALID: {
    why: 'The store of the light client was changed, damaged, or written for another network or by another node.',
    fix: 'Treat this as an attack on the disk of this node until you know the cause. Then restore the folder.',
  },
  CONSENSUS_STORE_UNWRITABLE: {
    why: 'The store of the light client could not be written durably, so the new header is not used.',
    fix: 'Check the folder, its permissions and the free disk space.',
  },
} as const
