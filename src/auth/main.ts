/** The webhook as a process: reads its settings, serves, stops on a signal. */
import { openChain, rememberChain } from '../chain/boot-config.ts'
import { systemClock } from '../lib/clock.ts'
import { type Environment, loadConfig } from '../lib/config.ts'
import { createLog } from '../lib/log.ts'
import { authConfigPrefix, authConfigSchema } from './config.ts'
import { startAuth } from './service.ts'

export interface ProcessOptions {
  readonly configFile?: string | undefined
  readonly env?: Environment
  /** Stops the service. */
  readonly signal: AbortSignal
}

/** Runs until the signal. @throws CONFIG_INVALID, FILE_UNREADABLE */
export async function runAuth({
  configFile,
  env = process.env,
  signal,
}: ProcessOptions): Promise<void> {
  const source = { file: configFile, env, prefix: authConfigPrefix }
  const config = await loadConfig(authConfigSchema, source)
  const auth = await startAuth({
    chain: openChain(config, { clock: systemClock, observe: metrics.seeChain }),
    rpcUrls: endpointsOf(config),
    metrics,
    outageStatus: config.outageStatus,
    acceptMissingTeeVariant: config.acceptMissingTeeVariant,
    requestsPerMinute: config.requestsPerMinute,
    log: createLog({ service: 'auth', level: config.logLevel }),
    host: config.host,
    port: config.port,
  })
  if (!signal.aborted) {
    await new Promise((stop) => signal.addEventListener('abort', stop, { once: true }))
  }
  await auth.stop()
}
