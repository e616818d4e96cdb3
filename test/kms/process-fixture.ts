/** A machine with a KMS as real processes on it: agent's socket, endpoint, files, settings. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { network } from 'hardhat'

import { serveAgent } from '../../src/tee/simulator/agent/agent.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { compile, fakeKmsSource } from '../chain/fakes.ts'

const cliPath = join(import.meta.dirname, '../../bin/assent.js')

export interface Started {
  readonly child: ChildProcess
  readonly url: string
  /** Everything it and its workers printed so far. */
  readonly output: () => string
  /** Exit code after a signal. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** `setBehaviour` makes the contract allow, deny or fail. `cli` is the file that runs as `assent`. */
export async function createMachine(cli = cliPath) {
  const simulator = createSimulator()
  const host = simulator.createPlatform()
  const image = createImage()
  const own = host.createCvm({ image, compose: '{"name":"kms"}' })
  own.advance('ready', {
    keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) },
    keys: { k256Key: new Uint8Array(32).fill(5), k256Signature: new Uint8Array(65) },
  })
  const chain = await startChain()
  const shared = await mkdtemp(join(tmpdir(), 'kms-'))
  await writeFile(join(shared, 'root.der'), simulator.rootCertificate)
  await writeFile(join(shared, 'collateral.json'), JSON.stringify(simulator.collateral()))
  const agent = await serveAgent(own, join(shared, 'agent.sock'))
  const settings = {
    ...chain.settings,
    maxBlockAgeSeconds: 86_400,
    host: '127.0.0.1',
    port: 0,
    domain: 'localhost',
    keyProtection: 'sealed',
    agentSocket: agent.socket,
    trustedRoot: { insecureRootFile: join(shared, 'root.der') },
    collateral: { file: join(shared, 'collateral.json') },
    imageVerification: 'required',
    releaseLog: 'insecure-off',
    selfAuthorization: 'required',
    logLevel: 'info',
  }
  const children = new Set<ChildProcess>()
  return {
    simulator,
    host,
    image,
    settings,
    chain,
    /** Another app of this host. */
    boot: (name: string) => host.createCvm({ image, compose: `{"name":"${name}"}` }),
    newFolder: () => mkdtemp(join(tmpdir(), 'kms-')),
    /** Writes the settings of a node that lives in this folder. */
    configure: async (folder: string, changed: Record<string, unknown> = {}) => {
      const path = join(folder, 'config.json')
      const config = { ...settings, keysFolder: join(folder, 'keys'), ...changed }
      await writeFile(path, JSON.stringify(config))
      return path
    },
    run: (configFile: string) => run(children, cli, configFile, /"url":"https:[^"]+:(\d+)"/),
    /** With several workers. */
    runPool: (configFile: string) => run(children, cli, configFile, /"port":(\d+),"workers":\d+/),
    stop: async () => {
      for (const child of children) child.kill('SIGKILL')
      await agent.close()
      await chain.stop()
    },
  }
}

export type Machine = Awaited<ReturnType<typeof createMachine>>

async function startChain() {
  const connection = await network.create()
  const [wallet] = await connection.viem.getWalletClients()
  const client = await connection.viem.getPublicClient()
  const { FakeKms } = compile(fakeKmsSource)
  if (wallet === undefined || FakeKms === undefined) throw new Error('no chain')
  const hash = await wallet.deployContract(FakeKms)
  const { contractAddress } = await client.waitForTransactionReceipt({ hash })
  if (!contractAddress) throw new Error('not deployed')
  let isDown = false
  const rpc = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      if (isDown) {
        response.destroy()
        return
      }
      const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString())
      const result = await connection.provider.request({ method, params })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
    })
  })
  await new Promise<void>((listening) => rpc.listen(0, '127.0.0.1', listening))
  return {
    settings: {
      chainView: {
        insecureSingleEndpoint: `http://127.0.0.1:${(rpc.address() as AddressInfo).port}`,
      },
      chainId: await client.getChainId(),
      kmsContract: contractAddress,
      finality: { confirmations: 0 },
    },
    setBehaviour: async (value: string) => {
      const { abi } = FakeKms
      const call = { address: contractAddress, abi, functionName: 'setBehaviour', args: [value] }
      await wallet.writeContract(call)
    },
    /** Every question fails from now on, or is answered again. */
    setDown: (down: boolean) => {
      isDown = down
    },
    stop: async () => {
      rpc.closeAllConnections()
      await new Promise((closed) => rpc.close(closed))
      await connection.close()
    },
  }
}

/** `assent kms run`, until it says that it serves. */
async function run(
  children: Set<ChildProcess>,
  cli: string,
  configFile: string,
  serving: RegExp,
): Promise<Started> {
  const child = spawn(process.execPath, [cli, 'kms', 'run', '--config', configFile])
  children.add(child)
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let output = ''
  const collect = (chunk: Buffer) => {
    output += chunk
  }
  child.stderr.on('data', collect)
  const url = await new Promise<string>((resolve, reject) => {
    void ended.then(() => reject(new Error(output)))
    child.stdout.on('data', (chunk: Buffer) => {
      collect(chunk)
      const port = serving.exec(output)?.[1]
      if (port !== undefined) resolve(`https://localhost:${port}`)
    })
  })
  return {
    child,
    url,
    output: () => output,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal)
      return ended
    },
  }
}
