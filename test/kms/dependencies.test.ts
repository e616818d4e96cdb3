/** How the settings of a KMS become the rules by which it verifies quotes and images. */
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { beforeAll, describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { verifyAttestation } from '../../src/kms/authorization/verify-attestation.ts'
import { attest } from '../../src/kms/certificates/ratls.ts'
import { kmsConfigSchema } from '../../src/kms/config.ts'
import { connectAgent, readRules } from '../../src/kms/dependencies.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { kmsCompose } from './fixture.ts'

const simulator = createSimulator({ at: Math.floor(Date.now() / 1000) })
const cvm = simulator.createPlatform().createCvm({ image: createImage(), compose: kmsCompose })
const osImageHash = 'ab'.repeat(32)
const register = 'cd'.repeat(48)
const set = { mrtd: register, rtmr0: register, rtmr1: register, rtmr2: register }

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kms-rules-'))
  await writeFile(join(folder, 'root.der'), simulator.rootCertificate)
  await writeFile(join(folder, 'collateral.json'), JSON.stringify(simulator.collateral()))
})

function configOf(changed: Record<string, unknown> = {}) {
  return kmsConfigSchema.parse({
    chainId: 31337,
    kmsContract: `0x${'11'.repeat(20)}`,
    finality: 'finalized',
    maxBlockAgeSeconds: 300,
    chainView: { insecureSingleEndpoint: 'http://127.0.0.1:1' },
    domain: 'localhost',
    keysFolder: join(folder, 'keys'),
    keyProtection: 'sealed',
    trustedRoot: { insecureRootFile: join(folder, 'root.der') },
    collateral: { file: join(folder, 'collateral.json') },
    imageVerification: 'required',
    selfAuthorization: 'required',
    releaseLog: 'insecure-off',
    ...changed,
  })
}

function rulesOf(changed: Record<string, unknown> = {}) {
  return readRules(configOf(changed))
}

async function verify(changed: Record<string, unknown> = {}) {
  const attestation = await attest(cvm.source, new Uint8Array(64))
  return verifyAttestation(attestation, await rulesOf(changed))
}

/** Counts requests and answers none of them well. */
async function countRequests(at: number | string) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(503).end()
  })
  server.listen(at)
  await once(server, 'listening')
  return { asked, server }
}

describe('the rules of a KMS', () => {
  test('accept a quote under the root and with the collateral of the settings', async () => {
    expect((await verify()).verdict.status).toBe('UpToDate')
  })

  test('refuse a quote under another root', async () => {
    await expect(verify({ trustedRoot: 'intel' })).rejects.toMatchObject({
      code: 'KMS_QUOTE_REJECTED',
    })
  })

  test('refuse a quote that the policy of the settings refuses', async () => {
    const quotePolicy = { statuses: ['SWHardeningNeeded'] }

    await expect(verify({ quotePolicy })).rejects.toMatchObject({ code: 'POLICY_STATUS_REFUSED' })
  })

  test('have the measurement sets of the settings for an image, and none for another', async () => {
    const { images } = await rulesOf({ images: { [osImageHash]: [set] } })
    if (typeof images !== 'function') throw new Error('the rules have no sets')

    expect(images(fromHex(osImageHash, 'image', 32))).toHaveLength(1)
    expect(toHex(images(fromHex(osImageHash, 'image', 32))[0]?.mrTd ?? new Uint8Array())).toBe(
      register,
    )
    expect(images(new Uint8Array(32))).toEqual([])
  })

  test('leave the measurement sets to the chain if the settings say so', async () => {
    expect(await rulesOf({ images: 'on-chain' })).toMatchObject({ images: 'on-chain' })
  })

  test('do not verify images only if the settings turn it off', async () => {
    const rules = await rulesOf({ imageVerification: 'insecure-off', images: 'on-chain' })

    expect(rules.images).toBe('insecure-unchecked')
  })

  test('ask the PCCS of the settings for collateral', async () => {
    const { asked, server } = await countRequests(0)
    const { port } = server.address() as AddressInfo
    const pccsUrls = [`http://127.0.0.1:${port}/sgx/certification/v4`]

    await expect(verify({ collateral: { pccsUrls, timeoutMs: 2_000 } })).rejects.toMatchObject({
      code: 'PCCS_UNAVAILABLE',
    })
    expect(asked.length).toBeGreaterThan(0)
    server.close()
  })
})

test('the KMS keeps as many verified PCK chains as pckCacheSize says, and drops the one used longest ago', async () => {
  const { cache, root } = await rulesOf({ pckCacheSize: 16 })
  if (cache === undefined) throw new Error('the rules have no cache')
  const trusted = cache.readTrustedRoot(root)
  const ca = simulator.pki.pckCa('platform').certificate
  const chains = Array.from({ length: 17 }, (_, index) => [
    simulator.createPlatform({ name: `host ${index}` }).pck,
    ca,
    simulator.rootCertificate,
  ])
  const verifyChain = (index: number) =>
    cache.verifyPckChain(chains[index] as Uint8Array[], undefined, trusted)
  const verified = chains.slice(0, 16).map((_, index) => verifyChain(index))

  // the same object: it was not verified again
  expect(verified.map((_, index) => verifyChain(index) === verified[index])).not.toContain(false)
  verifyChain(16)
  expect(verifyChain(0)).not.toBe(verified[0])
  // and it took the place of the next one
  expect(verifyChain(15)).toBe(verified[15])
  expect(verifyChain(1)).not.toBe(verified[1])
})

test('the KMS asks the guest agent at the socket of the settings', async () => {
  const agentSocket = join(folder, 'agent.sock')
  const { asked, server } = await countRequests(agentSocket)

  await expect(
    connectAgent(configOf({ agentSocket })).attest(new Uint8Array(64)),
  ).rejects.toBeInstanceOf(AssentError)
  expect(asked.length).toBeGreaterThan(0)
  server.close()
})
