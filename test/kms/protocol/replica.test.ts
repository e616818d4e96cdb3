/** Replicas: dstack's way of onboarding from ours, and ours from a KMS that is built by hand from the specification. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import type { TLSSocket } from 'node:tls'

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { AuthorizeBoot } from '../../../src/kms/authorization/authorize.ts'
import { createSelfAuthorizer } from '../../../src/kms/authorization/self-authorization.ts'
import { openKeyStore } from '../../../src/kms/keys/key-store.ts'
import { onboardKms } from '../../../src/kms/onboarding/onboard.ts'
import { startOnboarding } from '../../../src/kms/onboarding/onboard-service.ts'
import { createLog } from '../../../src/lib/log.ts'
import type { SimulatedCvm } from '../../../src/tee/simulator/cvm.ts'
import { at, createDeployment, type KmsDeployment, kmsCompose } from '../fixture.ts'
import {
  bytes,
  dstackExtension,
  fromPem,
  hex,
  protobuf,
  readCertificate,
  readProtobuf,
  text,
  toPem,
} from './encodings.ts'
import {
  ask,
  attestationV0,
  type Extension,
  mintCertificate,
  mintTemp,
  nameOf,
  newKey,
  pkcs8,
  reportDataOf,
  sha256,
} from './peer.ts'

let deployment: KmsDeployment
let source: SimulatedCvm
let replica: SimulatedCvm
const closers: (() => unknown)[] = []

const allow: AuthorizeBoot = async () => ({
  allowed: true,
  reason: '',
  gatewayAppId: 'gateway',
  block: { number: 1n, hash: '0x00', timestamp: at },
})

beforeAll(async () => {
  deployment = await createDeployment()
  const ready = (name: string) => {
    const cvm = deployment.boot(
      { compose: kmsCompose },
      deployment.simulator.createPlatform({ name }),
    )
    cvm.advance('ready', { keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) } })
    return cvm
  }
  source = ready('source')
  replica = ready('replica')
})
afterAll(async () => {
  for (const close of closers) await close()
  await deployment.close()
})

const words = (data: unknown) => Buffer.from(data as Uint8Array).toString()
const v0 =
  (cvm: SimulatedCvm) =>
  (reportData: Uint8Array): Extension[] => [
    { last: 8, content: attestationV0(cvm, reportData, cvm.vmConfig) },
  ]

test('a dstack KMS gets the root keys of an Assent KMS: GetTempCaCert, certificate, GetKmsKey (§5.9)', async () => {
  const kms = await deployment.start({ authorizeBoot: allow })
  const first = readProtobuf((await ask(kms.url, { path: '/prpc/KMS.GetTempCaCert' })).body)
  const [tempCertificate, tempKey, root] = first.map(([, value]) => words(value))
  const identity = mintTemp({ certificate: tempCertificate ?? '', key: tempKey ?? '' }, v0(replica))
  const reply = await ask(kms.url, {
    path: '/prpc/KMS.GetKmsKey',
    body: protobuf([[1, replica.vmConfig]]),
    identity,
    ca: root ?? '',
  })
  const fields = readProtobuf(reply.body)
  const keys = readProtobuf(fields[1]?.[1] as Uint8Array)

  expect(reply.status).toBe(200)
  expect(fields.map(([number]) => number)).toEqual([1, 2])
  expect(keys.map(([number]) => number)).toEqual([1, 2])
  expect(words(fields[0]?.[1])).toBe(tempKey)
  expect(hex(fromPem(words(keys[0]?.[1])))).toBe(hex(pkcs8(deployment.keys.ca)))
  expect(hex(keys[1]?.[1] as Uint8Array)).toBe(hex(deployment.keys.k256))
})

/** dstack's KMS as far as a replica sees it, with keys and certificates of its own. */
async function startDstack(
  changed: { usage?: string; extensions?: readonly Extension[]; isOldRoot?: boolean } = {},
) {
  const [root, temp, rpc] = [newKey(), newKey(), newKey()]
  const k256 = secp256k1.utils.randomSecretKey()
  const authority = (name: string, { key, spki }: ReturnType<typeof newKey>, path: number) =>
    mintCertificate({
      issuerName: nameOf('Dstack', name),
      issuerKey: key,
      subject: nameOf('Dstack', name),
      spki,
      extensions: [],
      ca: path,
      signsOnly: changed.isOldRoot === true,
    })
  const rootCertificate = authority('Dstack KMS CA', root, 1)
  const tempCertificate = authority('Dstack Client Temp CA', temp, 0)
  const certificate = mintCertificate({
    issuerName: nameOf('Dstack', 'Dstack KMS CA'),
    issuerKey: root.key,
    subject: nameOf(undefined, 'localhost'),
    spki: rpc.spki,
    extensions: changed.extensions ?? [
      { last: 4, content: text(changed.usage ?? 'kms:rpc') },
      ...v0(source)(reportDataOf(rpc.spki)),
    ],
  })
  const asked: string[] = []
  const answers: Record<string, (socket: TLSSocket) => object> = {
    GetTempCaCert: () => ({
      temp_ca_cert: toPem('CERTIFICATE', tempCertificate),
      temp_ca_key: pemOf(temp.key),
      ca_cert: toPem('CERTIFICATE', rootCertificate),
    }),
    GetKmsKey: (socket) => {
      requireReplica(socket)
      return {
        temp_ca_key: pemOf(temp.key),
        keys: [{ ca_key: pemOf(root.key), k256_key: hex(k256) }],
      }
    },
    GetMeta: () => ({
      ca_cert: toPem('CERTIFICATE', rootCertificate),
      allow_any_upgrade: false,
      k256_pubkey: hex(secp256k1.getPublicKey(k256, true)),
      bootstrap_info: null,
      is_dev: false,
      gateway_app_id: null,
      kms_contract_address: null,
      chain_id: null,
      app_auth_implementation: null,
    }),
  }
  const server: Server = createServer(
    {
      key: pemOf(rpc.key),
      cert: toPem('CERTIFICATE', certificate),
      ca: toPem('CERTIFICATE', tempCertificate),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const method = /^\/prpc\/(?:KMS\.)*(\w+)\?json$/.exec(request.url ?? '')?.[1] ?? ''
      asked.push(method)
      const answer = answers[method]
      response.setHeader('content-type', 'application/json')
      try {
        if (answer === undefined) throw new Error(`Service not found: ${method}`)
        response.end(JSON.stringify(answer(request.socket as TLSSocket)))
      } catch (error) {
        response.writeHead(400).end(JSON.stringify({ error: (error as Error).message }, null, 2))
      }
    },
  )
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  closers.push(() => server.close())
  const { port } = server.address() as AddressInfo
  return { url: `https://127.0.0.1:${port}`, root, k256, temp, asked }
}

