/** Commands of the KMS process: run, bootstrap, onboard, create the log, create the checkpoint, doctor. */
import { join } from 'node:path'

import { initCheckpoint, openChain } from '../chain/boot/boot-config.ts'
import { AssentError } from '../errors/index.ts'
import { aborted } from '../lib/aborted.ts'
import { toHex } from '../lib/bytes.ts'
import { systemClock } from '../lib/clock.ts'
import { loadConfig, type ProcessOptions } from '../lib/config.ts'
import type { DoctorFinding } from '../lib/doctor-finding.ts'
import { createLog, type Logger, standardOutput } from '../lib/log.ts'
import { encodeAttestation } from '../quote/attestation.ts'
import type { AgentClient } from '../tee/agent.ts'
import type { QuoteSource } from '../tee/source.ts'
import { type ClearImages, clearOwnCache, startAdmin } from './admin.ts'
import { createSelfAuthorizer } from './authorization/self-authorization.ts'
import { issueCredentials } from './certificates/credentials.ts'
import { attest } from './certificates/ratls.ts'
import {
  type KmsConfig,
  kmsConfigPrefix,
  kmsConfigSchema,
  requireConsistentKms,
  reservedNamesOf,
} from './config.ts'
import { connectAgent, readRules } from './dependencies.ts'
import { deriveCheckpointKey } from './keys/derive.ts'
import { type KeyStore, type KmsSecrets, openKeyStore, wipeKeys } from './keys/key-store.ts'
import type { LogIdentity } from './log/format.ts'
import { deriveLogKey, logKeyReportData } from './log/key.ts'
import { createReleaseLog } from './log/log.ts'
import { openNodeLog, type RunningNodeLog, rememberSource } from './log/node-log.ts'
import type { KnownLog } from './log/witness-response.ts'
import type { LogLocation } from './log/writer.ts'
import { type BootstrapInfo, bootstrapKms, readBootstrapInfo } from './onboarding/bootstrap.ts'
import { startKms, version } from './service.ts'
import { startPool } from './workers/pool.ts'

/**
 * `assent kms run`: serves until the signal is aborted. It never creates root keys.
 *
 * @throws KMS_NOT_BOOTSTRAPPED, KMS_KEYS_*, KMS_LOG_*, CONFIG_INVALID, FILE_UNREADABLE
 */
export async function runKms(options: ProcessOptions): Promise<void> {
  const config = await readConfig(options)
  const agent = connectAgent(config)
  const keys = await openStore(config, agent).load()
  if (keys === undefined) {
    throw new AssentError('KMS_NOT_BOOTSTRAPPED', 'This KMS has no root keys yet.')
  }
  const bootstrapInfo = await readBootstrapInfo(config.keysFolder, keys)
  const log = createLog({ service: 'kms', level: config.logLevel, destination: standardOutput() })
  const releaseLog = await openOwnLog(config, keys, agent, log)
  const serving = await serve({ config, keys, agent, bootstrapInfo, releaseLog, log })
  const admin = await serveAdmin(config, serving.clear, log)
  try {
    await aborted(options.signal)
  } finally {
    await admin?.stop()
    await serving.stop()
    if (releaseLog !== 'insecure-off') await closeOwnLog(releaseLog)
    wipeKeys(keys)
  }
}

interface ServiceState {
  readonly config: KmsConfig
  readonly keys: KmsSecrets
  readonly agent: AgentClient
  readonly bootstrapInfo: BootstrapInfo | undefined
  readonly releaseLog: RunningNodeLog | 'insecure-off'
  readonly log: Logger
}

/** Serves in this process, or in several worker processes while this one writes the log. */
async function serve({ config, keys, agent, bootstrapInfo, releaseLog, log }: ServiceState) {
  const { workers, domain, releaseLog: settings } = config
  if (workers > 1) {
    const request = { keys, domain, source: agent, clock: systemClock }
    const credentials = await issueCredentials(request)
    const work = { config, keys, credentials, bootstrapInfo, port: config.port }
    return startPool({ workers, work, releaseLog, logger: log })
  }
  const kms = await startKms({
    ...config,
    reservedNames: reservedNamesOf(config),
    releaseLog,
    logEntries: settings === 'insecure-off' ? 'private' : settings.entries,
    keys,
    chain: openChain(config, { clock: systemClock, checkpointKey: deriveCheckpointKey(keys) }),
    rules: await readRules(config),
    source: agent,
    ...(bootstrapInfo ? { bootstrapInfo } : {}),
    log,
    limits: config,
  })
  return { ...kms, clear: clearOwnCache }
}

