/** The relayer process: reads the settings, opens database, signer and endpoints, and stops on a signal. */

import type { Hex } from '../lib/bytes.ts'
import { systemClock } from '../lib/clock.ts'
import type { Environment } from '../lib/config.ts'
import { readBytes, readCertificates, readJson } from '../lib/files.ts'
import { createLog, type Logger } from '../lib/log.ts'
import { readTrustAnchor, type TrustAnchor } from '../quote/certificates/trust-anchor.ts'
import {
  type CollateralSource,
  createPccsSource,
  fixedCollateral,
  type SourceRules,
} from '../quote/collateral/collateral-source.ts'
import { parsePolicy } from '../quote/policy.ts'
import { type RelayerConfig, readRelayerConfig } from './config.ts'
import { type Database, openDatabase } from './database/database.ts'
import { type DoctorFinding, examine } from './doctor/doctor.ts'
import { connectRpc } from './endpoints/rpc.ts'
import { createHeartbeatTarget, heartbeatKind } from './heartbeat/post.ts'
import { createSubmissionVerifier, type SubmissionVerifierOptions } from './intake/verify-quote.ts'
import {
  createHostTarget,
  createKmsNodeTarget,
  createRecordTarget,
  createRootKeyTarget,
  recordKind,
  type Targets,
} from './outbox/intent-targets.ts'
import { startRelayer } from './service.ts'
import { openSigner } from './signer/open-signer.ts'
import { collateralKind, createCollateralTarget } from './upkeep/collateral.ts'
import { createUpkeepTarget, upkeepKind } from './upkeep/dao-upkeep.ts'
import { createHookAgent, createSocketAgent } from './upkeep/host-agents.ts'
import type { JobOptions } from './upkeep/jobs.ts'
import type { RenewedHost } from './upkeep/renewal.ts'

/** Runs until SIGINT or SIGTERM. A second signal ends the process immediately. */
export async function runRelayer(env: Environment, file?: string): Promise<void> {
  const config = await readRelayerConfig(env, file)
  const log = createLog({ service: 'relayer', level: config.logLevel })
  const signer = await openSigner(config, log)
  const verifierOptions = await readVerifierOptions(config, log)
  const verifySubmission = createSubmissionVerifier(verifierOptions)
  const jobs = await readJobOptions(config, verifierOptions.root, signer.address)
  const database = await openDatabase(
    config.databaseUrl === undefined ? { folder: config.dataFolder } : { url: config.databaseUrl },
  )
  try {
    const relayer = await startRelayer({
      chainId: config.chainId,
      clients: config.rpcUrls.map((url) => connectRpc(url)),
      targets: {
        ...createTargets(config),
        ...createHeartbeatTargets(config, signer.address, database.db),
      },
      jobs,
      signer,
      db: database.db,
      verifySubmission,
      operators: config.operators,
      clock: systemClock,
      log,
      finality: config.finality,
      host: config.host,
      port: config.port,
      pollMs: config.pollSeconds * 1_000,
      retention: config.retention,
      limits: config,
      rateLimit: { perMinute: config.requestsPerMinute, burst: config.requestsPerMinute },
      rules: {
        maxInFlight: config.maxInFlight,
        maxUnfinal: config.maxUnfinal,
        bumpAfter: config.bumpAfter,
        stopLossAfter: config.stopLossAfter,
        maxFeeCap: config.maxFeePerGasGwei,
        cancelFeeCap: 2n * config.maxFeePerGasGwei,
        minTip: config.minTipGwei,
      },
    })
    await signalled()
    await relayer.stop()
  } finally {
    await database.close()
  }
}

/**
 * Checks everything that the settings name and changes nothing.
 *
 * @throws CONFIG_INVALID, FILE_UNREADABLE, RELAYER_KEY_INSECURE if the settings themselves are wrong
 */
export async function runDoctor(env: Environment, file?: string): Promise<DoctorFinding[]> {
  const config = await readRelayerConfig(env, file)
  const log = createLog({ service: 'relayer', level: 'silent' })
  return examine({
    config,
    clients: config.rpcUrls.map((url) => connectRpc(url)),
    openSigner: () => openSigner(config, log),
    readRoot: () => readTrustAnchor(config.trustedRoot, readBytes),
    readPccsCa: () => readPccsCa(config),
    clock: systemClock,
  })
}

async function readPccsCa({ pccsCaFile }: RelayerConfig): Promise<string | undefined> {
  return pccsCaFile === undefined ? undefined : readCertificates(pccsCaFile)
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}

function createTargets({
  hosts,
  kmsAuth,
  rootKeys,
  verifier,
  governor,
}: Pick<RelayerConfig, 'hosts' | 'kmsAuth' | 'rootKeys' | 'verifier' | 'governor'>): Targets {
  const nodes = hosts !== undefined && kmsAuth !== undefined ? { hosts, kmsAuth } : undefined
  return {
    ...(hosts === undefined ? {} : { host: createHostTarget(hosts) }),
    ...(nodes === undefined ? {} : { 'kms-node': createKmsNodeTarget(nodes.hosts, nodes.kmsAuth) }),
    ...(rootKeys === undefined ? {} : { 'root-key': createRootKeyTarget(rootKeys) }),
    ...(verifier === undefined
      ? {}
      : {
          [collateralKind]: createCollateralTarget(verifier),
          [recordKind]: createRecordTarget(verifier),
        }),
    ...(governor === undefined ? {} : { [upkeepKind]: createUpkeepTarget(governor) }),
  }
}

