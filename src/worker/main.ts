/** The worker process: reads the settings, opens database, agent, signer and endpoints, and works until a signal. */
import { kmsAuthAbi } from '../chain/abi.ts'
import { parseDeployment } from '../chain/record/deployments.ts'
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
import { openOutbox } from '../relayer/outbox/run-outbox.ts'
import { openSigner } from '../relayer/signer/open-signer.ts'
import { createAgentClient } from '../tee/agent.ts'
import type { Handler } from './answer-request.ts'
import { openAppKeys } from './app-keys.ts'
import { followAssignments } from './assignments.ts'
import { readWorkerConfig, type WorkerConfig } from './config.ts'
import { createHttpHandler } from './http-handler.ts'
import { openInstanceKey } from './instance-key.ts'
import { createWorkerMetrics } from './metrics.ts'
import { proveInstance } from './prove-instance.ts'
import { createRegistration, createRegistrationTarget, registrationKind } from './registration.ts'
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
    const { chainId, app } = config
    const { db } = database
    const requests = { chainId, requests: contracts.requests }
    const outbox = await openOutbox({
      chainId,
      clients: config.rpcUrls.map((url) => connectRpc(url)),
      targets: {
        [workerKinds.answer]: createAnswerTarget(contracts.requests),
        [workerKinds.decline]: createDeclineTarget(contracts.requests),
        [registrationKind]: createRegistrationTarget(contracts, contracts.requests),
      },
      signer,
      db,
      clock: systemClock,
      log,
      metrics: metrics.outbox,
      finality: config.finality,
      pollMs: config.pollSeconds * 1_000,
      rules: {
        maxFeeCap: config.maxFeePerGasGwei,
        cancelFeeCap: 2n * config.maxFeePerGasGwei,
        minTip: config.minTipGwei,
      },
    })
    const { reader } = outbox
    const { vmConfig } = await agent.info()
    const appId = fromHex(app, 'app', 20)
    const appKeys =
      config.kmsUrls === undefined
        ? undefined
        : await openAppKeys({
            kmsUrls: config.kmsUrls,
            quotes: agent,
            vmConfig,
            appId,
            readRoot: () => readRoot(reader, contracts.kmsAuth),
            clock: systemClock,
          })
    const shared = { db, reader, clock: systemClock, onAccepted: outbox.notify }
    const registration = createRegistration({
      ...shared,
      contracts,
      requests,
      app,
      deviceId: config.deviceId,
      account: signer.address,
      capacity: config.capacity,
      key: secret,
      prove: (block) =>
        proveInstance(agent, secret, { chainId, registry: contracts.instances, app, key, block }),
    })
    const { fromBlock } = contracts
    const { eventSpan: span } = config
    const feed = followAssignments({ reader, ...requests, app, key, fromBlock, span })
    const work = createWork({
      ...shared,
      requests,
      key,
      worker: {
        contract: requests,
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
    })
    const parts = { outbox, registration, feed, work, appKeys, appId, metrics, log }
    const { host, port } = config
    const pollMs = config.pollSeconds * 1_000
    const limits = config
    const clock = systemClock
    const worker = await startWorker({ ...parts, clock, host, port, pollMs, limits })
    options.onStarted?.({ url: worker.url, key })
    await aborted(options.signal)
    await worker.stop()
  } finally {
    secret.fill(0)
    await database.close()
  }
}

/** @throws DEPLOYMENT_INVALID without the contracts that a worker needs, or for another chain */
async function readContracts({ deploymentFile, chainId }: WorkerConfig) {
  const deployment = parseDeployment(await readJson(deploymentFile))
  const addressOf = (name: string) => {
    const found = deployment.contracts[name]?.address
    if (found !== undefined) return found.toLowerCase() as Hex
    const message = `${deploymentFile} has no contract ${name}.`
    throw new AssentError('DEPLOYMENT_INVALID', message, { facts: { missing: name } })
  }
  if (deployment.chainId !== chainId) {
    const message = `${deploymentFile} is the record of another chain.`
    throw new AssentError('DEPLOYMENT_INVALID', message, {
      facts: { expected: chainId, found: deployment.chainId },
    })
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
