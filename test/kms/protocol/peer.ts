/**
 * A guest, a replica and a KMS as the specification describes them, by hand: HTTP over TLS, certificates,
 * attestations and key derivation with nothing of `src`. Only the simulated machine is ours: it signs quotes.
 */
import {
  createECDH,
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { connect, type PeerCertificate } from 'node:tls'

import type { SimulatedCvm } from '../../../src/tee/simulator/cvm.ts'
import {
  arc,
  bytes,
  der,
  hex,
  join,
  messagePack,
  readCertificate,
  scale,
  text,
} from './encodings.ts'

export const sha256 = (...data: readonly Uint8Array[]) => digest('sha256', data)
export const sha512 = (...data: readonly Uint8Array[]) => digest('sha512', data)

function digest(algorithm: string, data: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(
    createHash(algorithm)
      .update(join(...data))
      .digest(),
  )
}

/* HTTP */

export interface Ask {
  readonly path: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  readonly identity?: Identity
  /** PEM; without, the server is not checked. */
  readonly ca?: string
  readonly chunked?: boolean
}

export interface Identity {
  readonly key: KeyObject
  readonly certificate: Uint8Array
}

export interface Reply {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
  readonly text: string
  readonly server: PeerCertificate & { readonly issuerCertificate?: unknown }
  readonly protocol: string | null
}

/** One request on one connection. */
export function ask(url: string, asked: Ask): Promise<Reply> {
  const { hostname, port } = new URL(url)
  const body = typeof asked.body === 'string' ? text(asked.body) : (asked.body ?? new Uint8Array())
  const { identity, ca, chunked, method = 'POST', headers = {} } = asked
  const framing = chunked ? 'transfer-encoding: chunked' : `content-length: ${body.length}`
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `${method} ${asked.path} HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n${framing}\r\n${lines.join('')}\r\n`
  const sent = chunked
    ? join(text(`${body.length.toString(16)}\r\n`), body, text('\r\n0\r\n\r\n'))
    : body
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      servername: hostname,
      rejectUnauthorized: ca !== undefined,
      ...(ca ? { ca } : {}),
      ...(identity
        ? {
            key: identity.key.export({ format: 'pem', type: 'pkcs8' }),
            cert: pem('CERTIFICATE', identity.certificate),
          }
        : {}),
    })
    const chunks: Buffer[] = []
    let server: Reply['server'] | undefined
    let protocol: string | null = null
    socket.once('secureConnect', () => {
      server = socket.getPeerCertificate(true) as Reply['server']
      protocol = socket.getProtocol()
      socket.write(join(text(head), sent))
    })
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.once('error', (error) => (chunks.length === 0 ? reject(error) : undefined))
    socket.once('close', () => {
      if (server === undefined || chunks.length === 0) reject(new Error('no answer'))
      else resolve({ ...readReply(Buffer.concat(chunks)), server, protocol })
    })
  })
}

function readReply(raw: Buffer): Omit<Reply, 'server' | 'protocol'> {
  const end = raw.indexOf('\r\n\r\n')
  const [status = '', ...lines] = raw.subarray(0, end).toString('latin1').split('\r\n')
  const headers = new Map(
    lines.map((line) => [line.split(':')[0]?.toLowerCase() ?? '', line.replace(/^[^:]*: */, '')]),
  )
  const rest = raw.subarray(end + 4)
  const body = headers.get('transfer-encoding') === 'chunked' ? unchunk(rest) : rest
  return {
    status: Number(status.split(' ')[1]),
    headers,
    body: new Uint8Array(body),
    text: body.toString('utf8'),
  }
}

function unchunk(raw: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const line = raw.indexOf('\r\n', at)
    const length = Number.parseInt(raw.subarray(at, line).toString(), 16)
    if (!(length > 0)) return Buffer.concat(parts)
    parts.push(raw.subarray(line + 2, line + 2 + length))
    at = line + 2 + length + 2
  }
}

const pem = (label: string, data: Uint8Array) =>
  `-----BEGIN ${label}-----\n${Buffer.from(data).toString('base64')}\n-----END ${label}-----\n`

/* ATTESTATIONS (§4.4) */

interface LogEvent {
  readonly imr: number
  readonly event_type: number
  readonly digest: string
  readonly event: string
  readonly event_payload: string
}

const logOf = (cvm: SimulatedCvm, form: 'certificate' | 'quote') =>
  JSON.parse(cvm.eventLog(form)) as LogEvent[]

/** Version 0 in SCALE. */
export function attestationV0(
  cvm: SimulatedCvm,
  reportData: Uint8Array,
  config: string,
  form: 'certificate' | 'quote' = 'certificate',
): Uint8Array {
  const events = logOf(cvm, form)
  return join(
    scale.u8(0),
    scale.u8(0),
    scale.bytes(cvm.quote(reportData)),
    scale.vec(
      events.map((event) =>
        join(
          scale.u32(event.imr),
          scale.u32(event.event_type),
          scale.bytes(bytes(event.digest)),
          scale.str(event.event),
          scale.bytes(bytes(event.event_payload)),
        ),
      ),
    ),
    scale.vec(
      events
        .filter(({ imr }) => imr === 3)
        .map(({ event, event_payload }) =>
          join(scale.str(event), scale.bytes(bytes(event_payload))),
        ),
    ),
    reportData,
    scale.str(config),
  )
}

