/** dstack's own SDKs, unmodified, against the simulated guest agent and a real KMS. */
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { readCertificate } from '../../src/kms/certificates/certificate.ts'
import { readBoundAttestation } from '../../src/kms/certificates/ratls.ts'
import { requestCertificate } from '../../src/kms/certificates/request-certificate.ts'
import { fetchAppKeys, verifyKeyChain } from '../../src/kms/client.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import { decodeAttestation } from '../../src/quote/attestation.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { type AgentServer, serveAgent } from '../../src/tee/simulator/agent/agent.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createDeployment, type KmsDeployment } from '../kms/fixture.ts'
import { installPythonSdk, loadJavaScriptSdk } from './install-sdk.ts'

const folder = mkdtempSync(join(tmpdir(), 'assent-sdk-'))
const socket = join(folder, 'agent.sock')
const python = installPythonSdk()

let deployment: KmsDeployment
let kms: RunningKms
let cvm: SimulatedCvm
let agent: AgentServer

beforeAll(async () => {
  deployment = await createDeployment()
  kms = await deployment.start()
  cvm = deployment.boot()
  await deployment.setComposeHash(cvm.composeHash)
  const options = { url: kms.url, clock: deployment.chain.clock ?? (() => 0) }
  const keys = await fetchAppKeys(options, cvm.source, cvm.vmConfig)
  cvm.advance('ready', { keyProvider: { name: 'kms', id: kms.caPublicKey }, keys })
  agent = await serveAgent(cvm, socket, {
    issuer: (order) => requestCertificate({ url: kms.url }, order),
  })
})
afterAll(async () => {
  await agent.close()
  await deployment.close()
  rmSync(folder, { recursive: true })
})

/** What both SDKs brought back, in one form. */
interface Answers {
  version: string
  reachable: boolean
  key: Key
  ed25519: Key
  tls: { key: string; certificate_chain: string[] }
  info: Record<string, unknown> & { tcb_info: Record<string, unknown> }
  quote: { quote: string; events: number }
  attestation: string
  signed: Record<string, { chain: string[]; public_key: string; valid: boolean; changed: boolean }>
}

interface Key {
  key: string
  signature_chain: string[]
}

/** The checks that hold for every SDK: each compares with what the KMS and the quote prove. */
function expectSound(answers: Answers): void {
  expect(answers).toMatchObject({ version: '0.6.0', reachable: true })
  expectIssuedToApp(answers.tls)
  expectDescribesApp(answers.info)
  const reportData = `${Buffer.from('hello').toString('hex')}${'00'.repeat(59)}`
  const { quote, events } = answers.quote
  expect(toHex(parseQuote(fromHex(quote, 'quote')).report.reportData)).toBe(reportData)
  expect(events).toBeGreaterThan(cvm.events.length)
  const attestation = decodeAttestation(fromHex(answers.attestation, 'attestation'))
  expect(toHex(attestation.reportData)).toBe(reportData)
  // one secret for both curves, as guest API v0 has it
  expect(answers.ed25519.key).toBe(answers.key.key)
  for (const [mode, { chain, public_key, valid, changed }] of Object.entries(answers.signed)) {
    expect({ mode, valid, changed }).toEqual({ mode, valid: true, changed: false })
    expectChain(public_key, 'signing', chain.slice(1))
  }
}

/** The key's chain leads to the root of the KMS. */
function expectChain(publicKey: string, purpose: string, chain: readonly string[]): void {
  const [link, root] = chain.map((hex) => fromHex(hex, 'signature'))
  if (link === undefined || root === undefined) throw new Error('the chain is too short')
  verifyKeyChain(
    {
      appId: cvm.appId,
      publicKey: fromHex(publicKey, 'public key'),
      purpose,
      signatureChain: [link, root],
    },
    kms.k256PublicKey,
  )
}

/** A certificate for the SDK's own key, under the KMS's root, that carries the app's quote. */
function expectIssuedToApp({ key, certificate_chain: chain }: Answers['tls']): void {
  const [leaf, appCa, root] = chain.map((pem) => new X509Certificate(pem))
  if (leaf === undefined || appCa === undefined || root === undefined) {
    throw new Error('the chain is too short')
  }
  expect(key).toContain('BEGIN PRIVATE KEY')
  expect(leaf.verify(appCa.publicKey) && appCa.verify(root.publicKey)).toBe(true)
  expect(leaf.subjectAltName).toBe('DNS:app.example')
  expect(readCertificate(new Uint8Array(root.raw)).spki).toEqual(kms.caPublicKey)
  const { attestation } = readBoundAttestation(new Uint8Array(leaf.raw))
  expect(attestation?.config).toBe(cvm.vmConfig)
}