function createHeartbeatTargets(
  { chainId, heartbeat }: RelayerConfig,
  account: Hex,
  db: Database,
): Targets {
  if (heartbeat === undefined) return {}
  return { [heartbeatKind]: createHeartbeatTarget(heartbeat, { chainId, account }, db) }
}

/* BACKGROUND JOBS */

async function readJobOptions(
  config: RelayerConfig,
  root: TrustAnchor,
  account: Hex,
): Promise<JobOptions> {
  const { verifier, hosts, governor, fromBlock, eventSpan, pccsUrls } = config
  const renewedHosts = await Promise.all(
    config.hostAgents.map((agent) => openAgent(agent, account)),
  )
  return {
    fromBlock,
    span: eventSpan,
    ...(verifier === undefined ? {} : { verifier }),
    ...(hosts === undefined ? {} : { registry: hosts }),
    ...(config.heartbeat === undefined
      ? {}
      : {
          heartbeat: {
            contract: config.heartbeat,
            everySeconds: config.heartbeatEvery,
            noncesPerClient: config.heartbeatNonces,
          },
        }),
    ...(config.keepCollateral && pccsUrls !== undefined
      ? {
          collateral: {
            services: pccsUrls,
            ca: await readPccsCa(config),
            root,
            families: config.families,
            refreshBefore: config.refreshBefore,
            everySeconds: config.collateralEvery,
          },
        }
      : {}),
    ...(renewedHosts.length === 0
      ? {}
      : {
          renewal: {
            renewedHosts,
            usesRecords: config.useVerificationRecords,
            everySeconds: config.renewEvery,
            rules: {
              renewBefore: config.renewBefore,
              jitter: config.renewJitter,
              urgentBefore: config.urgentBefore,
              maxBaseFee: config.renewMaxBaseFeeGwei,
              minimumExtension: config.minimumExtension,
              minimumRemainingValidity: config.minimumRemainingValidity,
            },
          },
        }),
    ...(governor === undefined
      ? {}
      : {
          upkeep: {
            governor,
            registries: registriesOf(config),
            isAutomatic: config.automaticUpkeep,
            everySeconds: config.upkeepEvery,
          },
        }),
  }
}

async function openAgent(
  agent: RelayerConfig['hostAgents'][number],
  account: Hex,
): Promise<RenewedHost> {
  const { deviceId, purpose } = agent
  if ('socket' in agent) {
    return { deviceId, purpose, operator: account, agent: createSocketAgent(agent.socket) }
  }
  const { url, operator, tokenFile } = agent
  const token =
    tokenFile === undefined ? undefined : (await readBytes(tokenFile)).toString('utf8').trim()
  const hook = createHookAgent({ url, ...(token === undefined ? {} : { token }) })
  return { deviceId, purpose, operator, agent: hook }
}

function registriesOf({ hosts, kmsAuth, rootKeys }: RelayerConfig) {
  return [
    ...(hosts === undefined ? [] : [{ address: hosts, kinds: ['host'] as const }]),
    ...(kmsAuth === undefined
      ? []
      : [
          {
            address: kmsAuth,
            kinds: ['osImage', 'kmsMeasurement', 'kmsDevice', 'app'] as const,
          },
        ]),
    ...(rootKeys === undefined ? [] : [{ address: rootKeys, kinds: ['rootKey'] as const }]),
  ]
}

/* SIGNER */

/* VERIFICATION */

async function readVerifierOptions(
  config: RelayerConfig,
  log: Logger,
): Promise<SubmissionVerifierOptions> {
  const { policyFile } = config
  const root = await readTrustAnchor(config.trustedRoot, readBytes)
  const trusted = { root, clock: systemClock }
  return {
    ...trusted,
    collateral: await openCollateral(config, trusted, log),
    minimumRemainingValidity: config.minimumRemainingValidity,
    ...(policyFile === undefined ? {} : { policy: parsePolicy(await readJson(policyFile)) }),
  }
}

/** Seconds for which collateral of a PCCS is reused; the documents are valid for weeks. */
const refreshSeconds = 3_600

async function openCollateral(
  config: RelayerConfig,
  trusted: SourceRules,
  log: Logger,
): Promise<CollateralSource> {
  if (config.collateralFile !== undefined) {
    return fixedCollateral(await readJson(config.collateralFile))
  }
  return createPccsSource({
    ...trusted,
    urls: config.pccsUrls ?? [],
    ca: await readPccsCa(config),
    update: 'standard',
    refreshSeconds,
    onFailure: (url, error) => log.warn({ err: error, pccs: new URL(url).host }, 'a PCCS failed'),
  })
}
