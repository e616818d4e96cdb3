/** A chain over HTTP with an app that takes requests, a simulated CVM with its guest agent, and the settings of a worker. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type Address, keccak256, parseEther, parseEventLogs } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

import { requestsAbi } from '../../src/chain/abi.ts'
import {
  encodeInputReference,
  requestWork,
  setRequestTerms,
} from '../../src/chain/registries/requests.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { serveAgent } from '../../src/tee/simulator/agent/agent.ts'
import { createInstanceSystem, type InstanceSystem } from '../chain/instance-system.ts'

export type WorkerStage = Awaited<ReturnType<typeof createWorkerStage>>

const privateKey: Hex = `0x${'42'.repeat(32)}`

export async function createWorkerStage() {
  const system = await createInstanceSystem()
  const { account, contracts, app, cvm } = system
  const none: Address = `0x${'0'.repeat(40)}`
  const requests = await system.deploy('Requests', [contracts.instances, none, account, 500])
  const terms = { payee: account, minFee: 100n, ownerShare: 0, answerTime: 600 }
  await system.send(setRequestTerms(requests, app, terms))
  const { address: operator } = privateKeyToAccount(privateKey)
  await system.test.setBalance({ address: operator, value: parseEther('10') })

  const folder = await mkdtemp(join(tmpdir(), 'assent-worker-'))
  const agent = await serveAgent(cvm, join(folder, 'agent.sock'))
  const rpc = await serveRpc(system)
  await writeFile(
    join(folder, 'deployment.json'),
    JSON.stringify(recordOf({ ...contracts, requests })),
  )
  const settings = {
    chainId: 31337,
    rpcUrls: [rpc.url],
    finality: 0,
    deploymentFile: join(folder, 'deployment.json'),
    pollSeconds: 0.1,
    app,
    deviceId: system.deviceId,
    agentSocket: agent.socket,
    keyFile: join(folder, 'key'),
    insecureKeyOnDisk: true,
    handlerUrl: 'http://127.0.0.1:1',
    privateKey,
    allowInsecureKey: true,
    dataFolder: join(folder, 'data'),
    port: 0,
    logLevel: 'silent',
  }
  const writeSettings = async (changed: object = {}) => {
    const file = join(folder, 'worker.json')
    await writeFile(file, JSON.stringify({ ...settings, ...changed }))
    return file
  }
  const ask = async (input: Uint8Array) => {
    const { timestamp } = await system.clients.publicClient.getBlock()
    const receipt = await system.send(
      requestWork(requests, {
        app,
        inputDigest: keccak256(input),
        inputReference: encodeInputReference({ kind: 'inline', input }),
        deadline: Number(timestamp) + 3_600,
        fee: 1_000n,
      }),
    )
    const [log] = parseEventLogs({ abi: requestsAbi, eventName: 'Requested', logs: receipt.logs })
    if (log === undefined) throw new Error('no event')
    return log.args.id
  }
  return {
    system,
    folder,
    requests,
    operator,
    writeSettings,
    ask,
    async stop() {
      await rpc.close()
      await agent.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Serves the chain of Hardhat over HTTP: JSON-RPC requests, one or a list. */
async function serveRpc({ clients }: InstanceSystem) {
  const answer = async ({ id, method, params }: { id: number; method: string; params: never }) => {
    try {
      const result = await clients.publicClient.request({ method, params } as never)
      return { jsonrpc: '2.0', id, result }
    } catch (error) {
      const { code = -32_000, data, message } = causeOf(error)
      return {
        jsonrpc: '2.0',
        id,
        error: { code, message, ...(data === undefined ? {} : { data }) },
      }
    }
  }
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const asked = JSON.parse(Buffer.concat(pieces).toString())
    const body = Array.isArray(asked) ? await Promise.all(asked.map(answer)) : await answer(asked)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

/** The error of the node in an error of viem. */
function causeOf(error: unknown): { code?: number; data?: unknown; message: string } {
  let found = error as Error & { code?: number; data?: unknown }
  while (found.cause instanceof Error) found = found.cause as typeof found
  const { code, data, message } = found
  return { ...(typeof code === 'number' ? { code } : {}), data, message }
}

/** A record of these contracts; the required ones that a worker does not use are placeholders. */
function recordOf(addresses: object) {
  const zero = `0x${'0'.repeat(64)}`
  const unused = ['votes', 'timelock', 'governor', 'appImplementation', 'kmsAuthImplementation']
  const placeholders = unused.map((name) => [name, `0x${'1'.repeat(40)}`])
  const contracts = Object.fromEntries(
    [...placeholders, ...Object.entries(addresses)].map(([name, address]) => [
      name,
      {
        address,
        contract: name,
        block: 0,
        transaction: zero,
        deployer: `0x${'1'.repeat(40)}`,
        nonce: 0,
        arguments: [],
      },
    ]),
  )
  return { chainId: 31337, commit: 'abc', compiler: { version: '0.8.30', settings: {} }, contracts }
}