function expectDescribesApp(info: Answers['info']): void {
  expect(info).toMatchObject({
    app_id: toHex(cvm.appId),
    instance_id: toHex(cvm.instanceId),
    compose_hash: toHex(cvm.composeHash),
    app_name: 'demo',
    tcb_info: {
      mrtd: toHex(cvm.registers.mrTd),
      rtmr3: toHex(cvm.registers.rtmrs[3]),
      app_compose: new TextDecoder().decode(cvm.compose),
    },
  })
  expect(String(info.app_cert).match(/BEGIN CERTIFICATE/g)).toHaveLength(3)
}

describe('@phala/dstack-sdk 0.5.8', () => {
  interface Sdk {
    DstackClient: new (socket: string) => Client
  }
  interface Client {
    version(): Promise<{ version: string }>
    isReachable(): Promise<boolean>
    getKey(path: string, purpose: string, algorithm?: string): Promise<JsKey>
    getTlsKey(options: object): Promise<Answers['tls']>
    getQuote(data: string): Promise<{ quote: string; event_log: string }>
    attest(data: string): Promise<{ attestation: string }>
    info(): Promise<Answers['info']>
    sign(mode: string, data: Uint8Array): Promise<JsSigned>
    verify(mode: string, data: Uint8Array, signature: Uint8Array, key: Uint8Array): Promise<Valid>
  }
  interface JsKey {
    key: Uint8Array
    signature_chain: Uint8Array[]
  }
  interface JsSigned {
    signature: Uint8Array
    signature_chain: Uint8Array[]
    public_key: Uint8Array
  }
  interface Valid {
    valid: boolean
  }

  const toKey = ({ key, signature_chain }: JsKey): Key => ({
    key: toHex(key),
    signature_chain: signature_chain.map(toHex),
  })

  async function signAndVerify(client: Client, mode: string, data: Uint8Array) {
    const signed = await client.sign(mode, data)
    const changed = data.map((byte, index) => (index === 0 ? byte ^ 1 : byte))
    const verify = async (tried: Uint8Array) =>
      (await client.verify(mode, tried, signed.signature, signed.public_key)).valid
    return {
      chain: signed.signature_chain.map(toHex),
      public_key: toHex(signed.public_key),
      valid: await verify(data),
      changed: await verify(changed),
    }
  }

  test('uses every method of the agent, and each answer is what the KMS and the quote prove', async () => {
    const { DstackClient } = loadJavaScriptSdk<Sdk>()
    const client = new DstackClient(socket)
    const message = new TextEncoder().encode('message')
    const { quote, event_log } = await client.getQuote('hello')

    expectSound({
      version: (await client.version()).version,
      reachable: await client.isReachable(),
      key: toKey(await client.getKey('a/b', 'signing')),
      ed25519: toKey(await client.getKey('a/b', 'signing', 'ed25519')),
      tls: await client.getTlsKey({
        subject: 'app',
        altNames: ['app.example'],
        usageRaTls: true,
        notBefore: 1786000000,
        notAfter: 1790000000,
        withAppInfo: true,
      }),
      info: await client.info(),
      quote: { quote, events: JSON.parse(event_log).length },
      attestation: (await client.attest('hello')).attestation,
      signed: {
        secp256k1: await signAndVerify(client, 'secp256k1', message),
        secp256k1_prehashed: await signAndVerify(
          client,
          'secp256k1_prehashed',
          new Uint8Array(32).fill(17),
        ),
        ed25519: await signAndVerify(client, 'ed25519', message),
      },
    })
  })
})

describe('Python dstack-sdk 0.5.4', () => {
  test.skipIf(python === undefined)(
    'uses every method of the agent, and each answer is what the KMS and the quote prove',
    async () => {
      const script = join(import.meta.dirname, 'sdk/exercise.py')
      const { stdout } = await promisify(execFile)(String(python), [script, socket])

      expectSound(JSON.parse(stdout) as Answers)
    },
  )
})
