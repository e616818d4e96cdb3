/** Everything that the demo runs: a chain, a DAO, a KMS, the webhook, the relayer. All on this machine. */
import { startAuth } from '../../src/auth/service.ts'
import { believeEndpoint } from '../../src/chain/boot.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { connectDevChain, type DevChain } from './chain.ts'
import { type Dao, foundDao, relayerAccount } from './dao.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { type DemoRelayer, startDemoRelayer } from './relayer.ts'

export interface World {
  readonly clock: Clock
  readonly chain: DevChain
  readonly dao: Dao
  readonly fleet: Fleet
  readonly relayer: DemoRelayer
  readonly auth: { readonly url: string }
  stop(): Promise<void>
}

/** @param rpcUrl a development node whose clock can be moved: Hardhat's, anvil */
export async function createWorld(rpcUrl: string): Promise<World> {
  const chain = await connectDevChain(rpcUrl)
  const { clock } = chain
  const simulator = createSimulator({ at: clock() })
  const dao = await foundDao(chain, simulator.rootCertificate)
  const bootChain = believeEndpoint({
    client: chain.client,
    chainId: chain.chain.id,
    kms: dao.addresses.kmsAuth,
    // a development chain has no reorgs to wait for
    finality: { confirmations: 0 },
    maxBlockAgeSeconds: 3_600,
    timeoutMs: 10_000,
    clock,
  })
  const fleet = await startFleet({ simulator, chain: bootChain, clock })
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
    async stop() {
      await Promise.all([fleet.stop(), auth.stop(), relayer.stop()])
    },
  }
}
