/** The indexer process: reads the settings, opens database and endpoints, follows the chain and serves the API. */
import { parseDeployment, requireChain } from '../chain/record/deployments.ts'
import type { ProcessOptions } from '../lib/config.ts'
import { readJson } from '../lib/files.ts'
import { createLog } from '../lib/log.ts'
import { createReader, identifyChain } from '../relayer/endpoints/quorum.ts'
import { connectRpc } from '../relayer/endpoints/rpc.ts'
import { startApi } from './api/service.ts'
import { type IndexerConfig, readIndexerConfig } from './config.ts'
import { openDatabase } from './database/database.ts'
import { openFollower, type Progress } from './follow.ts'
import { createIndexerMetrics } from './metrics.ts'
import { createChainReader } from './read-chain.ts'
import { recordProgress, runFollower } from './run.ts'
import { sourcesOf } from './sources.ts'

/** Options of the process. */
export interface IndexerOptions extends ProcessOptions {
  /** Called after each step, to show progress. */
  readonly onProgress?: (progress: Progress) => void
}

/**
 * `assent indexer run`: follows the chain and serves until the signal is aborted.
 *
 * @throws CONFIG_INVALID, FILE_UNREADABLE, DEPLOYMENT_INVALID, INDEXER_DATABASE_UNREACHABLE, INDEXER_DATABASE_FOREIGN,
 *   RELAYER_CHAIN_WRONG, RELAYER_CHAIN_UNREACHABLE
 */
export async function runIndexer(options: IndexerOptions): Promise<void> {
  const config = await readIndexerConfig(options.env ?? process.env, options.configFile)
  const deployment = await readRecord(config)
  const log = createLog({ service: 'indexer', level: config.logLevel })
  const metrics = createIndexerMetrics()
  const clients = config.rpcUrls.map((url) => connectRpc(url))
  const endpoints = {
    clients,
    finality: config.finality,
    onDisagreement: (question: string) => metrics.disagreements.inc({ question }),
    onLate: (endpoint: number, isLate: boolean) =>
      log.warn({ endpoint }, isLate ? 'an endpoint is late' : 'an endpoint answers again'),
  }
  const genesis = await identifyChain(endpoints, config.chainId)
  const database = await openDatabase(
    config.databaseUrl === undefined ? { folder: config.dataFolder } : { url: config.databaseUrl },
  )
  try {
    const follower = await openFollower({
      db: database.db,
      reader: createChainReader(createReader(endpoints)),
      chainId: config.chainId,
      genesis,
      ...sourcesOf(deployment),
      span: config.eventSpan,
      onProgress: (progress) => {
        recordProgress(metrics, progress)
        options.onProgress?.(progress)
        log.debug(progress, 'blocks are indexed')
        if (progress.unwound > 0)
          log.warn({ blocks: progress.unwound }, 'the chain replaced blocks')
      },
    })
    const { signal } = options
    const pollMs = config.pollSeconds * 1_000
    const following = runFollower({ follower, metrics, log, pollMs, signal })
    const api = await startApi({
      db: database.db,
      chainId: config.chainId,
      check: following.check,
      metrics,
      log,
      limits: config,
      requestsPerMinute: config.requestsPerMinute,
      host: config.host,
      port: config.port,
    })
    await following.ended
    await api.stop()
  } finally {
    await database.close()
  }
}

async function readRecord({ deploymentFile, chainId }: IndexerConfig) {
  const record = parseDeployment(await readJson(deploymentFile))
  return requireChain(record, chainId, deploymentFile)
}
