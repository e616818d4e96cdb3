/**
 * The node that is measured: `assent kms run` as its operator starts it, with everything it needs on this
 * machine. Contracts on anvil, proven reads of two endpoints, sealed keys, a release log on the disk.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EIP1193Provider, http } from 'viem'
import type { z } from 'zod'

import { noEnd } from '../../src/chain/approval.ts'
import type { consensusSchema } from '../../src/chain/consensus/settings.ts'
import { kinds } from '../../src/chain/kinds.ts'
import { verifyAttestation, verifyBoot } from '../../src/kms/authorization/verify-attestation.ts'
import { keyToPem, toPem } from '../../src/kms/certificates/certificate.ts'
import { attest } from '../../src/kms/certificates/ratls.ts'
import { mintIdentity } from '../../src/kms/client.ts'
import { runBootstrap, runCreateLog } from '../../src/kms/main.ts'
import { fromHex, type Hex, to0x } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { fixedCollateral } from '../../src/quote/collateral/collateral-source.ts'
import { checkPolicy } from '../../src/quote/policy.ts'
import { serveAgent } from '../../src/tee/simulator/agent/agent.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { startAnvil } from '../../test/anvil.ts'
import { buildChain, serveChain } from '../../test/chain/proven/synthetic.ts'
import {
  appCall,
  deployRegistries,
  hostsCall,
  kmsCall,
  type Registries,
} from '../../test/chain/registries.ts'
import { compileNode } from './compile.ts'

const apps = 64
const compose = '{"manifest_version":2,"name":"bench","runner":"docker-compose"}'
const ticksPerMs = 0.1

export interface Usage {
  readonly cpuMs: number
  readonly rss: number
}

export interface BenchNode {
  readonly port: number
  /** Of guests that boot, in PEM. */
  readonly identities: readonly { key: string; cert: string }[]
  /** Of the whole node: the process and its workers. */
  usage(): Usage
  /** Size of its release log. */
  logBytes(): Promise<number>
  stop(): Promise<void>
}

export type Site = Awaited<ReturnType<typeof buildSite>>

/** Settings of a light client; each node has a store of its own. */
export type BeaconSettings = Omit<z.input<typeof consensusSchema>, 'storeFolder'>