async function serveAdmin({ admin }: KmsConfig, clear: ClearImages, log: Logger) {
  return admin === 'off' ? undefined : startAdmin({ ...admin, clear, log })
}

/**
 * `assent kms start`, which a CVM runs at each boot: serves with existing keys. Without keys it first waits for the
 * operator's bootstrap or onboarding and creates the release log.
 */
export async function startKmsNode(options: ProcessOptions): Promise<void> {
  const config = await readConfig(options)
  const keys = await openStore(config, connectAgent(config)).load()
  if (keys !== undefined) wipeKeys(keys)
  else {
    await runOnboardService(options)
    if (options.signal.aborted) return
    if (config.releaseLog !== 'insecure-off') await runCreateLog(options)
  }
  await runKms(options)
}

/** Opens this node's log and appends an entry that proves which CVM writes it from now on. */
async function openOwnLog(
  config: KmsConfig,
  keys: KmsSecrets,
  source: QuoteSource,
  logger: Logger,
): Promise<RunningNodeLog | 'insecure-off'> {
  const { releaseLog: settings } = config
  if (settings === 'insecure-off') return settings
  const location = logLocation(config.keysFolder, settings, keys)
  const opened = await openNodeLog({ location, witnesses: settings.witnesses, logger })
  const attestation = await attest(source, logKeyReportData(location.key.identity))
  await opened.append({
    kind: 'opened',
    version,
    attestation: toHex(encodeAttestation(attestation)),
  })
  return opened
}

async function closeOwnLog(log: RunningNodeLog): Promise<void> {
  await log.append({ kind: 'closed' }).catch(() => {})
  await log.close()
}

/**
 * `assent kms log create`: creates the release log of a node that has root keys and never had a log.
 *
 * @throws KMS_LOG_EXISTS, KMS_NOT_BOOTSTRAPPED, CONFIG_INVALID
 */
export async function runCreateLog(options: Omit<ProcessOptions, 'signal'>): Promise<LogIdentity> {
  const config = await readConfig(options)
  const { releaseLog: settings, keysFolder } = config
  if (settings === 'insecure-off') {
    throw new AssentError(
      'CONFIG_INVALID',
      'Configuration: releaseLog: is off, so there is no log to create',
    )
  }
  const keys = await openStore(config, connectAgent(config)).load()
  if (keys === undefined) {
    throw new AssentError('KMS_NOT_BOOTSTRAPPED', 'This KMS has no root keys yet.')
  }
  try {
    const location = logLocation(keysFolder, settings, keys)
    await createReleaseLog(location)
    return location.key.identity
  } finally {
    wipeKeys(keys)
  }
}

function logLocation(
  keysFolder: string,
  { folder, node, segmentBytes, keep }: Exclude<KmsConfig['releaseLog'], 'insecure-off'>,
  { k256 }: KmsSecrets,
): LogLocation {
  const headFile = join(keysFolder, 'log-head.bin')
  return {
    folder,
    headFile,
    segmentBytes,
    ...(keep === 'everything' ? {} : { keepDays: keep.days }),
    key: deriveLogKey(k256, node),
    clock: systemClock,
  }
}

/** `assent kms bootstrap`: creates root keys and the statement that the chain registers. @throws as bootstrapKms */
export async function runBootstrap(
  options: Omit<ProcessOptions, 'signal'>,
): Promise<BootstrapInfo> {
  const config = await readConfig(options)
  const info = await bootstrapKms(await openOnboarding(config))
  await startCheckpoint(config)
  return info
}

