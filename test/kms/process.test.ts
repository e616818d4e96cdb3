import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { network } from 'hardhat'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { fetchAppKeys, verifyFetchedKeys } from '../../src/kms/client.ts'
import { runBootstrap, runKms } from '../../src/kms/main.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { decodeAttestation } from '../../src/quote/attestation.ts'
import { bootstrapReportData } from '../../src/quote/measure.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { type AgentServer, serveAgent } from '../../src/tee/simulator/agent.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { compile, fakeKmsSource } from '../chain/fakes.ts'

const simulator = createSimulator()
const host = simulator.createPlatform()
const image = createImage()
const own = host.createCvm({ image, compose: '{"name":"kms"}' })
own.advance('ready', {
  keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) },
  keys: { k256Key: new Uint8Array(32).fill(5), k256Signature: new Uint8Array(65) },
})

let connection: Awaited<ReturnType<typeof network.create>>
let rpc: Server
let agent: AgentServer
let folder: string
let settings: Record<string, unknown>
let setBehaviour: (value: string) => Promise<void>
const children: ChildProcess[] = []

beforeAll(async () => {
  connection = await network.create()
  const [wallet] = await connection.viem.getWalletClients()
  const client = await connection.viem.getPublicClient()
  const { FakeKms } = compile(fakeKmsSource)
  if (wallet === undefined || FakeKms === undefined) throw new Error('no chain')
  const hash = await wallet.deployContract(FakeKms)
  const { contractAddress } = await client.waitForTransactionReceipt({ hash })
  if (!contractAddress) throw new Error('not deployed')
  setBehaviour = async (value) => {
    const { abi } = FakeKms
    const call = { address: contractAddress, abi, functionName: 'setBehaviour', args: [value] }
    await wallet.writeContract(call)
  }
  rpc = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString())
      const result = await connection.provider.request({ method, params })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
    })
  })
  await new Promise<void>((listening) => rpc.listen(0, '127.0.0.1', listening))
  const shared = await mkdtemp(join(tmpdir(), 'kms-'))
  await writeFile(join(shared, 'root.der'), simulator.rootCertificate)
  await writeFile(join(shared, 'collateral.json'), JSON.stringify(simulator.collateral()))
  agent = await serveAgent(own, join(shared, 'agent.sock'))
  settings = {
    chainView: {
      insecureSingleEndpoint: `http://127.0.0.1:${(rpc.address() as AddressInfo).port}`,
    },
    chainId: await client.getChainId(),
    kmsContract: contractAddress,
    finality: { confirmations: 0 },
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
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kms-'))
  await setBehaviour('allow')
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await agent.close()
  rpc.closeAllConnections()
  await new Promise((closed) => rpc.close(closed))
  await connection.close()
})

async function configure(changed: Record<string, unknown> = {}): Promise<string> {
  const path = join(folder, 'config.json')
  const config = { ...settings, keysFolder: join(folder, 'keys'), ...changed }
  await writeFile(path, JSON.stringify(config))
  return path
}

const aborted = AbortSignal.abort()

describe('bootstrap', () => {
  test('makes sealed keys once, and a quote over both public keys', async () => {
    const configFile = await configure()
    const info = await runBootstrap({ configFile, env: {} })
    const { quote } = decodeAttestation(info.attestation)

    expect(parseQuote(quote).report.reportData).toEqual(
      bootstrapReportData(info.caPubkey, info.k256Pubkey),
    )
    expect((await readdir(join(folder, 'keys'))).sort()).toEqual([
      'bootstrap-info.json',
      'root-keys.bin',
    ])
    expect((await stat(join(folder, 'keys', 'bootstrap-info.json'))).mode & 0o077).toBe(0)
    await expect(runBootstrap({ configFile, env: {} })).rejects.toMatchObject({
      code: 'KMS_KEYS_EXIST',
    })
  })

  test('cut off between the keys and the quote, it goes on with the same keys', async () => {
    const configFile = await configure()
    const first = await runBootstrap({ configFile, env: {} })
    await rm(join(folder, 'keys', 'bootstrap-info.json'))
    const second = await runBootstrap({ configFile, env: {} })

    expect(toHex(second.caPubkey)).toBe(toHex(first.caPubkey))
    expect(toHex(second.k256Pubkey)).toBe(toHex(first.k256Pubkey))
  })

  test('is refused where the chain does not approve this KMS, and leaves nothing', async () => {
    await setBehaviour('self-deny')

    await expect(runBootstrap({ configFile: await configure(), env: {} })).rejects.toMatchObject({
      code: 'KMS_SELF_DENIED',
      message: expect.stringMatching(/^KMS is not allowed to bootstrap: /),
    })
    expect(await readdir(folder)).toEqual(['config.json'])
  })
})