/** What dstack asks of a client certificate, read by hand. */
function requireReplica(socket: TLSSocket): void {
  if (!socket.authorized) throw new Error('No attestation provided')
  const read = readCertificate(new Uint8Array(socket.getPeerCertificate().raw))
  const attestation = dstackExtension(read, 8) ?? new Uint8Array()
  const expected = attestationV0(replica, reportDataOf(read.spki), replica.vmConfig)
  if (hex(attestation) !== hex(expected)) throw new Error('invalid quote: report data mismatch')
}

const pemOf = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }).toString()

async function onboarding(url: string) {
  const folder = await mkdtemp(joinPath(tmpdir(), 'kms-replica-'))
  const store = openKeyStore(folder, { kind: 'insecure-plain' })
  const { rules } = deployment
  const self = createSelfAuthorizer(replica.source, rules, allow)
  return {
    folder,
    sourceUrl: url,
    store,
    source: replica.source,
    rules,
    authorizeBoot: allow,
    self,
  }
}

describe('dstack replica protocol: an Assent KMS gets the root keys of a dstack KMS', () => {
  test('byte for byte, over two connections', async () => {
    const dstack = await startDstack()
    const given = await onboarding(`${dstack.url}/prpc`)
    const { caPubkey, k256Pubkey } = await onboardKms(given)
    const stored = await given.store.load()

    expect(hex(caPubkey)).toBe(hex(dstack.root.spki))
    expect(hex(k256Pubkey)).toBe(hex(secp256k1.getPublicKey(dstack.k256, true)))
    expect(hex(stored?.k256 ?? caPubkey)).toBe(hex(dstack.k256))
    const der = (key: KeyObject) => new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }))
    expect(hex(pkcs8(stored?.ca ?? caPubkey))).toBe(hex(der(dstack.root.key)))
    expect(hex(pkcs8(stored?.tempCa ?? caPubkey))).toBe(hex(der(dstack.temp.key)))
    // the last asked for a release log, which a KMS of dstack's does not keep
    expect(dstack.asked).toEqual(['GetTempCaCert', 'GetKmsKey', 'GetMeta', ''])
  })

  test('but not from a server without a quote or without the KMS usage', async () => {
    const bare = await startDstack({ extensions: [{ last: 4, content: text('kms:rpc') }] })
    await expect(onboardKms(await onboarding(bare.url))).rejects.toMatchObject({
      code: 'KMS_PEER_UNTRUSTED',
    })
    const app = await startDstack({ usage: 'app:custom' })
    await expect(onboardKms(await onboarding(app.url))).rejects.toMatchObject({
      code: 'KMS_PEER_UNTRUSTED',
    })
    expect([...bare.asked, ...app.asked]).not.toContain('GetKmsKey')
  })

  test('but not from one whose root must not sign certificates, as in March 2025', async () => {
    const old = await startDstack({ isOldRoot: true })

    await expect(onboardKms(await onboarding(old.url))).rejects.toMatchObject({
      code: 'KMS_PEER_UNTRUSTED',
    })
    expect(old.asked).toEqual(['GetTempCaCert'])
  })
})

