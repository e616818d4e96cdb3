import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { afterAll, describe, expect, test } from 'vitest'

import { concatBytes, fromHex, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { decodeAttestation } from '../../src/quote/attestation.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { createAgentClient } from '../../src/tee/agent.ts'
import { createAgent, serveAgent } from '../../src/tee/simulator/agent.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { readCommittedJson } from '../vectors.ts'

const folder = mkdtempSync(join(tmpdir(), 'assent-agent-'))
afterAll(() => rmSync(folder, { recursive: true }))

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const reportData = new Uint8Array(64).fill(5)

const boot = () =>
  createSimulator({ at, seed: new Uint8Array(32).fill(4) })
    .createPlatform()
    .createCvm({ image: createImage(), compose: '{"name":"demo"}' })

let sockets = 0
const nextSocket = () => join(folder, `${sockets++}.sock`)

test('gives a client quotes, attestations and its identity over a unix socket', async () => {
  const cvm = boot()
  const server = await serveAgent(cvm, nextSocket())
  const client = createAgentClient({ socket: server.socket })

  const evidence = await client.attest(reportData)
  const attestation = decodeAttestation(await client.attestation(reportData))
  const info = await client.info()
  await server.close()

  expect(parseQuote(evidence.quote).report.reportData).toEqual(reportData)
  expect(evidence).toEqual(await cvm.source.attest(reportData))
  expect(attestation.reportData).toEqual(reportData)
  expect(info.appId).toEqual(cvm.appId)
  expect(info.composeHash).toEqual(cvm.composeHash)
  expect(info.vmConfig).toBe(cvm.vmConfig)
})

test('derives keys whose chain leads to the KMS root', async () => {
  const cvm = boot()
  const root = fromHex('11'.repeat(32), 'root')
  const k256Key = fromHex('22'.repeat(32), 'app key')
  const issued = keccak_256(
    concatBytes(utf8ToBytes('dstack-kms-issued:'), cvm.appId, secp256k1.getPublicKey(k256Key)),
  )
  const recovered = secp256k1.sign(issued, root, { prehash: false, format: 'recovered' })
  const k256Signature = concatBytes(recovered.slice(1), recovered.slice(0, 1))
  cvm.advance('ready', { keys: { k256Key, k256Signature } })
  const server = await serveAgent(cvm, nextSocket())

  const { key, signatureChain } = await createAgentClient({ socket: server.socket }).getKey({
    path: 'vms',
    purpose: 'signing',
  })
  await server.close()

  // the specification's recipe, step by step
  const message = `signing:${toHex(secp256k1.getPublicKey(key))}`
  const appKey = recover(signatureChain[0], keccak_256(utf8ToBytes(message)))
  const rootKey = recover(
    signatureChain[1],
    keccak_256(concatBytes(utf8ToBytes('dstack-kms-issued:'), cvm.appId, appKey)),
  )
  expect(toHex(rootKey)).toBe(toHex(secp256k1.getPublicKey(root)))
})

function recover(signature: Uint8Array, digest: Uint8Array): Uint8Array {
  const recovered = concatBytes(signature.slice(64), signature.slice(0, 64))
  return secp256k1.recoverPublicKey(recovered, digest, { prehash: false })
}

interface KeyVector {
  app_k256_key: string
  cases: {
    path: string
    purpose: string
    algorithm: string
    key: string
    signature_chain: string[]
  }[]
}

test('derives the recorded keys of a dstack app, and their signatures', async () => {
  const vector = readCommittedJson<KeyVector>('dstack/kat/guest-getkey.json')
  const cvm = boot()
  cvm.advance('ready', {
    keys: {
      k256Key: fromHex(vector.app_k256_key, 'app key'),
      k256Signature: fromHex(vector.cases[0]?.signature_chain[1] ?? '', 'signature'),
    },
  })
  const agent = createAgent(cvm)

  for (const { path, purpose, algorithm, key, signature_chain } of vector.cases) {
    const body = JSON.stringify({ path, purpose, algorithm })
    const answer = await agent.request('/GetKey', { method: 'POST', body })
    expect(await answer.json()).toEqual({ key, signature_chain })
  }
})

describe('as dstack answers it', () => {
  test('takes GET with a query and pads report data', async () => {
    const answer = await createAgent(boot()).request('/GetQuote?report_data=0xabcd')
    const body = (await answer.json()) as { report_data: string }

    expect(body.report_data).toBe(`abcd${'00'.repeat(62)}`)
  })

  test('answers every error with 400 and a reason', async () => {
    const agent = createAgent(boot())
    const tooLong = await agent.request(`/GetQuote?report_data=${'00'.repeat(65)}`)
    const unknown = await agent.request('/Nothing')

    expect(tooLong.status).toBe(400)
    expect(await tooLong.json()).toEqual({ error: 'Report data must be at most 64 bytes' })
    expect(unknown.status).toBe(400)
    expect(await unknown.json()).toEqual({ error: 'Service not found: Nothing' })
  })

  test('extends what the app emits', async () => {
    const cvm = boot()
    await createAgent(cvm).request('/EmitEvent', {
      method: 'POST',
      body: '{"event":"mine","payload":"00ff"}',
    })

    expect(cvm.events.at(-1)).toEqual({ name: 'mine', payload: Uint8Array.of(0, 255), version: 1 })
  })
})

describe('a client', () => {
  /** An agent that says whatever the test wants. */
  async function answering(status: number, body: string, delayMs = 0) {
    const socket = nextSocket()
    const server = createServer((_, response) => {
      setTimeout(() => response.writeHead(status).end(body), delayMs)
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    const client = createAgentClient({ socket, timeoutMs: 200 })
    return {
      client,
      async close() {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  }

  const quoteAnswer = (quote: string) =>
    JSON.stringify({ quote, event_log: '[]', report_data: '', vm_config: '' })

  test.each([
    ['TEE_REFUSED', 400, '{"error":"quote service is down"}', 0],
    ['TEE_ANSWER_INVALID', 200, '<html>', 0],
    ['TEE_ANSWER_INVALID', 200, '{}', 0],
    ['TEE_ANSWER_INVALID', 200, quoteAnswer('0x00'), 0],
    ['TEE_ANSWER_INVALID', 200, quoteAnswer('xyz'), 0],
    ['TEE_TIMEOUT', 200, '{}', 1000],
  ])('gives %s for status %i and %s', async (code, status, body, delayMs) => {
    const agent = await answering(status, body, delayMs)

    await expect(agent.client.attest(reportData)).rejects.toMatchObject({ code })
    await agent.close()
  })

  test('refuses a quote over other report data', async () => {
    const replayed = toHex(boot().quote(new Uint8Array(64)))
    const agent = await answering(200, quoteAnswer(replayed))

    await expect(agent.client.attest(reportData)).rejects.toMatchObject({
      code: 'TEE_REPORT_DATA_MISMATCH',
    })
    await agent.close()
  })

  test('refuses a key of another length without repeating it', async () => {
    const agent = await answering(
      200,
      JSON.stringify({ key: 'c0ffee', signature_chain: ['00'.repeat(65), '00'.repeat(65)] }),
    )

    const error = await agent.client.getKey({ path: 'a', purpose: 'b' }).catch((e: Error) => e)
    await agent.close()

    expect(error).toMatchObject({ code: 'TEE_ANSWER_INVALID' })
    expect(JSON.stringify(error)).not.toContain('c0ffee')
  })

  test('says that there is no agent', async () => {
    const client = createAgentClient({ socket: join(folder, 'none.sock') })

    await expect(client.attest(reportData)).rejects.toMatchObject({ code: 'TEE_UNAVAILABLE' })
  })

  test('asks only with 64 bytes', async () => {
    const client = createAgentClient({ socket: join(folder, 'none.sock') })

    await expect(client.attest(new Uint8Array(32))).rejects.toMatchObject({ code: 'LENGTH_WRONG' })
  })
})
