/** The webhook as a process: reads its settings, serves, stops on a signal. */
import { endpointHosts, initCheckpoint, openChain } from '../chain/boot-config.ts'
import { systemClock } from '../lib/clock.ts'
import { loadConfig, type ProcessOptions } from '../lib/config.ts'
import { createLog } from '../lib/log.ts'
import { authConfigPrefix, authConfigSchema } from './config.ts'
import { startAuth } from './service.ts'

/** Runs until the signal. @throws CONFIG_INVALID, FILE_UNREADABLE */
export async function runAuth(options: ProcessOptions): Promise<void> {
  const config = await readConfig(options)
  const [endpoint] = endpointHosts(config)
  const auth = await startAuth({
    chain: openChain(config, { clock: systemClock }),
    // dstack's answer has room for one
    ...(endpoint === undefined ? {} : { rpcUrl: endpoint }),
    outageStatus: config.outageStatus,
    acceptMissingTeeVariant: config.acceptMissingTeeVariant,
    requestsPerMinute: config.requestsPerMinute,
    limits: config,
    log: createLog({ service: 'auth', level: config.logLevel }),
    host: config.host,
    port: config.port,
  })
  const { signal } = options
  if (!signal.aborted) {
    await new Promise((stop) => signal.addEventListener('abort', stop, { once: true }))
  }
  await auth.stop()
}

/** Starts the webhook's memory of the last block seen. @throws CHAIN_MEMORY_EXISTS, CHAIN_* */
export async function runInitCheckpoint(options: Omit<ProcessOptions, 'signal'>): Promise<void> {
  await initCheckpoint(await readConfig(options), { clock: systemClock })
}

function readConfig({ configFile, env = process.env }: Omit<ProcessOptions, 'signal'>) {
  return loadConfig(authConfigSchema, { file: configFile, env, prefix: authConfigPrefix })
}
