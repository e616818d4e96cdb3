/** A quote in every form in which people have it: bytes, text, answers of dstack's agent, certificates, running servers. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createTcpServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'

import { p256 } from '@noble/curves/nist.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { parseServerAddress, readServerCertificates } from '../../src/audit/server-certificate.ts'
import { issueSelfSigned, keyToPem, toPem } from '../../src/kms/certificates/certificate.ts'
import { selfIssueAttested } from '../../src/kms/certificates/ratls.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { platformFamily } from '../../src/quote/collateral/pccs.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { type AgentServer, serveAgent } from '../../src/tee/simulator/agent/agent.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { assent } from '../commands/run-command.ts'
import { type PccsServer, startPccs } from '../relayer/pccs-server.ts'
import { loadJavaScriptSdk } from '../tee/install-sdk.ts'
import { describeRecorded, vectorsFolder } from '../vectors.ts'

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const simulator = createSimulator({ at, seed: new Uint8Array(32).fill(21) })
const compose = '{"manifest_version":2,"name":"shop","runner":"docker-compose"}'
const reportData = new Uint8Array(64).fill(7)
const folder = mkdtempSync(join(tmpdir(), 'assent-evidence-'))
const key = p256.utils.randomSecretKey()
const servers: Server[] = []

let cvm: SimulatedCvm
let pccs: PccsServer
let certificate: Uint8Array

beforeAll(async () => {
  cvm = simulator.createPlatform().createCvm({ image: createImage(), compose })
  cvm.advance('ready', { keyProvider: { name: 'kms', id: new Uint8Array(91).fill(5) } })
  certificate = await selfIssueAttested(key, { commonName: 'app' }, cvm.source, at)
  pccs = await startPccs({ simulator, clock: () => at })
  writeFileSync(join(folder, 'root.der'), simulator.rootCertificate)
  writeFileSync(join(folder, 'collateral.json'), JSON.stringify(simulator.collateral()))
  writeFileSync(join(folder, 'app-compose.json'), compose)
})
afterAll(async () => {
  for (const server of servers) server.close()
  await pccs.stop()
  rmSync(folder, { recursive: true })
})

const file = (name: string, content: Uint8Array | string): string => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}
const collateral = () => ['--collateral', join(folder, 'collateral.json')]
const trust = () => ['--at', String(at), '--root', join(folder, 'root.der')]

async function json(...args: string[]) {
  const { text, exitCode } = await assent('quote', ...args, '--json')
  return { ...JSON.parse(text.split('\n').at(-1) as string), exitCode }
}
const verify = (place: string, ...more: string[]) => json('verify', place, ...trust(), ...more)

const getQuote = (changes: object = {}) =>
  JSON.stringify({
    quote: toHex(cvm.quote(reportData)),
    event_log: cvm.eventLog('quote'),
    report_data: toHex(reportData),
    vm_config: cvm.vmConfig,
    ...changes,
  })
const attest = (form: 'full' | 'certificate' = 'certificate') => cvm.attestation(reportData, form)
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

async function listen(server: Server): Promise<string> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}
const serve = (der: Uint8Array, ofKey = key) =>
  listen(createTlsServer({ key: keyToPem(ofKey), cert: toPem(der) }, (each) => each.end()))

describe('evidence with an event log', () => {
  test.each<[string, () => Uint8Array | string, string]>([
    ['the answer of GetQuote (v0)', () => getQuote(), 'GetQuote'],
    ['GetQuote with the log as a list', () => getQuote({ event_log: logList() }), 'GetQuote'],
    ['GetQuote of 0.5 with an empty attestation', () => getQuote({ attestation: '' }), 'GetQuote'],
    [
      'GetQuote with an attestation of the same quote',
      () => getQuote({ attestation: toHex(attest()) }),
      'GetQuote',
    ],
    ['the answer of Attest (v0)', () => JSON.stringify({ attestation: toHex(attest()) }), 'Attest'],
    [
      'the answer of Attest (v1)',
      () => JSON.stringify({ attestation: toHex(attest()), boottime_gpu_evidence: [] }),
      'Attest',
    ],
    ['an attestation as bytes', () => attest(), 'Attest'],
    ['an attestation with the full log', () => attest('full'), 'Attest'],
    ['an attestation as hex', () => toHex(attest()), 'Attest'],
    ['an attestation as base64', () => base64(attest()), 'Attest'],
    ['a certificate in DER', () => certificate, 'certificate'],
    ['a certificate in PEM', () => `${toPem(certificate)}${toPem(certificate)}`, 'certificate'],
    ['a certificate as base64', () => base64(certificate), 'certificate'],
  ])('is read from %s, down to the app', async (_, content, form) => {
    const place = file('evidence', content())
    const app = {
      appId: toHex(cvm.appId),
      composeHash: toHex(cvm.composeHash),
      image: 'proven',
      osImageHash: toHex(cvm.image.osImageHash),
      keyProvider: { name: 'kms', id: '05'.repeat(91) },
    }

    expect(await json('show', place)).toMatchObject({
      exitCode: 0,
      form,
      app,
      pck: { deviceId: toHex(cvm.deviceId) },
    })
    const compare = ['--compose', join(folder, 'app-compose.json')]
    expect(await verify(place, ...collateral(), ...compare)).toMatchObject({
      exitCode: 0,
      verdict: 'verified',
      app,
    })
  })

  const logList = () => JSON.parse(cvm.eventLog('full'))

  test('can be a list of bytes, with the log in a file of its own', async () => {
    const place = file('quote.json', JSON.stringify([...cvm.quote(reportData)]))
    const log = file('log.json', JSON.stringify({ event_log: logList() }))

    expect(await verify(place, ...collateral())).toMatchObject({ verdict: 'verified', app: null })
    expect(await verify(place, ...collateral(), '--event-log', log)).toMatchObject({
      verdict: 'verified',
      app: { composeHash: toHex(cvm.composeHash), image: 'unknown' },
    })
  })

  test('is rejected if log, file, image or report data belong to another machine', async () => {
    const other = simulator
      .createPlatform()
      .createCvm({ image: createImage({ name: 'other' }), compose: '{}' })
    other.advance('ready')
    const rejected = async (content: string, ...more: string[]) => {
      const { verdict, code, exitCode } = await verify(
        file('evidence', content),
        ...collateral(),
        ...more,
      )
      return [verdict, code, exitCode]
    }
    const wrongCompose = file('other-compose.json', `${compose}\n`)

    expect(await rejected(getQuote({ event_log: other.eventLog('quote') }))).toEqual([
      'rejected',
      'EVENT_LOG_RTMR3_MISMATCH',
      1,
    ])
    expect(await rejected(getQuote(), '--compose', wrongCompose)).toEqual([
      'rejected',
      'COMPOSE_HASH_MISMATCH',
      1,
    ])
    expect(await rejected(getQuote({ vm_config: other.vmConfig }))).toEqual([
      'rejected',
      'IMAGE_NOT_PROVEN',
      1,
    ])
    expect(await rejected(getQuote({ report_data: '00'.repeat(64) }))).toEqual([
      'malformed',
      'QUOTE_AMBIGUOUS',
      2,
    ])
  })

  test('is compared with the files of a base image', async () => {
    const place = file('evidence', getQuote())
    const demand = (name: string) => ['--image', join(folder, name)]
    for (const [name, image] of [
      ['image', cvm.image],
      ['other', createImage({ name: 'other' })],
    ] as const) {
      mkdirSync(join(folder, name))
      file(`${name}/sha256sum.txt`, image.checksumFile)
      file(`${name}/measurement.tdx.cbor`, image.measurementDocument)
    }

    expect(await verify(place, ...collateral(), ...demand('image'))).toMatchObject({
      verdict: 'verified',
      app: { image: 'proven', osImageHash: toHex(cvm.image.osImageHash) },
    })
    expect(await verify(place, ...collateral(), ...demand('other'))).toMatchObject({
      verdict: 'rejected',
      code: 'IMAGE_NOT_PROVEN',
      exitCode: 1,
    })
    expect(await verify(place, ...collateral(), ...demand('nothing'))).toMatchObject({
      error: { code: 'FILE_UNREADABLE' },
      exitCode: 2,
    })
  })

  test('needs a log for a comparison', async () => {
    const place = file('quote.bin', cvm.quote(reportData))
    const compare = ['--compose', join(folder, 'app-compose.json')]

    expect(await verify(place, ...collateral(), ...compare)).toMatchObject({
      exitCode: 2,
      error: { code: 'USAGE_INVALID' },
    })
  })
})

describe('a text of hexadecimal digits', () => {
  test('that is base64 of a quote is read as base64', async () => {
    // "BAAA…" is made of hexadecimal digits
    const digits = `BAACAIEA${'A'.repeat(4_000)}`
    expect(await json('show', file('digits', digits))).toMatchObject({
      error: { code: 'QUOTE_VENDOR_UNKNOWN' },
    })
  })

  test('that can be both is refused', async () => {
    // as hex a certificate, as base64 a MessagePack map
    const digits = `3082${'A'.repeat(4_000)}`
    expect(await json('show', file('digits', digits))).toMatchObject({
      exitCode: 2,
      error: { code: 'QUOTE_AMBIGUOUS' },
    })
  })
})

describe('a certificate', () => {
  test('with the quote of another key is rejected', async () => {
    const other = p256.utils.randomSecretKey()
    const quoteOfOther = { attest: () => cvm.source.attest(new Uint8Array(64).fill(1)) }
    const der = await selfIssueAttested(other, { commonName: 'x' }, quoteOfOther, at)

    expect(await verify(file('bad.der', der), ...collateral())).toMatchObject({
      exitCode: 1,
      verdict: 'rejected',
      code: 'KMS_REPORT_DATA_UNBOUND',
    })
  })

  test('without a quote, or in another format, is reported as wrong input', async () => {
    const plain = await issueSelfSigned(key, { commonName: 'plain' }, at)
    const cases = { QUOTE_MISSING: plain, KMS_CERTIFICATE_INVALID: plain.subarray(0, 100) }
    for (const [code, content] of Object.entries(cases)) {
      expect(await verify(file('plain.der', content), ...collateral())).toMatchObject({
        exitCode: 2,
        verdict: 'malformed',
        code,
      })
    }
  })
})

describe('a running server', () => {
  test('is verified by its certificate, with collateral from a PCCS', async () => {
    const address = await serve(certificate)
    const answer = await verify(address, '--pccs', pccs.url)

    expect(answer).toMatchObject({
      exitCode: 0,
      verdict: 'verified',
      deviceId: toHex(cvm.deviceId),
      app: { appId: toHex(cvm.appId) },
    })
    expect(await json('show', `https://${address}/`)).toMatchObject({ form: 'certificate' })
  })

  test.each([
    ['refuses the connection', async () => '127.0.0.1:1'],
    ['does not speak TLS', () => listen(createTcpServer((socket) => socket.end('hello')))],
    ['does not exist', async () => 'no-such-host.invalid:443'],
  ])('that %s is an outage', async (_, start) => {
    expect(await json('show', await start())).toMatchObject({
      exitCode: 3,
      error: { code: 'SERVER_UNREACHABLE' },
    })
  })

  test.each([
    ['is silent', () => createTcpServer(() => {})],
    [
      'sends byte by byte',
      () =>
        createTcpServer((socket) => {
          const timer = setInterval(() => socket.write(Uint8Array.of(22)), 20)
          socket.on('error', () => {}).on('close', () => clearInterval(timer))
        }),
    ],
  ])('that %s gets no more time than the deadline', async (_, create) => {
    const address = parseServerAddress(await listen(create()))
    await expect(readServerCertificates(address as never, 200)).rejects.toMatchObject({
      code: 'SERVER_UNREACHABLE',
    })
  })

  test('without a quote gives a negative answer and not an outage', async () => {
    const address = await serve(await issueSelfSigned(key, { commonName: 'plain' }, at))
    expect(await json('show', address)).toMatchObject({
      exitCode: 2,
      error: { code: 'QUOTE_MISSING' },
    })
  })

  test('is not confused with a file of the same name', async () => {
    const before = process.cwd()
    process.chdir(folder)
    try {
      file('localhost:443', cvm.quote(reportData))
      expect(await json('show', 'localhost:443')).toMatchObject({
        exitCode: 2,
        error: { code: 'QUOTE_AMBIGUOUS' },
      })
      expect(await json('show', './localhost:443')).toMatchObject({ form: 'quote' })
    } finally {
      process.chdir(before)
    }
  })

  test.each([
    ['app.example.com:443', { host: 'app.example.com', port: 443 }],
    ['https://app.example.com', { host: 'app.example.com', port: 443 }],
    ['[::1]:8443', { host: '::1', port: 8443 }],
    ['app.example.com', undefined],
    ['app.example.com:0', undefined],
    ['app.example.com:70000', undefined],
    ['https://user@app.example.com', undefined],
    ['https://app.example.com/path', undefined],
    ['http://app.example.com', undefined],
    ['./a:1', undefined],
  ])('has an address like %s', (text, address) => {
    expect(parseServerAddress(text)).toEqual(address)
  })
})

describe('quote fetch-collateral', () => {
  test('saves what quote verify then takes', async () => {
    const place = file('quote.bin', cvm.quote(reportData))
    const simulated = platformFamily(parseQuote(cvm.quote(reportData)))
    const out = join(folder, 'fetched.json')
    const fetched = await json('fetch-collateral', place, '--pccs', pccs.url, '--out', out)

    expect(fetched).toMatchObject({
      exitCode: 0,
      fmspc: simulated.fmspc,
      ca: 'platform',
      file: out,
    })
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(fetched.collateral)
    expect(await verify(place, '--collateral', out)).toMatchObject({ verdict: 'verified' })
  })

  test('tells an outage from wrong usage', async () => {
    const place = file('quote.bin', cvm.quote(reportData))
    const asked = async (...args: string[]) => {
      const { error, exitCode } = await json('fetch-collateral', ...args)
      return [error.code, exitCode]
    }

    expect(await asked(place, '--pccs', 'http://127.0.0.1:1')).toEqual(['PCCS_UNAVAILABLE', 3])
    expect(await asked(place)).toEqual(['USAGE_INVALID', 2])
    expect(await asked(place, '--pccs', 'pccs.example')).toEqual(['USAGE_INVALID', 2])
    expect(await asked(file('text', 'x'), '--pccs', pccs.url)).toEqual(['QUOTE_TRUNCATED', 2])
    expect(await verify(place, '--pccs', 'http://127.0.0.1:1')).toMatchObject({
      exitCode: 3,
      error: { code: 'PCCS_UNAVAILABLE' },
    })
  })

  test('asks once for machines of one family', async () => {
    const places = ['one', 'two'].map((name) => file(name, cvm.quote(reportData)))
    const before = pccs.asked.length
    const { exitCode } = await assent('quote', 'verify', ...places, ...trust(), '--pccs', pccs.url)

    expect(exitCode).toBe(0)
    expect(pccs.asked.slice(before).filter((path) => path.endsWith('/tcb'))).toHaveLength(1)
  })
})

describe("answers to dstack's own SDK, unmodified", () => {
  let agent: AgentServer
  const socket = join(folder, 'agent.sock')
  interface Sdk {
    DstackClient: new (
      socket: string,
    ) => { getQuote(data: string): Promise<object>; attest(data: string): Promise<object> }
  }

  beforeAll(async () => {
    agent = await serveAgent(cvm, socket)
  })
  afterAll(() => agent.close())

  test.each(['getQuote', 'attest'] as const)('%s, as JSON', async (method) => {
    const { DstackClient } = loadJavaScriptSdk<Sdk>()
    const answer = await new DstackClient(socket)[method]('hello')
    const place = file('sdk.json', JSON.stringify(answer))

    expect(await verify(place, ...collateral())).toMatchObject({
      verdict: 'verified',
      app: { composeHash: toHex(cvm.composeHash), image: 'proven' },
    })
  })
})

describeRecorded('recorded evidence of real machines', () => {
  const dstack = (name: string) => join(vectorsFolder as string, 'dstack', name)

  test.each([
    ['verifier/quote-report.json', '3763bc34552cf3a2', 'claimed', 'local-sgx'],
    ['verifier/tdx-lite-getquote.json', '86b0e55f2fa8e4fb', 'proven', 'kms'],
    ['verifier/tdx-lite-attestation.json', '86b0e55f2fa8e4fb', 'proven', 'kms'],
    ['verifier/tdx-lite-attestation.bin', '86b0e55f2fa8e4fb', 'proven', 'kms'],
    ['simulator-current/attestation.bin', 'c143116fef3940e7', 'claimed', 'kms'],
  ])('%s is replayed down to its compose hash', async (name, composeHash, image, provider) => {
    const { app } = await json('show', dstack(name))

    expect(app).toMatchObject({ image, keyProvider: { name: provider } })
    expect(app.composeHash).toMatch(new RegExp(`^${composeHash}`))
  })

  test('a list of bytes, log and app-compose file of one machine are verified', async () => {
    const near = (name: string) => dstack(`external/near-mpc/${name}`)
    const answer = await json(
      ...['verify', near('quote.json'), '--collateral', near('collateral.json')],
      ...['--event-log', near('tcb_info.json'), '--compose', near('app_compose.json')],
      ...['--at', String(Date.UTC(2026, 7, 20) / 1000)],
    )
    const expected = JSON.parse(readFileSync(near('expected.json'), 'utf8'))

    expect(answer).toMatchObject({
      verdict: 'verified',
      app: { appId: expected.app_id, composeHash: expected.compose_hash },
    })
  })

  test('a certificate of 2024 is read, and its quote is of another key by the rule of today', async () => {
    for (const name of ['2024-ratls-temp-cert.pem', '2024-ratls-selfsigned-cert.pem']) {
      expect(await json('show', dstack(`ra-tls/${name}`))).toMatchObject({
        form: 'certificate',
        app: { code: 'KMS_REPORT_DATA_UNBOUND' },
      })
    }
    expect(await json('show', dstack('ra-tls/2024-kms-root-ca.pem'))).toMatchObject({
      error: { code: 'QUOTE_MISSING' },
    })
  })

  test('another platform is named', async () => {
    expect(await json('show', dstack('verifier/sev-snp-attestation.json'))).toMatchObject({
      exitCode: 2,
      error: { code: 'ATTESTATION_UNSUPPORTED' },
    })
  })
})

test('an attestation of version 1 is read like one of version 0', async () => {
  const other = simulator
    .createPlatform()
    .createCvm({ image: createImage(), compose, eventVersion: 2 })
  other.advance('ready')
  const bytes = other.attestation(reportData)
  expect(bytes[0]).toBeGreaterThanOrEqual(0x80)

  expect(await json('show', file('v1', bytes))).toMatchObject({
    form: 'Attest',
    app: { composeHash: toHex(other.composeHash) },
  })
})
