/** A worker that is killed (SIGKILL) brings one result for each request, also if the handler would now answer something else. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { parseEventLogs } from 'viem'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import { requestsAbi } from '../../src/chain/abi.ts'
import { utf8ToBytes } from '../../src/lib/bytes.ts'
import { publicMessage } from '../../src/worker/sealed-message.ts'
import { startChild } from '../child-process.ts'
import { createWorkerStage, type WorkerStage } from './worker-stage.ts'

const program = join(import.meta.dirname, '../../bin/assent.js')

let stage: WorkerStage
let server: Server
let calls = 0
/** What happens to the worker at a call of its handler. */
let atCall: { readonly when: 'before' | 'after'; readonly kill: () => void } | undefined

beforeAll(async () => {
  stage = await createWorkerStage()
  server = createServer((request, response) => {
    request.resume().on('end', () => {
      calls += 1
      const { when, kill } = atCall ?? {}
      if (when === 'before') kill?.()
      if (when === 'after') response.on('close', () => kill?.())
      response.end(`answer ${calls}`)
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
}, 120_000)
afterAll(async () => {
  server?.close()
  await stage?.stop()
})

async function startWorker() {
  const { port } = server.address() as AddressInfo
  const handlerUrl = `http://127.0.0.1:${port}`
  const config = await stage.writeSettings({ handlerUrl, logLevel: 'info' })
  const child = startChild(process.execPath, [program, 'worker', 'run', '--config', config])
  const ended = once(child, 'exit')
  const url = await new Promise<string>((found, reject) => {
    ended.then(() => reject(new Error('the worker ended')))
    createInterface(child.stdout).on('line', (line) => {
      const { url } = JSON.parse(line)
      if (url !== undefined) found(url)
    })
  })
  await vi.waitFor(async () => expect((await fetch(`${url}/health`)).status).toBe(200), {
    timeout: 60_000,
    interval: 300,
  })
  return {
    kill: () => child.kill('SIGKILL'),
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
    ended,
  }
}

async function resultsOf(id: string) {
  const logs = await stage.system.clients.publicClient.getContractEvents({
    address: stage.requests,
    abi: requestsAbi,
    eventName: 'Fulfilled',
    fromBlock: 0n,
  })
  return parseEventLogs({ abi: requestsAbi, logs }).filter(({ args }) => {
    return 'id' in args && args.id === id
  })
}

test.each(['before', 'after'] as const)(
  'a worker that is killed %s its handler answers brings one result after its restart',
  async (when) => {
    const first = await startWorker()
    atCall = { when, kill: first.kill }
    const id = await stage.ask(publicMessage(utf8ToBytes(when)))
    await first.ended
    atCall = undefined

    const second = await startWorker()
    await vi.waitFor(async () => expect(await resultsOf(id)).toHaveLength(1), {
      timeout: 60_000,
      interval: 300,
    })
    await second.stop()
    expect(await resultsOf(id)).toHaveLength(1)
  },
  120_000,
)