describe('dstack replica protocol: the onboarding listener over plain HTTP', () => {
  const start = async () => {
    const given = await onboarding('')
    const service = await startOnboarding({
      ...given,
      evidence: given.self,
      domain: 'kms.example',
      kmsContract: deployment.chain.kms,
      log: createLog({ service: 'kms', level: 'silent' }),
      host: '127.0.0.1',
      port: 0,
    })
    closers.push(() => service.stop())
    return service
  }
  const post = async (url: string, path: string, body: Uint8Array = new Uint8Array()) => {
    const response = await fetch(`${url}/prpc/${path}`, { method: 'POST', body: Buffer.from(body) })
    return {
      status: response.status,
      fields: readProtobuf(new Uint8Array(await response.arrayBuffer())),
    }
  }

  test('returns its identity, bootstraps once with a quote over both keys, and ends', async () => {
    const service = await start()
    const info = await post(service.url, 'Onboard.GetAttestationInfo')
    const value = (fields: typeof info.fields, number: number) =>
      (fields.find(([each]) => each === number)?.[1] ?? new Uint8Array()) as Uint8Array

    expect(hex(value(info.fields, 1))).toBe(hex(replica.deviceId))
    expect(hex(value(info.fields, 3))).toBe(hex(replica.image.osImageHash))
    expect(words(value(info.fields, 4))).toBe('dstack-tdx')
    expect(words(value(info.fields, 7))).toBe(deployment.chain.kms)
    // the device id is the hash of the PPID
    expect(hex(sha256(value(info.fields, 8)))).toBe(hex(replica.deviceId))

    const made = await post(service.url, 'Onboard.Bootstrap', protobuf([[1, 'kms.example']]))
    expect(made.fields.map(([number]) => number)).toEqual([1, 2, 3])
    expect(value(made.fields, 1)).toHaveLength(91)
    expect(value(made.fields, 2)).toHaveLength(33)
    const again = await post(service.url, 'Bootstrap', protobuf([[1, 'kms.example']]))
    expect([again.status, words(value(again.fields, 1))]).toEqual([
      400,
      'KMS has already been bootstrapped',
    ])

    expect(await (await fetch(`${service.url}/health`)).text()).toBe('OK')
    const finish = await fetch(`${service.url}/prpc/Finish?json`, { method: 'POST' })
    expect([finish.status, await finish.text()]).toEqual([200, 'null'])
    expect(await (await fetch(`${service.url}/finish`)).text()).toBe('OK')
    await service.finished
  })
})

test('root keys in PKCS#8 are readable by other programs', () => {
  const written = toPem('PRIVATE KEY', pkcs8(deployment.keys.ca))

  expect(createPrivateKey(written).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
  expect(bytes(hex(deployment.keys.ca))).toEqual(deployment.keys.ca)
})
