/** Routes for operators except quotes: collateral, hosts, the next TCB recovery, upkeep, heartbeats. */

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Database } from '../database/database.ts'
import type { QuorumReader } from '../endpoints/quorum.ts'
import {
  acceptNonce,
  type HeartbeatSettings,
  parseNonceRequest,
  proveNonce,
} from '../heartbeat/nonces.ts'
import { requireIntent } from '../outbox/intents.ts'
import { listCollateral } from '../upkeep/collateral.ts'
import {
  listUpkeep,
  parseUpkeepTask,
  requestUpkeep,
  requireGovernor,
  type UpkeepOptions,
} from '../upkeep/dao-upkeep.ts'
import type { JobOptions } from '../upkeep/jobs.ts'
import { listStatusLosses } from '../upkeep/recovery.ts'
import { listHosts } from '../upkeep/renewal.ts'
import type { Api } from './intake.ts'

/** Data that the routes read. */
export interface RouteOptions {
  readonly db: Database
  readonly chainId: number
  /** The relayer's account, which posts heartbeats. */
  readonly account: Hex
  readonly reader: QuorumReader
  readonly clock: Clock
  /** Undefined: only submitted quotes are served. */
  readonly jobs: JobOptions | undefined
  /** Wakes the outbox, so that a new intent does not wait for the next poll. */
  readonly onAccepted: () => void
}

/** Adds the routes below `/v1`. */
export function addRoutes(app: Api, options: RouteOptions): void {
  const { db, chainId, clock } = options
  app.get('/v1/collateral', async (c) => c.json({ parts: await listCollateral(db, chainId) }))

  app.get('/v1/hosts', async (c) => {
    const registry = options.jobs?.registry
    const known = registry === undefined ? [] : await listHosts({ db, chainId, registry })
    return c.json({ hosts: known })
  })

  app.get('/v1/recovery', async (c) => {
    const registry = options.jobs?.registry
    const demoted = registry === undefined ? [] : await listStatusLosses({ ...options, registry })
    return c.json({ demoted })
  })

  app.get('/v1/upkeep', async (c) => c.json({ due: await listUpkeep(upkeepOptions(options)) }))

  app.post('/v1/upkeep', async (c) => {
    const governor = requireGovernor(options.jobs?.upkeep?.governor)
    const task = parseUpkeepTask(readJson(await c.req.text()))
    const { id, isNew } = await requestUpkeep({ db, chainId, clock, governor }, task)
    options.onAccepted()
    return c.json(await requireIntent(db, id), isNew ? 202 : 200)
  })

  addHeartbeatRoutes(app, options)
}

/** Nonces of KMS nodes, and what leads from them to the posted values. */
function addHeartbeatRoutes(app: Api, { db, chainId, account, clock, jobs }: RouteOptions): void {
  const key = { chainId, account }
  app.post('/v1/heartbeat', async (c) => {
    const settings = requireHeartbeat(jobs?.heartbeat)
    const nonce = parseNonceRequest(readJson(await c.req.text()))
    const offered = { nonce, operator: c.get('operator').name, at: clock() }
    const isNew = await acceptNonce(db, key, offered, settings)
    return c.json({ nonce, everySeconds: settings.everySeconds }, isNew ? 202 : 200)
  })

  app.get('/v1/heartbeat/:nonce', async (c) => {
    requireHeartbeat(jobs?.heartbeat)
    return c.json(await proveNonce(db, key, c.req.param('nonce')))
  })
}

/** @throws RELAYER_PURPOSE_UNSERVED */
function requireHeartbeat(settings: HeartbeatSettings | undefined): HeartbeatSettings {
  if (settings !== undefined) return settings
  throw new AssentError('RELAYER_PURPOSE_UNSERVED', 'This relayer posts no heartbeats.', {
    facts: { purpose: 'heartbeat' },
  })
}

function upkeepOptions(options: RouteOptions): UpkeepOptions {
  const { jobs } = options
  const governor = requireGovernor(jobs?.upkeep?.governor)
  return {
    ...options,
    governor,
    registries: jobs?.upkeep?.registries ?? [],
    fromBlock: jobs?.fromBlock ?? 0,
    span: jobs?.span ?? 1,
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new AssentError('INPUT_INVALID', 'The request is not JSON.')
  }
}