/** Version 1 in MessagePack: raw vectors as lists of numbers, human bytes as binary. */
export function attestationV1(cvm: SimulatedCvm, reportData: Uint8Array, config: string) {
  const events = logOf(cvm, 'certificate')
  return messagePack({
    version: 1,
    platform: {
      kind: 'tdx',
      data: {
        quote: [...cvm.quote(reportData)],
        event_log: events.map((event) => ({
          imr: event.imr,
          event_type: event.event_type,
          digest: bytes(event.digest),
          event: event.event,
          event_payload: bytes(event.event_payload),
        })),
      },
    },
    stack: {
      kind: 'dstack',
      data: {
        report_data: [...reportData],
        runtime_events: events
          .filter(({ imr }) => imr === 3)
          .map(({ event, event_payload }) => ({ event, payload: bytes(event_payload) })),
        config,
      },
    },
  })
}

/* CERTIFICATES (§4.2, §4.3) */

const ecdsaSha256 = der(0x30, der(0x06, bytes('2a8648ce3d040302')))

export interface Extension {
  readonly last: number
  readonly content: Uint8Array
}

export interface Mint {
  readonly issuerName: Uint8Array
  readonly issuerKey: KeyObject
  readonly subject: Uint8Array
  readonly spki: Uint8Array
  readonly extensions: readonly Extension[]
  /** Path length of an authority. */
  readonly ca?: number
  /** An authority whose key usage does not say that it signs certificates. */
  readonly signsOnly?: boolean
}

export function mintCertificate(wanted: Mint): Uint8Array {
  const isAuthority = wanted.ca !== undefined && wanted.signsOnly !== true
  const keyUsage = der(
    0x30,
    der(0x06, bytes('551d0f')),
    Uint8Array.of(1, 1, 0xff),
    // digitalSignature, and of authorities keyCertSign and cRLSign
    der(0x04, bytes(isAuthority ? '03020186' : '03020780')),
  )
  const basic = wanted.ca === undefined ? [] : [caExtension(wanted.ca)]
  const own = wanted.extensions.map(({ last, content }) =>
    der(0x30, der(0x06, arc(last)), der(0x04, der(0x04, content))),
  )
  const tbs = der(
    0x30,
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, serialOf(wanted.spki)),
    ecdsaSha256,
    wanted.issuerName,
    der(0x30, der(0x17, text('750101000000Z')), der(0x17, text('360101000000Z'))),
    wanted.subject,
    wanted.spki,
    der(0xa3, der(0x30, keyUsage, ...basic, ...own)),
  )
  const signature = sign('sha256', tbs, wanted.issuerKey)
  return der(0x30, tbs, ecdsaSha256, der(0x03, Uint8Array.of(0), signature))
}

/** SHA-256 of the uncompressed point, 20 bytes, the top bit cleared; DER drops leading zeros (§4.3). */
export function serialOf(spki: Uint8Array): Uint8Array {
  const serial = sha256(spki.slice(-65)).slice(0, 20)
  serial[0] = (serial[0] ?? 0) & 0x7f
  let start = 0
  while (start < 19 && serial[start] === 0 && (serial[start + 1] ?? 0) < 0x80) start++
  return serial.slice(start)
}

export function nameOf(organization: string | undefined, commonName: string): Uint8Array {
  const part = (oid: string, value: string) =>
    der(0x31, der(0x30, der(0x06, bytes(oid)), der(0x0c, text(value))))
  return der(
    0x30,
    ...(organization === undefined ? [] : [part('55040a', organization)]),
    part('550403', commonName),
  )
}

const caExtension = (pathLength: number) =>
  der(
    0x30,
    der(0x06, bytes('551d13')),
    Uint8Array.of(1, 1, 0xff),
    der(0x04, der(0x30, Uint8Array.of(1, 1, 0xff), der(0x02, Uint8Array.of(pathLength)))),
  )

export function newKey(): { readonly key: KeyObject; readonly spki: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    key: privateKey,
    spki: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
  }
}

/** What a quote in a certificate is over (§4.1). */
export const reportDataOf = (spki: Uint8Array) => sha512(text('ratls-cert:'), spki)

/** A one-off client certificate under the temporary CA, as a guest mints it in memory (§0, step 2). */
export function mintTemp(
  temp: { readonly certificate: string; readonly key: string },
  extensions: (reportData: Uint8Array) => readonly Extension[],
): Identity {
  const { key, spki } = newKey()
  const certificate = mintCertificate({
    issuerName: readCertificate(fromPemText(temp.certificate)).subject,
    issuerKey: createPrivateKey(temp.key),
    subject: nameOf(undefined, 'RA-TLS TEMP Cert'),
    spki,
    extensions: extensions(reportDataOf(spki)),
  })
  return { key, certificate }
}

function fromPemText(words: string): Uint8Array {
  return new Uint8Array(Buffer.from(words.replace(/-----[^-]+-----/g, ''), 'base64'))
}

/* KEYS (§5.2) */

export const hkdf = (ikm: Uint8Array, ...parts: readonly Uint8Array[]) =>
  new Uint8Array(hkdfSync('sha256', ikm, text('RATLS'), join(...parts), 32))

/** SHA-256 of the 138 bytes of PKCS#8 of the P-256 key that HKDF gives. */
export function sharedSecret(scalar: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(pkcs8(hkdf(scalar, ...parts)))
}

export function pkcs8(scalar: Uint8Array): Uint8Array {
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(scalar)
  const out = join(
    bytes('308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420'),
    scalar,
    bytes('a144034200'),
    pair.getPublicKey(),
  )
  if (out.length !== 138) throw new RangeError(`138 bytes, not ${out.length}: ${hex(out).length}`)
  return out
}
