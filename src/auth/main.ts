/** Commands of the webhook process: run, create the checkpoint. */
import { endpointHosts, initCheckpoint, openChain } from '../chain/boot/boot-config.ts'
import { aborted } from '../lib/aborted.ts'
import { systemClock } from '../lib/clock.ts'
import { loadConfig, type ProcessOptions } from '../lib/config.ts'
import { createLog } from '../lib/log.ts'
import { authConfigPrefix, authConfigSchema } from './config.ts'
import { startAuth } from './service.ts'

/** `assent auth run`: serves until the signal is aborted. @throws CONFIG_INVALID, FILE_UNREADABLE */
export async function runAuth(options: ProcessOptions): Promise<void> {
  const config = await readConfig(options)
  const [endpoint] = endpointHosts(config)
  const auth = await startAuth({
    chain: openChain(config, { clock: systemClock }),
    // dstack's answer has a field for one endpoint
    ...(endpoint === undefined ? {} : { rpcUrl: endpoint }),
    outageStatus: config.outageStatus,
    acceptMissingTeeVariant: config.acceptMissingTeeVariant,
    requestsPerMinute: config.requestsPerMinute,
    limits: config,
    log: createLog({ service: 'auth', level: config.logLevel }),
    host: config.host,
    port: config.port,
  })
  await aborted(options.signal)
  await auth.stop()
}

/** `assent auth init-checkpoint`: creates the webhook's trusted checkpoint. @throws CHAIN_CHECKPOINT_EXISTS, CHAIN_* */
export async function runInitCheckpoint(options: Omit<ProcessOptions, 'signal'>): Promise<void> {
  await initCheckpoint(await readConfig(options), { clock: systemClock })
}

function readConfig({ configFile, env = process.env }: Omit<ProcessOptions, 'signal'>) {
  return loadConfig(authConfigSchema, { file: configFile, env, prefix: authConfigPrefix })
}