describe('run', () => {
  test('never makes root keys by the way', async () => {
    await expect(
      runKms({ configFile: await configure(), env: {}, signal: aborted }),
    ).rejects.toMatchObject({ code: 'KMS_NOT_BOOTSTRAPPED' })
    expect(await readdir(folder)).toEqual(['config.json'])
  })

  test('refuses a statement about other keys', async () => {
    const configFile = await configure()
    await runBootstrap({ configFile, env: {} })
    const path = join(folder, 'keys', 'bootstrap-info.json')
    const info = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ ...info, k256_pubkey: `02${'11'.repeat(32)}` }))

    await expect(runKms({ configFile, env: {}, signal: aborted })).rejects.toMatchObject({
      code: 'KMS_KEYS_UNREADABLE',
    })
  })

  test('the settings are checked whole, and nothing that matters has a default', async () => {
    const needed = [
      'chainView',
      'chainId',
      'kmsContract',
      'finality',
      'maxBlockAgeSeconds',
      'domain',
      'keyProtection',
      'trustedRoot',
      'collateral',
      'imageVerification',
      'selfAuthorization',
    ]
    for (const name of needed) {
      const configFile = await configure({ [name]: undefined })
      await expect(runKms({ configFile, env: {}, signal: aborted })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(name),
      })
    }
    const wrong = [
      { unknownSetting: 1 },
      { kmsContract: '0x12' },
      { finality: 'latest' },
      { trustedRoot: 'any' },
      { domain: 'a b' },
      { images: { zz: [] } },
      { quotePolicy: { statuses: [] } },
    ]
    for (const change of wrong) {
      const configFile = await configure(change)
      await expect(runKms({ configFile, env: {}, signal: aborted })).rejects.toMatchObject({
        code: expect.stringMatching(/^(CONFIG_INVALID|POLICY_INVALID)$/),
      })
    }
  })
})

test('as a process of its own: serves, releases a key, stops on SIGTERM', async () => {
  const configFile = await configure()
  const info = await runBootstrap({ configFile, env: {} })
  const command = join(import.meta.dirname, '../../src/cli/kms.ts')
  const program = `
    import { kmsCommand } from ${JSON.stringify(command)}
    await kmsCommand.parseAsync(['run', '--config', ${JSON.stringify(configFile)}], { from: 'user' })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program])
  children.push(child)
  let log = ''
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error(errors)))
    child.stdout.on('data', (chunk) => {
      log += chunk
      const found = /"url":"([^"]+)"/.exec(log)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  const cvm = host.createCvm({ image, compose: '{"name":"app"}' })
  const keys = await fetchAppKeys(
    { url: url.replace('127.0.0.1', 'localhost'), caPublicKey: info.caPubkey },
    cvm.source,
    cvm.vmConfig,
  )
  verifyFetchedKeys(cvm.appId, keys, info.k256Pubkey)
  child.kill('SIGTERM')
  const code = await new Promise((resolve) => child.once('exit', resolve))

  expect(code).toBe(0)
  expect(errors).toBe('')
  expect(log).toContain('KMS stopped')
  expect(log).not.toContain(toHex(keys.k256Key))
})
