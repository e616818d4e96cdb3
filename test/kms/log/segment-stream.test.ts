/** `/log/segments/N` of a large file: memory and time that one reader can take. */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { systemDisk } from '../../../src/kms/log/file-system.ts'
import type { NodeLog } from '../../../src/kms/log/node-log.ts'
import { mountLog } from '../../../src/kms/log/routes.ts'
import { openSealedSegment } from '../../../src/kms/log/segment.ts'
import { type Ingress, openIngress } from '../../../src/lib/ingress/ingress.ts'
import { openLimits } from '../../../src/lib/ingress/settings.ts'

const mebibyte = 2 ** 20
const fileBytes = 512 * mebibyte
const answerMs = 1_000

let folder: string
let ingress: Ingress
let port: number
const refused: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segment-'))
  const path = join(folder, '00000000.log')
  await writeFile(path, '')
  // a sparse file: its bytes take no room on the disk
  await truncate(path, fileBytes)
  const log = {
    segment: async (number: number) =>
      number === 0 ? openSealedSegment({ disk: systemDisk, path }) : undefined,
  } as NodeLog
  const app = new Hono()
  mountLog(app, log, 'public')
  ingress = openIngress(createServer(), getRequestListener(app.fetch), {
    limits: openLimits({}),
    proxied: 'x-forwarded-for',
    maxBodyBytes: () => 0,
    explain: () => ({ status: 429, headers: {}, body: '' }),
    observe: (refusal) => refused.push(refusal),
    deadlines: { answerMs },
  })
  port = Number((await ingress.listen({ host: '127.0.0.1', port: 0 })).split(':')[1])
})
afterAll(async () => {
  await ingress.stop(0)
  await rm(folder, { recursive: true })
})

/** A client that asked for the file and has read nothing yet. */
function request(): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /log/segments/0 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n')
  socket.pause()
  return socket
}

/** Growth of this process's memory during `run`, in MiB. */
async function growthDuring(run: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage().rss
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss)
  }, 20)
  await run()
  clearInterval(timer)
  return (most - before) / mebibyte
}

describe('a segment of 512 MiB over HTTP', () => {
  test('is sent completely to a fast reader with little memory in the server', async () => {
    let read = 0
    const growth = await growthDuring(async () => {
      const socket = request()
      socket.on('data', (chunk) => {
        read += chunk.length
      })
      socket.resume()
      await new Promise((resolve) => socket.once('close', resolve))
    })

    expect(read).toBeGreaterThan(fileBytes)
    expect(read).toBeLessThan(fileBytes + 1024)
    expect(growth).toBeLessThan(150)
  }, 60_000)

  test('uses little memory for twenty readers that read nothing, and closes their connections', async () => {
    refused.length = 0
    const sockets = Array.from({ length: 20 }, request)
    const growth = await growthDuring(async () => {
      while (refused.length < sockets.length) await sleep(50)
    })
    for (const socket of sockets) socket.destroy()

    expect(growth).toBeLessThan(150)
    expect(new Set(refused)).toEqual(new Set(['slow-answer']))
  }, 20_000)
})
