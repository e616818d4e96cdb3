import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { afterAll, describe, expect, test } from 'vitest'
import { certificateReportData } from '../../src/kms/certificates/ratls.ts'
import { appKeyMessage } from '../../src/kms/keys/derive.ts'
import { verifyGuestKeyChain } from '../../src/kms/keys/guest-key-chain.ts'
import { concatBytes, fromHex, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { signK256 } from '../../src/lib/k256.ts'
import { decodeAttestation } from '../../src/quote/attestation.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { createAgentClient } from '../../src/tee/agent.ts'
import {
  type AgentCertificateRequest,
  createAgent,
  createWorker,
  serveAgent,
} from '../../src/tee/simulator/agent/agent.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { readCommittedJson } from '../vectors.ts'

const folder = mkdtempSync(join(tmpdir(), 'assent-agent-'))
afterAll(() => rmSync(folder, { recursive: true }))

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const reportData = new Uint8Array(64).fill(5)

const bootCompose = (compose: string) =>
  createSimulator({ at, seed: new Uint8Array(32).fill(4) })
    .createPlatform()
    .createCvm({ image: createImage(), compose })
const boot = () => bootCompose('{"name":"demo"}')

let sockets = 0
const nextSocket = () => join(folder, `${sockets++}.sock`)

test('the simulated guest agent gives a client quotes, attestations and its identity over a unix socket', async () => {
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

test('the simulated guest agent derives keys whose chain leads to the KMS root', async () => {
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

test('the simulated guest agent derives the recorded keys of a dstack app, and their signatures', async () => {
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

describe('the simulated guest agent, like the agent of dstack,', () => {
  test('accepts GET with a query and pads report data', async () => {
    const answer = await createAgent(boot()).request('/GetQuote?report_data=0xabcd')
    const body = (await answer.json()) as { report_data: string }

    expect(body.report_data).toBe(`abcd${'00'.repeat(62)}`)
  })

  test('answers a failed method with 400 and a reason', async () => {
    const tooLong = await createAgent(boot()).request(`/GetQuote?report_data=${'00'.repeat(65)}`)

    expect(tooLong.status).toBe(400)
    expect(await tooLong.json()).toEqual({ error: 'Report data must be at most 64 bytes' })
  })

  test.each([
    ['0.5', '/Nothing', 400],
    ['0.6', '/Nothing', 404],
    ['0.6', '/v0/Nothing', 404],
    ['0.6', '/v1/Nothing', 404],
    ['0.6', '/v1/Sign', 404],
    ['0.6', '/IssueCert', 404],
  ] as const)(
    'of release %s answers the unknown method %s with %i',
    async (release, path, status) => {
      const answer = await createAgent(boot(), { release }).request(path)

      expect(answer.status).toBe(status)
      expect(await answer.json()).toEqual({ error: `Service not found: ${path.split('/').at(-1)}` })
    },
  )

  test('of release 0.5 has no API v1 and answers 404 without a body of the agent', async () => {
    const answer = await createAgent(boot(), { release: '0.5' }).request('/v1/Version')

    expect(answer.status).toBe(404)
    expect(await answer.text()).not.toContain('Service not found')
  })

  const emit = (release: '0.5' | '0.6', cvm = boot()) =>
    createAgent(cvm, { release }).request('/EmitEvent', {
      method: 'POST',
      body: '{"event":"mine","payload":"00ff"}',
    })

  test('of release 0.5 extends RTMR3 by the events of the app', async () => {
    const cvm = boot()
    await emit('0.5', cvm)

    expect(cvm.events.at(-1)).toEqual({ name: 'mine', payload: Uint8Array.of(0, 255), version: 1 })
  })

  test('of release 0.6 refuses an event of the app and does not change RTMR3', async () => {
    const cvm = boot()
    const before = cvm.registers.rtmrs[3]
    const answer = await emit('0.6', cvm)

    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: expect.stringContaining('removed') })
    expect(cvm.registers.rtmrs[3]).toEqual(before)
  })

  test('serves API v0 with and without the version in the path', async () => {
    const agent = createAgent(boot())
    const [named, unnamed] = await Promise.all(
      ['/v0/Version', '/Version'].map(async (path) => (await agent.request(path)).json()),
    )

    expect(named).toEqual(unnamed)
  })

  test('issues no certificate without an issuer or with an end before its start', async () => {
    const none = await createAgent(boot()).request('/GetTlsKey')
    const agent = createAgent(boot(), { issuer: async () => ['unused'] })
    const backwards = await agent.request('/v1/IssueCert?not_before=10&not_after=10')

    expect(await none.json()).toEqual({ error: 'Failed to sign the CSR: the app has no issuer' })
    expect(await backwards.json()).toEqual({ error: 'not_before must be earlier than not_after' })
  })

  test('gives the issuer the requested fields and a quote over the same key', async () => {
    const orders: AgentCertificateRequest[] = []
    const issuer = async (order: AgentCertificateRequest) => {
      orders.push(order)
      return ['leaf', 'root']
    }
    const body = JSON.stringify({ subject: 'app', alt_names: ['a.example'], usage_ra_tls: true })
    const answer = await createAgent(boot(), { issuer }).request('/v1/IssueCert', {
      method: 'POST',
      body,
    })
    const issued = (await answer.json()) as { key: string; certificate_chain: string[] }

    const [order] = orders
    if (order === undefined) throw new Error('nothing was ordered')
    expect(issued).toEqual({ key: order.privateKey, certificate_chain: ['leaf', 'root'] })
    expect(order).toMatchObject({ subject: 'app', names: ['a.example'], withQuote: true })
    expect(order).toMatchObject({ serverAuth: false, withAppInfo: false, notAfter: undefined })
    const { reportData: bound } = decodeAttestation(order.attestation)
    expect(bound).toEqual(certificateReportData(order.spki))
  })

  test.each([
    [{ name: 'demo' }, ''],
    [{ name: 'demo', public_tcbinfo: true }, '{"name":"demo","public_tcbinfo":true}'],
  ])('shows outside the CVM, with %o, the documents %j', async (members, document) => {
    const cvm = bootCompose(JSON.stringify(members))
    const worker = createWorker(cvm)
    const v1 = (await (await worker.request('/prpc/v1/Info')).json()) as Record<string, string>
    const v0 = (await (await worker.request('/prpc/Worker.Info')).json()) as Record<string, string>

    expect(v1.app_compose).toBe(document)
    expect(v1.vm_config === '').toBe(document === '')
    expect(v1.compose_hash).toBe(toHex(cvm.composeHash))
    expect(v0.tcb_info === '').toBe(document === '')
    expect((await worker.request('/prpc/v1/GetKey')).status).toBe(404)
  })
})

describe('keys of guest API v1', () => {
  // dstack docs/guest-api-v1.md, "Test vectors"
  const k256Key = fromHex(
    '1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b',
    'app key',
  )
  const vectors = [
    [
      '',
      'secp256k1',
      '59f60584',
      '0377c7fb050db181d392266a3cee9adb2901c6d665f11bac68be5457f577ba4908',
    ],
    ['', 'ed25519', 'b0234930', 'a3dc149fd5b765eab2eb7d3174fa939e39386898f10b15b7b146f6f1358ecf2a'],
    [
      'storage-encryption',
      'secp256k1',
      '5510330f',
      '03d962450a41748021c8b02787ac36ce642ff0ae25f4c55019eb527e1112cfd764',
    ],
    [
      'storage-encryption',
      'ed25519',
      '3c4c3ece',
      '2380c4a33a60b60613fa43866421e5b96eb8dcde211317200fd0d41e7e491288',
    ],
    [
      'a/b/c',
      'secp256k1',
      '7f097344',
      '02e9b1a61b6d70aa9b241753828c316bf90e33e77b2e113f9ba75a8b6dc3cde5c1',
    ],
    [
      'k\0:ey',
      'ed25519',
      '42da8bf0',
      'c833107822b003ff5675b33b90b151d4315c3ab9162b17d876e8dffde41abf9b',
    ],
  ] as const

  const agentWithKeys = (k256Signature: Uint8Array = new Uint8Array(65)) => {
    const cvm = boot()
    cvm.advance('ready', { keys: { k256Key, k256Signature } })
    return { cvm, agent: createAgent(cvm) }
  }
  const getKey = async (agent: ReturnType<typeof createAgent>, body: object) => {
    const sent = { method: 'POST', body: JSON.stringify(body) }
    return (await agent.request('/v1/GetKey', sent)).json()
  }

  test.each(vectors)('of %j for %s have the recorded values of dstack', async (...vector) => {
    const [domain, algorithm, key, public_key] = vector
    const answer = await getKey(agentWithKeys().agent, { domain, algorithm })

    expect(answer).toMatchObject({ key: expect.stringMatching(`^${key}`), public_key })
  })

  test('have the recorded signatures of dstack', async () => {
    const name = { domain: 'storage-encryption', algorithm: 'secp256k1' }
    const answer = (await getKey(agentWithKeys().agent, name)) as { signature_chain: string[] }

    expect(answer.signature_chain[0]).toBe(
      '5b6193729ce7976ec67863f21692d4b98c69832698aae8e001a7d33a6f818b6e' +
        '46ca950725b6e90e8ca9bcf394abd03ce264bf9b7eec1e91693247f9dd53c26901',
    )
  })

  test.each(['', 'k256', 'secp256k1_prehashed', 'SECP256K1'])(
    'have no default and no alias: %j is refused',
    async (algorithm) => {
      const answer = await getKey(agentWithKeys().agent, { domain: 'a', algorithm })

      expect(answer).toEqual({ error: 'unsupported algorithm, expected secp256k1 or ed25519' })
    },
  )

  describe('verified against the KMS root', () => {
    const root = fromHex('11'.repeat(32), 'root')
    const rootPublicKey = secp256k1.getPublicKey(root)

    async function fetchChain() {
      const { appId } = boot()
      const k256Signature = signK256(root, appKeyMessage(appId, secp256k1.getPublicKey(k256Key)))
      const { agent } = agentWithKeys(k256Signature)
      const name = { domain: 'wallet', algorithm: 'ed25519' } as const
      const { public_key, signature_chain } = (await getKey(agent, name)) as {
        public_key: string
        signature_chain: [string, string]
      }
      const signatureChain = signature_chain.map((hex) => fromHex(hex, 'link')) as [
        Uint8Array,
        Uint8Array,
      ]
      return { ...name, appId, publicKey: fromHex(public_key, 'public key'), signatureChain }
    }

    test('are valid without changes', async () => {
      expect(verifyGuestKeyChain(await fetchChain(), rootPublicKey)).toEqual(
        secp256k1.getPublicKey(k256Key),
      )
    })

    test.each([
      ['the domain', { domain: 'wallet2' }],
      ['the algorithm', { algorithm: 'secp256k1' as const }],
      ['the public key', { publicKey: new Uint8Array(32).fill(1) }],
      ['the app', { appId: new Uint8Array(20) }],
    ])('are not valid if %s is another', async (_, changed) => {
      const chain = { ...(await fetchChain()), ...changed }

      expect(() => verifyGuestKeyChain(chain, rootPublicKey)).toThrow(
        expect.objectContaining({ code: 'KMS_KEY_CHAIN_BROKEN' }),
      )
    })

    test.each([0, 1])('are not valid if the signature %i is mirrored', async (link) => {
      const chain = await fetchChain()
      const [claim, issued] = chain.signatureChain
      const signatureChain =
        link === 0 ? ([mirror(claim), issued] as const) : ([claim, mirror(issued)] as const)

      expect(() => verifyGuestKeyChain({ ...chain, signatureChain }, rootPublicKey)).toThrow(
        expect.objectContaining({ code: 'KMS_SIGNATURE_INVALID' }),
      )
    })

    /** The other signature that recovers the same key: n − s, and the other recovery id. */
    function mirror(signature: Uint8Array): Uint8Array {
      const s = BigInt(`0x${toHex(signature.subarray(32, 64))}`)
      const mirrored = (secp256k1.Point.CURVE().n - s).toString(16).padStart(64, '0')
      return concatBytes(
        signature.subarray(0, 32),
        fromHex(mirrored, 's'),
        Uint8Array.of((signature[64] as number) ^ 1),
      )
    }
  })
})

describe('the guest agent client', () => {
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
  ])('reports %s for status %i and %s', async (code, status, body, delayMs) => {
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

  test('reports a missing agent as an outage', async () => {
    const client = createAgentClient({ socket: join(folder, 'none.sock') })

    await expect(client.attest(reportData)).rejects.toMatchObject({ code: 'TEE_UNAVAILABLE' })
  })

  test('sends only report data of 64 bytes', async () => {
    const client = createAgentClient({ socket: join(folder, 'none.sock') })

    await expect(client.attest(new Uint8Array(32))).rejects.toMatchObject({ code: 'LENGTH_WRONG' })
  })
})