/** Machines, files and settings: the same for every node that is measured. */
async function buildMachines() {
  const folder = await mkdtemp(join(tmpdir(), 'assent-bench-'))
  const simulator = createSimulator()
  const host = simulator.createPlatform()
  const image = createImage()
  const own = host.createCvm({ image, compose: '{"name":"kms","no_instance_id":true}' })
  own.advance('ready', {
    keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) },
    keys: { k256Key: new Uint8Array(32).fill(5), k256Signature: new Uint8Array(65) },
  })
  const collateral = simulator.collateral()
  const rules = {
    collateral: fixedCollateral(collateral),
    root: simulator.rootCertificate,
    accept: checkPolicy,
    images: () => [],
    clock: systemClock,
  }
  const proven = await verifyAttestation(await attest(own.source, new Uint8Array(64)), rules)
  const { bootInfo } = verifyBoot(proven, '', 'full', rules)
  const agent = await serveAgent(own, join(folder, 'agent.sock'))
  await writeFile(join(folder, 'root.der'), simulator.rootCertificate)
  await writeFile(join(folder, 'collateral.json'), JSON.stringify(collateral))
  return {
    folder,
    shown: {
      device: to0x(host.deviceId),
      images: [bootInfo.osImageHash, image.osImageHash].map(to0x),
      kms: to0x(bootInfo.mrAggregated),
      composeHash: to0x(host.createCvm({ image, compose }).composeHash),
    },
    boot: (app: Hex) => host.createCvm({ image, compose, appId: fromHex(app, 'application', 20) }),
    settings: {
      chainId: 31337,
      finality: 'finalized',
      maxBlockAgeSeconds: 86_400,
      host: '127.0.0.1',
      port: 0,
      domain: 'localhost',
      keyProtection: 'sealed',
      agentSocket: agent.socket,
      trustedRoot: { insecureRootFile: join(folder, 'root.der') },
      collateral: { file: join(folder, 'collateral.json') },
      imageVerification: 'required',
      selfAuthorization: 'required',
      requestsPerMinute: 100_000_000,
      requestsInFlight: 4096,
      connections: 8192,
    },
    stop: async () => {
      await agent.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** Contracts on anvil, which stands still while it is measured. */
export async function buildSite() {
  const { folder, shown, boot, settings, stop } = await buildMachines()
  const anvil = await startAnvil({ args: ['--chain-id', '31337', '--slots-in-an-epoch', '1'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  const chain = await deployRegistries({ request } as unknown as EIP1193Provider, 'anvil')
  const ids = await approveAll(chain, shown)
  return {
    folder,
    rpcUrl: anvil.url,
    guests: ids.map(boot),
    settings: {
      ...settings,
      kmsContract: chain.kmsAuth,
      chainView: viewOf([anvil.url, anvil.url.replace('127.0.0.1', 'localhost')], chain.pinned),
    },
    stop: async () => {
      await anvil.stop()
      await stop()
    },
  }
}

/** Accounts that change with each block, beside many that do not: most nodes near the root are new each time. */
const strangers = 20_000
const changesPerBlock = 64
const everySeconds = 12

/** Many apps on a chain in memory, which mines as Ethereum does. Final is what has two blocks above it. */
export async function buildGrowingSite(apps: number): Promise<Site> {
  const { folder, shown, boot, settings, stop } = await buildMachines()
  const [own = '0x', image = '0x'] = shown.images
  const chain = await buildChain({
    apps,
    strangers,
    genesis: systemClock() - 60,
    release: shown.composeHash,
    device: shown.device,
    image,
    images: [own],
    kms: shown.kms,
    isOpen: true,
  })
  let next = 0
  const mine = async () => {
    for (let change = 0; change < changesPerBlock; change++) await chain.touch(next++ % strangers)
    chain.mine(Math.max(1, systemClock() - chain.head().timestamp))
  }
  for (let block = 0; block < 3; block++) await mine()
  const node = await serveChain((method, params) => {
    const head = chain.blocks.length - 1
    return chain.answer(method, params, { head, final: head - 2 })
  })
  const mining = setInterval(() => void mine(), everySeconds * 1000)
  return {
    folder,
    rpcUrl: node.url,
    guests: chain.apps.map(boot),
    settings: {
      ...settings,
      kmsContract: chain.kmsAuth,
      chainView: viewOf([node.url, node.url.replace('127.0.0.1', 'localhost')], chain.pinned),
    },
    stop: async () => {
      clearInterval(mining)
      await node.stop()
      await stop()
    },
  }
}

function viewOf(endpoints: readonly string[], pinnedCode: Registries['pinned']) {
  return { endpoints, quorum: 2, refreshSeconds: everySeconds, pinnedCode }
}

async function approveAll(
  chain: Registries,
  {
    device,
    images,
    kms,
    composeHash,
  }: Record<'device' | 'kms' | 'composeHash', Hex> & {
    readonly images: readonly Hex[]
  },
): Promise<Hex[]> {
  const { kmsAuth, hosts, send } = chain
  for (const hash of images) await send(kmsAuth, kmsCall('addOsImageHash', [hash]))
  await send(kmsAuth, kmsCall('addKmsAggregatedMr', [kms]))
  await send(kmsAuth, kmsCall('addKmsDevice', [device]))
  await send(kmsAuth, kmsCall('setHosts', [hosts, noEnd]))
  await send(kmsAuth, kmsCall('setGatewayAppId', ['gateway']))
  const terms = { kind: kinds.host, id: device, activeFrom: 0, expiresAt: 0, evidence: '0x' }
  await send(hosts, hostsCall('approve', [[terms], noEnd]))
  await chain.proveHost(device)
  const created: Hex[] = []
  for (let index = 0; index < apps; index++) {
    const app = await chain.createApp({ allowAnyDevice: true })
    await send(app, appCall('addComposeHash', [composeHash]))
    created.push(app)
  }
  await chain.test.mine({ blocks: 4 })
  return created
}

/** A node of its own, with keys and a log of its own. */
export async function startNode(
  site: Site,
  workers: number,
  beacon?: BeaconSettings,
): Promise<BenchNode> {
  const folder = await mkdtemp(join(site.folder, 'node-'))
  const configFile = join(folder, 'config.json')
  const { chainView, ...settings } = site.settings
  const log = { folder: join(folder, 'log'), node: 'bench', witnesses: 'insecure-none' }
  const config = {
    ...settings,
    chainView: {
      ...chainView,
      checkpointFolder: join(folder, 'memory'),
      ...(beacon && { consensus: { ...beacon, storeFolder: join(folder, 'consensus') } }),
    },
    keysFolder: join(folder, 'keys'),
    releaseLog: { ...log, entries: 'private' },
    workers,
  }
  await writeFile(configFile, JSON.stringify(config))
  await runBootstrap({ configFile, env: {} })
  await runCreateLog({ configFile, env: {} })
  const { child, port } = await spawnNode(configFile, workers)
  const mint = (cvm: SimulatedCvm) => mintIdentity({ url: `https://localhost:${port}` }, cvm.source)
  const minted: Awaited<ReturnType<typeof mint>>[] = []
  // the KMS allows one address 32 handshakes at the same time
  for (let index = 0; index < site.guests.length; index += 16) {
    minted.push(...(await Promise.all(site.guests.slice(index, index + 16).map(mint))))
  }
  return {
    port,
    identities: minted.map(({ key, certificate }) => ({
      key: keyToPem(key),
      cert: toPem(certificate),
    })),
    usage: () => usageOf(child.pid as number),
    logBytes: () => sizeOfLog(log.folder),
    stop: async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

async function sizeOfLog(folder: string): Promise<number> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.log'))
  const sizes = await Promise.all(files.map((name) => stat(join(folder, name))))
  return sizes.reduce((sum, { size }) => sum + size, 0)
}

async function spawnNode(configFile: string, workers: number) {
  const command = await compileNode()
  const child: ChildProcess = spawn(
    process.execPath,
    [command, 'kms', 'run', '--config', configFile],
    // as the image starts it, see deploy/kms/Dockerfile
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '--max-semi-space-size=4', MALLOC_ARENA_MAX: '2' },
    },
  )
  const serving = workers > 1 ? /"port":(\d+),"workers"/ : /"url":"https:[^"]+:(\d+)"/
  const port = await new Promise<number>((resolve, reject) => {
    let output = ''
    let isServing = false
    child.once('exit', () => reject(new Error(`the KMS ended: ${output}`)))
    // read on, or the pipe fills
    child.stdout?.on('data', (chunk: Buffer) => {
      if (isServing) return
      output += chunk
      const found = serving.exec(output)?.[1]
      isServing = found !== undefined
      if (found !== undefined) resolve(Number(found))
    })
  })
  return { child, port }
}

/** proc(5): user and system time are the 14th and 15th field of stat. */
export function usageOf(pid: number): Usage {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const all = [pid, ...children.trim().split(' ').filter(Boolean).map(Number)]
  const each = all.map((one) => {
    const fields = readFileSync(`/proc/${one}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1]
    const ticks = Number(fields[11]) + Number(fields[12])
    return { cpuMs: ticks / ticksPerMs, rss: Number(resident) * 1024 }
  })
  return {
    cpuMs: each.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    rss: each.reduce((sum, { rss }) => sum + rss, 0),
  }
}