/** `assent kms onboard`: gets the root keys of a running KMS node. @throws as onboardKms */
export async function runOnboard(
  options: Omit<ProcessOptions, 'signal'> & {
    readonly sourceUrl: string
    readonly caPublicKey?: Uint8Array
  },
): Promise<{ caPubkey: Uint8Array; k256Pubkey: Uint8Array }> {
  const { sourceUrl, caPublicKey } = options
  const config = await readConfig(options)
  const parts = await openOnboarding(config)
  const { onboardKms } = await import('./onboarding/onboard.ts')
  const onboarded = await onboardKms({
    ...parts,
    sourceUrl,
    ...(caPublicKey ? { caPublicKey } : {}),
  })
  await startCheckpoint(config)
  return onboarded
}

/** `assent kms init-checkpoint`: creates the trusted checkpoint of a node. @throws CHAIN_CHECKPOINT_EXISTS, CHAIN_* */
export async function runInitCheckpoint(options: Omit<ProcessOptions, 'signal'>): Promise<void> {
  await startCheckpoint(await readConfig(options))
}

async function startCheckpoint(config: KmsConfig): Promise<void> {
  const keys = await openStore(config, connectAgent(config)).load()
  if (keys === undefined) {
    throw new AssentError('KMS_NOT_BOOTSTRAPPED', 'This KMS has no root keys yet.')
  }
  try {
    await initCheckpoint(config, { clock: systemClock, checkpointKey: deriveCheckpointKey(keys) })
  } finally {
    wipeKeys(keys)
  }
}

/** `assent kms doctor`: checks everything that a key release needs. @throws CONFIG_INVALID, FILE_UNREADABLE */
export async function runKmsDoctor(
  options: Omit<ProcessOptions, 'signal'>,
): Promise<DoctorFinding[]> {
  const config = await readConfig(options)
  const agent = connectAgent(config)
  const { examineKms } = await import('./doctor.ts')
  return examineKms({ config, agent, store: openStore(config, agent), clock: systemClock })
}

/** dstack's listener for bootstrap and onboarding. It ends with `Finish` or the signal. */
export async function runOnboardService(options: ProcessOptions): Promise<void> {
  const config = await readConfig(options)
  const parts = await openOnboarding(config)
  const { startOnboarding } = await import('./onboarding/onboard-service.ts')
  const service = await startOnboarding({
    ...parts,
    domain: config.domain,
    kmsContract: config.kmsContract,
    log: createLog({ service: 'kms-onboard', level: config.logLevel }),
    host: config.onboardHost,
    port: config.onboardPort,
  })
  await Promise.race([service.finished, aborted(options.signal)])
  await service.stop()
  if (!options.signal.aborted) await startCheckpoint(config)
}

/** Dependencies of bootstrap and onboarding. `evidence` describes this node also if self-authorization is off. */
async function openOnboarding(config: KmsConfig) {
  const agent = connectAgent(config)
  const rules = await readRules(config)
  // the checkpoint is authenticated with root keys, which do not exist yet
  const chain = openChain(config, { clock: systemClock, checkpointKey: 'none-yet' })
  const authorizeBoot = chain.authorize
  const evidence = createSelfAuthorizer(agent, rules, authorizeBoot)
  const self = config.selfAuthorization === 'required' ? evidence : ('insecure-off' as const)
  const store = openStore(config, agent)
  const { keysFolder, releaseLog } = config
  const remember = async (source: KnownLog) => {
    if (releaseLog !== 'insecure-off') await rememberSource(releaseLog.folder, source)
  }
  return {
    folder: keysFolder,
    store,
    source: agent,
    rules,
    authorizeBoot,
    evidence,
    self,
    remember,
  }
}

async function readConfig({ configFile, env = process.env }: Omit<ProcessOptions, 'signal'>) {
  const source = { file: configFile, env, prefix: kmsConfigPrefix }
  const config = await loadConfig(kmsConfigSchema, source)
  requireConsistentKms(config)
  return config
}

/** The sealing key is a key of the KMS's own app, which the local key provider gives to this CVM only. */
function openStore(config: KmsConfig, agent: AgentClient): KeyStore {
  if (config.keyProtection === 'insecure-plain') {
    return openKeyStore(config.keysFolder, { kind: 'insecure-plain' })
  }
  const sealingKey = async () =>
    (await agent.getKey({ path: 'assent/kms/root-keys', purpose: 'seal' })).key
  return openKeyStore(config.keysFolder, { kind: 'sealed', sealingKey })
}
