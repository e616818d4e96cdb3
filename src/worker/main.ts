/** The worker process: reads the settings, opens database, agent, signer and endpoints, and works until a signal. */
import { kmsAuthAbi } from '../chain/abi.ts'
import { parseDeployment, requireChain } from '../chain/record/deployments.ts'
import { AssentError } from '../errors/index.ts'
import { k256PublicKey } from '../kms/keys/derive.ts'
import { aborted } from '../lib/aborted.ts'
import { fromHex, type Hex, to0x } from '../lib/bytes.ts'
import { systemClock } from '../lib/clock.ts'
import type { ProcessOptions } from '../lib/config.ts'
import { readJson } from '../lib/files.ts'
import { k256Address } from '../lib/k256.ts'
import { createLog } from '../lib/log.ts'
import { openDatabase } from '../relayer/database/database.ts'
import type { QuorumReader } from '../relayer/endpoints/quorum.ts'
import { connectRpc } from '../relayer/endpoints/rpc.ts'
import { createPruner } from '../relayer/outbox/retention.ts'
import { type OutboxOptions, openOutbox, type RunningOutbox } from '../relayer/outbox/run-outbox.ts'
import { openSigner } from '../relayer/signer/open-signer.ts'
import { type AgentClient, createAgentClient } from '../tee/agent.ts'
import type { Handler } from './answer-request.ts'
import { type AppKeys, openAppKeys } from './app-keys.ts'
import { followAssignments } from './assignments.ts'
import { readWorkerConfig, type WorkerConfig } from './config.ts'
import { createHttpHandler } from './http-handler.ts'
import { openInstanceKey } from './instance-key.ts'
import { createWorkerMetrics, type WorkerMetrics } from './metrics.ts'
import { proveInstance } from './prove-instance.ts'
import {
  createRegistration,
  createRegistrationTarget,
  type Registration,
  type RegistrationOptions,
  registrationKind,
} from './registration.ts'
import { type RunningWorker, startWorker } from './service.ts'
import { createAnswerTarget, createDeclineTarget, workerKinds } from './targets.ts'
import { createWork } from './work.ts'

/** Options of the process. */
export interface WorkerOptions extends ProcessOptions {
  /** Answers instead of the server at `handlerUrl`. */
  readonly handler?: Handler
  /** Called when it serves. */
  readonly onStarted?: (worker: Pick<RunningWorker, 'url'> & { readonly key: Hex }) => void
}

/**
 * `assent worker run`: works until the signal is aborted.
 *
 * @throws CONFIG_INVALID, FILE_UNREADABLE, DEPLOYMENT_INVALID, WORKER_KEY_ON_DISK, TEE_*, KMS_*, RELAYER_*
 * @example await runWorker({ configFile: 'worker.json', signal, handler: async ({ body }) => answerTo(body) })
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const config = await readWorkerConfig(options.env ?? process.env, options.configFile)
  const contracts = await readContracts(config)
  const log = createLog({ service: 'worker', level: config.logLevel })
  const metrics = createWorkerMetrics()
  const agent = createAgentClient({ socket: config.agentSocket })
  const secret = await openInstanceKey(config)
  const key = to0x(k256Address(k256PublicKey(secret)))
  const signer = await openSigner(config, log)
  const database = await openDatabase(
    config.databaseUrl === undefined ? { folder: config.dataFolder } : { url: config.databaseUrl },
  )
  try {
    const { db } = database
    const outbox = await openWorkerOutbox(config, contracts, { signer, db, log, metrics })
    const instance = { config, contracts, agent, secret, key }
    const appKeys = await openKeys(instance, outbox.reader)
    const shared = {
      db,
      reader: outbox.reader,
      requests: { chainId: config.chainId, requests: contracts.requests },
      clock: systemClock,
      onAccepted: outbox.notify,
    }
    const { chainId, app, eventSpan: span } = config
    const { requests, fromBlock } = contracts
    const feed = followAssignments({ reader: outbox.reader, requests, app, key, fromBlock, span })
    const worker = await startWorker({
      outbox,
      registration: openRegistration(instance, { ...shared, account: signer.address }),
      feed,
      work: createWork({
        ...shared,
        key,
        worker: {
          contract: shared.requests,
          app,
          key: secret,
          handler: options.handler ?? createHttpHandler(config.handlerUrl),
          timeoutMs: config.handlerSeconds * 1_000,
        },
        appKeys,
        feed,
        declineBefore: config.declineBefore,
        log,
        onOutcome: (outcome) => metrics.requests.inc({ outcome }),
      }),
      jobs: [createPruner({ db, chainId, clock: systemClock, retention: config.retention })],
      appKeys,
      appId: fromHex(app, 'app', 20),
      metrics,
      clock: systemClock,
      log,
      limits: config,
      host: config.host,
      port: config.port,
      pollMs: config.pollSeconds * 1_000,
    })
    options.onStarted?.({ url: worker.url, key })
    await aborted(options.signal)
    await worker.stop()
  } finally {
    secret.fill(0)
    await database.close()
  }
}

type Contracts = Awaited<ReturnType<typeof readContracts>>

/** The instance in whose CVM this process runs. */
interface Instance {
  readonly config: WorkerConfig
  readonly contracts: Contracts
  readonly agent: AgentClient
  /** Its private key, 32 bytes. */
  readonly secret: Uint8Array
  /** Address of the key. */
  readonly key: Hex
}

