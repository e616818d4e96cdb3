/** The indexer of the dashboard: a given one over HTTP, or one of its own in this process. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Deployment } from '../chain/record/deployments.ts'
import { createApi } from '../indexer/api/routes.ts'
import { openDatabase } from '../indexer/database/database.ts'
import { openFollower, type Progress } from '../indexer/follow.ts'
import { createIndexerMetrics } from '../indexer/metrics.ts'
import { createChainReader } from '../indexer/read-chain.ts'
import { recordProgress, runFollower } from '../indexer/run.ts'
import { sourcesOf } from '../indexer/sources.ts'
import { get } from '../lib/http-get.ts'
import { createLog } from '../lib/log.ts'
import { createReader, type FinalityRule, identifyChain } from '../relayer/endpoints/quorum.ts'
import { connectRpc } from '../relayer/endpoints/rpc.ts'

/** Answers requests to the API of an indexer. */
export interface DashboardIndexer {
  readonly answer: (request: Request) => Promise<Response>
  stop(): Promise<void>
}

const timeoutMs = 20_000
const maxAnswerBytes = 8 * 1024 * 1024

/** An indexer that runs elsewhere. Its answers are passed on as they are: the page checks them. */
export function remoteIndexer(url: string): DashboardIndexer {
  const base = url.replace(/\/+$/, '')
  return {
    async answer(request) {
      const { pathname, search } = new URL(request.url)
      try {
        const { status, body } = await get(new URL(`${base}${pathname}${search}`), {
          signal: AbortSignal.timeout(timeoutMs),
          maxBytes: maxAnswerBytes,
        })
        return new Response(new Uint8Array(body), { status })
      } catch {
        return Response.json({ error: 'INDEXER_UNREACHABLE' }, { status: 502 })
      }
    },
    stop: async () => {},
  }
}

/** The chain that an indexer of this process follows. */
export interface LocalIndexerOptions {
  readonly rpcUrls: readonly string[]
  readonly chainId: number
  readonly deployment: Deployment
  /** Folder for the databases, one for each deployment; undefined: in memory. */
  readonly folder: string | undefined
  readonly finality: FinalityRule
  readonly pollMs: number
  readonly onProgress?: (progress: Progress) => void
}

/**
 * Runs an indexer in this process. It serves its API from the beginning; until it has caught up, its answers are of older blocks.
 *
 * @throws RELAYER_CHAIN_UNREACHABLE, INDEXER_DATABASE_*
 */
export async function runLocalIndexer(options: LocalIndexerOptions): Promise<DashboardIndexer> {
  const { rpcUrls, chainId, deployment, folder, finality, pollMs, onProgress } = options
  const metrics = createIndexerMetrics()
  const endpoints = { clients: rpcUrls.map((url) => connectRpc(url)), finality }
  const genesis = await identifyChain(endpoints, chainId)
  const database = await openDatabase(
    folder === undefined
      ? { memory: true }
      : { folder: await folderOf(folder, { chainId, genesis, deployment }) },
  )
  const stopping = new AbortController()
  const log = createLog({ service: 'indexer', level: 'silent' })
  const follower = await openFollower({
    db: database.db,
    reader: createChainReader(createReader(endpoints)),
    chainId,
    genesis,
    ...sourcesOf(deployment),
    span: 10_000,
    onProgress: (progress) => {
      recordProgress(metrics, progress)
      onProgress?.(progress)
    },
  })
  const following = runFollower({ follower, metrics, log, pollMs, signal: stopping.signal })
  const api = createApi({ db: database.db, chainId, check: following.check, metrics })
  return {
    answer: async (request) => api.fetch(request),
    async stop() {
      stopping.abort()
      await following.ended
      await database.close()
    },
  }
}

/** A folder for each chain and deployment, so that a development chain that begins again gets a new database. */
async function folderOf(
  folder: string,
  { chainId, genesis, deployment }: { chainId: number; genesis: string; deployment: Deployment },
): Promise<string> {
  const kmsAuth = deployment.contracts.kmsAuth?.address ?? '0x'
  const place = join(folder, `${chainId}-${genesis.slice(2, 10)}-${kmsAuth.slice(2, 10)}`)
  await mkdir(place, { recursive: true })
  return place
}
