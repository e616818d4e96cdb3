/** Errors of the indexer: its database and the blocks that it follows. */
export const indexerErrors = {
  INDEXER_DATABASE_UNREACHABLE: {
    why: 'The database of the indexer does not open: another process uses the folder, or the server does not answer.',
    fix: 'Stop the other process, or check the folder or the URL. A folder belongs to one process.',
  },
  INDEXER_DATABASE_FOREIGN: {
    why: 'The database has the state of another chain or deployment.',
    fix: 'Use another database or folder for this deployment. The indexer can rebuild it from the chain.',
  },
  INDEXER_REORG_TOO_DEEP: {
    why: 'The chain replaced a block that was final. The indexer can only unwind blocks that were not final.',
    fix: 'Check the endpoints and the setting `finality`. If the chain is right, delete the database: it is rebuilt from the chain.',
  },
  INDEXER_POSITION_MOVED: {
    why: 'Another replica with the same database indexed these blocks first. Nothing was written twice.',
    fix: 'Nothing to do: the indexer continues after the blocks of the other replica.',
  },
  INDEXER_CHAIN_MOVED: {
    why: 'The chain replaced a block while the indexer read it. Nothing was written.',
    fix: 'Nothing to do: the indexer reads the new block.',
  },
} as const