/** The outbox of the relayer, with the calls of a worker. */
function openWorkerOutbox(
  config: WorkerConfig,
  contracts: Contracts,
  { metrics, ...shared }: Pick<OutboxOptions, 'signer' | 'db' | 'log'> & { metrics: WorkerMetrics },
): Promise<RunningOutbox> {
  return openOutbox({
    ...shared,
    chainId: config.chainId,
    clients: config.rpcUrls.map((url) => connectRpc(url)),
    targets: {
      [workerKinds.answer]: createAnswerTarget(contracts.requests),
      [workerKinds.decline]: createDeclineTarget(contracts.requests),
      [registrationKind]: createRegistrationTarget(contracts, contracts.requests),
    },
    clock: systemClock,
    metrics: metrics.outbox,
    finality: config.finality,
    pollMs: config.pollSeconds * 1_000,
    rules: {
      maxFeeCap: config.maxFeePerGasGwei,
      cancelFeeCap: 2n * config.maxFeePerGasGwei,
      minTip: config.minTipGwei,
    },
  })
}

/** The app keys; undefined without a KMS in the settings. */
async function openKeys(
  { config, contracts, agent }: Instance,
  reader: QuorumReader,
): Promise<AppKeys | undefined> {
  const { kmsUrls, app } = config
  const { vmConfig } = await agent.info()
  if (kmsUrls === undefined) return undefined
  return openAppKeys({
    kmsUrls,
    quotes: agent,
    vmConfig,
    appId: fromHex(app, 'app', 20),
    readRoot: () => readRoot(reader, contracts.kmsAuth),
    clock: systemClock,
  })
}

function openRegistration(
  { config, contracts, agent, secret, key }: Instance,
  shared: Pick<
    RegistrationOptions,
    'db' | 'reader' | 'requests' | 'account' | 'clock' | 'onAccepted'
  >,
): Registration {
  const { chainId, app, deviceId, capacity } = config
  return createRegistration({
    ...shared,
    contracts,
    app,
    deviceId,
    capacity,
    key: secret,
    prove: (block) =>
      proveInstance(agent, secret, { chainId, registry: contracts.instances, app, key, block }),
  })
}

/** @throws DEPLOYMENT_INVALID without the contracts that a worker needs, or for another chain */
async function readContracts({ deploymentFile, chainId }: WorkerConfig) {
  const record = parseDeployment(await readJson(deploymentFile))
  const deployment = requireChain(record, chainId, deploymentFile)
  const addressOf = (name: string) => {
    const found = deployment.contracts[name]?.address
    if (found !== undefined) return found.toLowerCase() as Hex
    const message = `${deploymentFile} has no contract ${name}.`
    throw new AssentError('DEPLOYMENT_INVALID', message, { facts: { missing: name } })
  }
  return {
    instances: addressOf('instances'),
    kmsAuth: addressOf('kmsAuth'),
    images: addressOf('images'),
    rootKeys: addressOf('rootKeys'),
    requests: addressOf('requests'),
    fromBlock: deployment.contracts.requests?.block ?? 0,
  }
}

/** The root keys that the DAO recorded. */
async function readRoot(reader: QuorumReader, kmsAuth: Hex) {
  const [k256Pubkey, caPubkey] = await reader.agree('root keys', (client) =>
    client.readContract({ address: kmsAuth, abi: kmsAuthAbi, functionName: 'kmsInfo' }),
  )
  return {
    k256PublicKey: fromHex(k256Pubkey, 'root key on-chain', 33),
    caPublicKey: fromHex(caPubkey, 'root CA key on-chain'),
  }
}
