/** Guests that boot: each request a fresh TLS connection with its own certificate, as little else as possible. */
import { connect, createSecureContext, type SecureContext } from 'node:tls'

export interface Target {
  readonly port: number
  /** PEM. */
  readonly identities: readonly { key: string; cert: string }[]
}

export interface Run {
  readonly connections: number
  readonly requests: number
}

export interface Ran {
  readonly seconds: number
  readonly cpuMs: number
  /** Sorted, in milliseconds. */
  readonly latencies: readonly number[]
}

let port = 0
let contexts: (() => SecureContext)[] = []
const request =
  'POST /prpc/GetAppKey HTTP/1.1\r\nhost: kms\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'

process.on('message', async (message: Run | Target) => {
  if ('identities' in message) {
    port = message.port
    // a context is made once where there are few, and for each request where all would take too much memory
    const isMany = message.identities.length > 1_000
    contexts = message.identities.map((identity) => {
      const made = isMany ? undefined : createSecureContext(identity)
      return () => made ?? createSecureContext(identity)
    })
    return
  }
  process.send?.(await execute(message).catch((error) => ({ failed: String(error) })))
})
process.send?.('ready')

async function execute({ connections, requests }: Run): Promise<Ran> {
  const latencies: number[] = []
  const before = process.cpuUsage()
  const start = performance.now()
  let next = 0
  const worker = async () => {
    for (let index = next++; index < requests; index = next++) {
      const began = performance.now()
      await release(port, (contexts[index % contexts.length] as () => SecureContext)())
      latencies.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(before)
  latencies.sort((a, b) => a - b)
  return { seconds, cpuMs: (user + system) / 1000, latencies }
}

function release(port: number, secureContext: SecureContext): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      secureContext,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
    })
    let answer = ''
    socket.on('secureConnect', () => socket.write(request))
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (answer.startsWith('HTTP/1.1 200 ') && answer.length > 500) resolve()
      else reject(new Error(`not released: ${answer.slice(0, 300)}`))
    })
  })
}
