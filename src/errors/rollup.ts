/** Errors of chains whose blocks are proven through another chain (L1). All of them are outages. */
export const rollupErrors = {
  ROLLUP_GAME_NONE: {
    why: 'In the final state of L1, no dispute game counts by the rules of `chainView.opStack`.',
    fix: 'The facts name the rule that each game breaks. If all are `unresolved` or `in-air-gap`, wait, or raise `minAgeSeconds`. After an upgrade of the L2, compare `gameType` and `gameLayout`. `blacklisted`, `retired` and `challenger-won` mean that somebody found a wrong claim.',
  },
  ROLLUP_STORAGE_UNEXPECTED: {
    why: 'A storage word of the dispute contracts on L1 is not the one that `chainView.opStack` requires: another factory, a pause, or an upgrade.',
    fix: 'Find out what changed on L1. After an upgrade, check the new contracts and change the settings by a vote.',
  },
  ROLLUP_CLAIM_UNPROVEN: {
    why: 'An L1 endpoint names another claim for a dispute game than the storage of the factory has.',
    fix: 'Do not trust this endpoint.',
  },
  ROLLUP_OUTPUT_MISMATCH: {
    why: 'An L2 endpoint shows another block, or another storage of the message passer, than the output root of the dispute game has.',
    fix: 'Do not trust this endpoint, or check that it serves the chain of the settings. If all endpoints differ, the claim of the game may be wrong.',
  },
} as const
