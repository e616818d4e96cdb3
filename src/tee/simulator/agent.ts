/** Serves the dstack guest agent's socket for a simulated CVM, as the real one answers. */
import { rm } from 'node:fs/promises'
import type { Server } from 'node:http'

import { createAdaptorServer } from '@hono/node-server'
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { type Context, Hono } from 'hono'

import { concatBytes, fromHex, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import { mrAggregated } from '../../quote/measure.ts'
import { parseQuote } from '../../quote/parse.ts'
import type { AppKeys, SimulatedCvm } from './cvm.ts'

export interface AgentServer {
  readonly socket: string
  close(): Promise<void>
}

type Parameters = Readonly<Record<string, unknown>>

/** Listens on the unix socket at `socket`, which must not exist. */
export async function serveAgent(cvm: SimulatedCvm, socket: string): Promise<AgentServer> {
  const server = createAdaptorServer({ fetch: createAgent(cvm).fetch }) as Server
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socket, resolve)
  })
  return {
    socket,
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      await rm(socket, { force: true })
    },
  }
}

/** The agent's methods; like dstack's, they take POST with JSON and GET with a query. */
export function createAgent(cvm: SimulatedCvm): Hono {
  const methods: Record<string, (parameters: Parameters) => object | null> = {
    GetQuote: (parameters) => getQuote(cvm, readReportData(parameters)),
    Attest: (parameters) => ({ attestation: toHex(cvm.attestation(readReportData(parameters))) }),
    Info: () => describeCvm(cvm),
    GetKey: (parameters) => getKey(requireKeys(cvm), parameters),
    EmitEvent: (parameters) => emitEvent(cvm, parameters),
  }
  const app = new Hono()
  for (const [name, method] of Object.entries(methods)) {
    app.on(['GET', 'POST'], `/${name}`, async (c) => answer(c, method))
  }
  app.notFound((c) => refuse(c, `Service not found: ${c.req.path.slice(1)}`))
  return app
}

async function answer(c: Context, method: (parameters: Parameters) => object | null) {
  try {
    return c.json(method(await readParameters(c)))
  } catch (error) {
    return refuse(c, error instanceof Error ? error.message : 'unknown error')
  }
}

/** dstack answers every error with 400 and pretty JSON. */
function refuse(c: Context, reason: string) {
  c.header('content-type', 'application/json')
  return c.body(JSON.stringify({ error: reason }, null, 2), 400)
}

async function readParameters(c: Context): Promise<Parameters> {
  if (c.req.method === 'GET') return c.req.query()
  const body = await c.req.text()
  return body === '' ? {} : (JSON.parse(body) as Parameters)
}

function text(parameters: Parameters, name: string): string {
  const value = parameters[name] ?? ''
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`)
  return value
}

/** The agent pads on the right; what Assent asks for always has 64 bytes. */
function readReportData(parameters: Parameters): Uint8Array {
  const given = fromHex(text(parameters, 'report_data'), 'report_data')
  if (given.length > 64) throw new RangeError('Report data must be at most 64 bytes')
  return concatBytes(given, new Uint8Array(64 - given.length))
}

function getQuote(cvm: SimulatedCvm, reportData: Uint8Array) {
  return {
    quote: toHex(cvm.quote(reportData)),
    event_log: cvm.eventLog('quote'),
    report_data: toHex(reportData),
    vm_config: cvm.vmConfig,
    attestation: '',
  }
}

function emitEvent(cvm: SimulatedCvm, parameters: Parameters): null {
  cvm.emitEvent(text(parameters, 'event'), fromHex(text(parameters, 'payload'), 'payload'))
  return null
}

function requireKeys(cvm: SimulatedCvm): AppKeys {
  if (cvm.keys === undefined) throw new Error('The app has no keys yet')
  return cvm.keys
}

function getKey(keys: AppKeys, parameters: Parameters) {
  const algorithm = text(parameters, 'algorithm')
  const key = hkdf(
    sha256,
    keys.k256Key,
    utf8ToBytes('RATLS'),
    utf8ToBytes(text(parameters, 'path')),
    32,
  )
  const publicKey = derivePublicKey(key, algorithm)
  const message = utf8ToBytes(`${text(parameters, 'purpose')}:${toHex(publicKey)}`)
  return {
    key: toHex(key),
    signature_chain: [toHex(signRecoverable(keys.k256Key, message)), toHex(keys.k256Signature)],
  }
}

/** Both curves take the same 32 bytes, as dstack does. */
function derivePublicKey(key: Uint8Array, algorithm: string): Uint8Array {
  if (['', 'k256', 'secp256k1'].includes(algorithm)) return secp256k1.getPublicKey(key, true)
  if (algorithm === 'ed25519') return ed25519.getPublicKey(key)
  throw new RangeError(`Unsupported algorithm: ${algorithm}`)
}

/** r‖s‖recovery id; noble writes the recovery id first. */
function signRecoverable(key: Uint8Array, message: Uint8Array): Uint8Array {
  const digest = keccak_256(message)
  const recovered = secp256k1.sign(digest, key, { prehash: false, format: 'recovered' })
  return concatBytes(recovered.subarray(1), recovered.subarray(0, 1))
}

function describeCvm(cvm: SimulatedCvm) {
  const payload = (name: string) =>
    cvm.events.find((event) => event.name === name)?.payload ?? new Uint8Array()
  const { report } = parseQuote(cvm.quote(new Uint8Array(64)))
  const common = {
    mr_aggregated: toHex(mrAggregated(report, report.rtmrs[3])),
    os_image_hash: toHex(cvm.image.osImageHash),
    compose_hash: toHex(cvm.composeHash),
    // the agent does not verify its own quote and so does not know the PPID
    device_id: toHex(sha256(new Uint8Array())),
  }
  const compose = new TextDecoder().decode(cvm.compose)
  return {
    app_id: toHex(cvm.appId),
    instance_id: toHex(cvm.instanceId),
    app_cert: '',
    tcb_info: JSON.stringify(
      {
        mrtd: toHex(report.mrTd),
        ...Object.fromEntries(report.rtmrs.map((value, index) => [`rtmr${index}`, toHex(value)])),
        ...common,
        event_log: JSON.parse(cvm.eventLog('full')),
        app_compose: compose,
      },
      null,
      2,
    ),
    app_name: readName(compose),
    ...common,
    key_provider_info: new TextDecoder().decode(payload('key-provider')),
    vm_config: cvm.vmConfig,
    cloud_vendor: '',
    cloud_product: '',
  }
}

function readName(compose: string): string {
  try {
    return String((JSON.parse(compose) as { name?: unknown }).name ?? '')
  } catch {
    return ''
  }
}
