/**
 * Attacks on a real KMS process with its default limits, and what an honest guest sees meanwhile.
 *
 *   npm run nightly -- --only attack-load
 *   node bench/release/attack-load.ts [attack …]
 *
 * Attackers run in a process of their own and come from 127.0.0.1, or from many addresses of 127.0.0.0/8. The guest
 * comes from 127.0.0.2 and asks for keys over a fresh TLS connection each time.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'

import { type BenchNode, buildSite, startNode } from './node.ts'

const goalMs = 1_000
const asks = 60
const warmUpMs = 3_000

interface Attack {
  readonly says: string
  /** Kept open at the same time; what is closed is opened again. */
  readonly sockets: number
  readonly addresses?: number
  readonly tls: boolean
  readonly begin: (socket: Socket) => void
}

const post = (length: number) =>
  `POST /prpc/SignCert?json HTTP/1.1\r\nhost: k\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
const get = 'GET /prpc/GetTempCaCert HTTP/1.1\r\nhost: k\r\n\r\n'
const drip = (socket: Socket, everyMs = 500) => {
  const timer = setInterval(() => socket.write(' '), everyMs)
  socket.once('close', () => clearInterval(timer))
}
const slowBody = (socket: Socket) => {
  socket.write(post(2 ** 20))
  drip(socket)
}

const attacks: Readonly<Record<string, Attack>> = {
  none: { says: 'nothing', sockets: 0, tls: false, begin: () => {} },
  'slow-bodies': { says: '400 bodies, byte by byte', sockets: 400, tls: true, begin: slowBody },
  'large-bodies': {
    says: '256 bodies of 2 MiB, the last byte missing',
    sockets: 256,
    tls: true,
    begin: (socket) => {
      socket.write(post(2 ** 21))
      socket.write(Buffer.alloc(2 ** 21 - 1, 0x20))
    },
  },
  silent: { says: '1,500 silent connections', sockets: 1_500, tls: false, begin: () => {} },
  handshakes: {
    says: '1,500 TLS handshakes, byte by byte',
    sockets: 1_500,
    tls: false,
    begin: (socket) => {
      socket.write(Buffer.from('1603014000', 'hex'))
      drip(socket)
    },
  },
  unread: {
    says: '256 readers that do not read',
    sockets: 256,
    tls: true,
    begin: (socket) => {
      socket.pause()
      const timer = setInterval(
        () => socket.write(get.replace('/prpc/GetTempCaCert', '/metrics')),
        50,
      )
      socket.once('close', () => clearInterval(timer))
    },
  },
  flood: {
    says: 'requests over 64 connections, each new',
    sockets: 64,
    tls: true,
    begin: (socket) => {
      socket.write(get)
      socket.once('data', () => socket.destroy())
    },
  },
  'many-addresses': {
    says: '1,500 slow bodies from 250 addresses',
    sockets: 1_500,
    addresses: 250,
    tls: true,
    begin: slowBody,
  },
}

function run({ sockets, addresses = 1, tls, begin }: Attack, port: number): void {
  const open = (index: number) => {
    const localAddress = addresses === 1 ? '127.0.0.1' : `127.1.0.${1 + (index % addresses)}`
    const to = { host: '127.0.0.1', port, localAddress }
    const socket = tls ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to)
    socket.on('error', () => {})
    socket.once(tls ? 'secureConnect' : 'connect', () => begin(socket))
    socket.once('close', () => setTimeout(() => open(index), 20))
    if (tls) socket.resume()
  }
  for (let index = 0; index < sockets; index++) setTimeout(() => open(index), index)
}

/** Milliseconds until the guest has its keys; infinite if it was refused. */
function askForKeys({ port, identities }: BenchNode, index: number): Promise<number> {
  const identity = identities[index % identities.length]
  const started = performance.now()
  return new Promise((resolve) => {
    const outgoing = request(
      {
        ...{ host: '127.0.0.1', localAddress: '127.0.0.2', port, path: '/prpc/GetAppKey?json' },
        ...{
          method: 'POST',
          rejectUnauthorized: false,
          agent: false,
          timeout: 10_000,
          ...identity,
        },
      },
      (incoming) => {
        incoming.resume()
        incoming.once('end', () => {
          const ms = performance.now() - started
          resolve(incoming.statusCode === 200 ? ms : Number.POSITIVE_INFINITY)
        })
      },
    )
    outgoing.once('timeout', () => outgoing.destroy())
    outgoing.once('error', () => resolve(Number.POSITIVE_INFINITY))
    outgoing.end('{"api_version":1}')
  })
}

async function measure(node: BenchNode, name: string) {
  const attacker = fork(fileURLToPath(import.meta.url), ['--attack', name, String(node.port)])
  await sleep(warmUpMs)
  const taken: number[] = []
  for (let index = 0; index < asks; index++) {
    taken.push(await askForKeys(node, index))
    await sleep(50)
  }
  attacker.kill('SIGKILL')
  await once(attacker, 'exit')
  taken.sort((a, b) => a - b)
  const at = (part: number) => taken[Math.min(asks - 1, Math.floor(asks * part))] ?? 0
  const served = taken.filter(Number.isFinite).length
  return { p50: at(0.5), p99: at(0.99), served, rss: node.usage().rss / 2 ** 20 }
}

async function main(wanted: readonly string[]): Promise<void> {
  const site = await buildSite()
  const { requestsPerMinute, requestsInFlight, connections, ...settings } = site.settings
  let isFit = true
  for (const [name, { says }] of Object.entries(attacks)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const node = await startNode({ ...site, settings: settings as typeof site.settings }, 1)
    const { p50, p99, served, rss } = await measure(node, name)
    await node.stop()
    const ok = p99 < goalMs && served === asks
    isFit &&= ok
    console.log(
      `${ok ? 'ok    ' : 'FAILED'} ${says}: p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, ` +
        `${served} of ${asks} served, ${rss.toFixed(0)} MiB`,
    )
  }
  await site.stop()
  process.exit(isFit ? 0 : 1)
}

const [first, name = '', port] = process.argv.slice(2)
const attack = attacks[name]
if (first === '--attack' && attack !== undefined) {
  run(attack, Number(port))
  // nothing may be open between two attempts
  setInterval(() => {}, 60_000)
} else await main(process.argv.slice(2))
