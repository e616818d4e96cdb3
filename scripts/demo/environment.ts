/** Starts everything that the demo needs on this computer: DAO, KMS, auth webhook and relayer on a development chain. */
import path from 'node:path'

import { startAuth } from '../../src/auth/service.ts'
import type { BootAuthorizer } from '../../src/chain/boot/boot.ts'
import { volatileCheckpoint } from '../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../src/chain/proven/header-quorum.ts'
import { readPinnedCode } from '../../src/chain/proven/pinning.ts'
import { connectEndpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { openView } from '../../src/chain/proven/view.ts'
import { writeSimulatedHost } from '../../src/commands/simulate/host-folder.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { connectDevChain, type DevChain } from './chain.ts'
import { createDemoDao, type Dao, relayerAccount } from './dao.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { type DemoRelayer, startDemoRelayer } from './relayer.ts'

/** The running parts of the demo. */
export interface DemoEnvironment {
  readonly clock: Clock
  readonly chain: DevChain
  readonly dao: Dao
  readonly fleet: Fleet
  readonly relayer: DemoRelayer
  readonly auth: { readonly url: string }
  /** Folder of the host, as `assent simulate host` makes it. */
  readonly hostFolder: string
  stop(): Promise<void>
}

/** Answers questions about boots from storage proofs. The demo has one node, so the RPC quorum is 1. */
async function proveChain(
  { url, chain, client, clock }: DevChain,
  dao: Dao,
): Promise<BootAuthorizer> {
  const { kmsAuth, hosts } = dao.addresses
  const chainId = chain.id
  const endpoints = [connectEndpoint({ url, name: 'development', timeoutMs: 10_000 })]
  // a development chain has no reorgs to wait for
  const finality = { confirmations: 0 }
  return openView({
    chainId,
    kms: kmsAuth,
    pinned: await readPinnedCode(client, kmsAuth, { hosts }),
    source: agreedHeaders({ endpoints, required: 1, chainId, finality }),
    endpoints,
    required: 1,
    checkpoint: volatileCheckpoint(),
    maxBlockAgeSeconds: 3_600,
    // the demo moves the clock by days, so each question needs a new snapshot
    refreshSeconds: 0,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock,
  })
}

/**
 * @param rpcUrl a development node whose clock can be moved, such as Hardhat's node or anvil
 * @param recordFolder folder for the deployment record
 */
export async function startDemoEnvironment(
  rpcUrl: string,
  recordFolder: string,
): Promise<DemoEnvironment> {
  const chain = await connectDevChain(rpcUrl)
  const { clock } = chain
  // `assent simulate boot` boots CVMs on the same host
  const hostFolder = path.join(recordFolder, 'host')
  const settings = { at: clock(), name: 'demo-host', image: 'assent-sim-app-1.0.1' }
  const simulatedHost = await writeSimulatedHost(hostFolder, settings, { isNew: false })
  const { simulator } = simulatedHost
  const dao = await createDemoDao(chain, simulator.rootCertificate, recordFolder)
  const bootChain = await proveChain(chain, dao)
  const fleet = await startFleet({ simulatedHost, chain: bootChain, clock })
  const relayer = await startDemoRelayer({
    chain,
    hosts: dao.addresses.hosts,
    collateral: fleet.collateral,
    root: simulator.rootCertificate,
    account: relayerAccount,
  })
  const auth = await startAuth({
    chain: bootChain,
    outageStatus: 503,
    acceptMissingTeeVariant: false,
    requestsPerMinute: 10_000,
    log: createLog({ service: 'auth', level: 'silent' }),
    host: '127.0.0.1',
    port: 0,
  })
  return {
    clock,
    chain,
    dao,
    fleet,
    relayer,
    auth,
    hostFolder,
    async stop() {
      await Promise.all([fleet.stop(), auth.stop(), relayer.stop()])
    },
  }
}
