/** A worker: one of several processes that serve a node. Its parent sends it everything that it needs. */
import { openChain } from '../../chain/boot/boot-config.ts'
import { systemClock } from '../../lib/clock.ts'
import { createLog, standardOutput } from '../../lib/log.ts'
import { clearOwnCache } from '../admin.ts'
import type { Credentials } from '../certificates/credentials.ts'
import { type KmsConfig, reservedNamesOf } from '../config.ts'
import { connectAgent, readRules } from '../dependencies.ts'
import { deriveCheckpointKey } from '../keys/derive.ts'
import { type KmsSecrets, wipeKeys } from '../keys/key-store.ts'
import type { BootstrapInfo } from '../onboarding/bootstrap.ts'
import { type RunningKms, startKms } from '../service.ts'
import { type Channel, openChannel, type Port } from './channel.ts'
import { type LogStatusMessage, type RemoteLog, remoteLog } from './log.ts'
import { remoteProofs } from './proofs.ts'

/** Settings, keys and credentials of a worker. Root keys are sent over the channel only, never in files, arguments or variables. */
export interface WorkerConfig {
  /** Parsed settings. */
  readonly config: KmsConfig
  /** Root keys. */
  readonly keys: KmsSecrets
  /** The same for all workers: a client that reconnects to another worker sees the same server key. */
  readonly credentials: Credentials
  /** For `GetMeta`; undefined on a replica. */
  readonly bootstrapInfo: BootstrapInfo | undefined
  /** Status of the log; undefined if the node has no log. */
  readonly log: LogStatusMessage | undefined
  /** Port that all workers share. */
  readonly port: number
}

/** Serves until the parent says `stop` or ends. */
export function runWorker(port: Port): void {
  let kms: RunningKms | undefined
  let log: RemoteLog | undefined
  let keys: KmsSecrets | undefined
  const channel = openChannel(port, {
    serve: async (work: WorkerConfig) => {
      keys = work.keys
      const { releaseLog } = work.config
      if (releaseLog !== 'insecure-off' && work.log !== undefined) {
        log = remoteLog(channel, releaseLog.folder, work.log)
      }
      kms = await serve(work, log, channel)
      return Number(new URL(kms.url).port)
    },
    logStatus: (message: LogStatusMessage) => log?.update(message),
    clear: clearOwnCache,
    metrics: () => kms?.metrics.registry.getMetricsAsJSON() ?? [],
    stop: async () => {
      await kms?.stop()
      if (keys) wipeKeys(keys)
    },
  })
  // without the process that writes the log, a worker cannot release anything
  port.on('disconnect', () => process.exit(0))
}

async function serve(work: WorkerConfig, log: RemoteLog | undefined, channel: Channel) {
  const { config, keys, credentials, bootstrapInfo, port } = work
  const { releaseLog } = config
  return startKms({
    ...config,
    reservedNames: reservedNamesOf(config),
    keys,
    credentials,
    port,
    reusePort: true,
    chain: openChain(config, {
      clock: systemClock,
      checkpointKey: deriveCheckpointKey(keys),
      prove: remoteProofs(channel),
    }),
    rules: await readRules(config),
    source: connectAgent(config),
    releaseLog: log ?? 'insecure-off',
    logEntries: releaseLog === 'insecure-off' ? 'private' : releaseLog.entries,
    ...(bootstrapInfo ? { bootstrapInfo } : {}),
    metricsText: () => channel.ask<string>('metricsText'),
    log: createLog({ service: 'kms', level: config.logLevel, destination: standardOutput() }),
    limits: config,
  })
}
