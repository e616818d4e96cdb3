import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { derivations } from '../../scripts/vectors/derive-vector.ts'
import { readManifest } from '../../scripts/vectors/vectors.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { syntheticCase } from '../synthetic.ts'
import { describeRecorded, readVector, vectorsFolder } from '../vectors.ts'

const script = resolve(import.meta.dirname, '../../scripts/vectors/fetch-vectors.ts')

/** Serves `answer(path)`, or 404. */
async function serve(answer: (path: string) => Uint8Array | undefined): Promise<Server> {
  const server = createServer((request, response) => {
    const bytes = answer(decodeURIComponent((request.url ?? '').slice(1)))
    response.writeHead(bytes ? 200 : 404).end(bytes)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return server
}

function fetchFrom(server: Server, folder: string): Promise<{ code: number; out: string }> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return new Promise((done) => {
    execFile(process.execPath, [script, folder, '--from', url], (error, stdout, stderr) => {
      done({ code: error ? Number(error.code) : 0, out: stdout + stderr })
    })
  })
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'assent-vectors-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('the quote inside a file', () => {
  const { quote } = syntheticCase('valid_v4_td10')
  const trimmed = toHex(quote.subarray(0, parseQuote(quote).length))
  const padded = Buffer.concat([quote, Buffer.alloc(3_000)])

  test.each<[string, Uint8Array]>([
    ['padded', padded],
    ['behind other bytes', Buffer.concat([Buffer.alloc(77, 4), padded])],
    ['as hex', Buffer.from(padded.toString('hex'))],
    [
      'as a JSON field',
      Buffer.from(JSON.stringify({ quote: padded.toString('hex'), event_log: '[]' })),
    ],
    ['in Solidity', Buffer.from(`bytes constant q = hex"${padded.toString('hex')}";`)],
  ])('is found %s', (_, upstream) => {
    expect(derivations('quote', upstream).map(toHex)).toContain(trimmed)
  })

  test('is not invented for a file without a quote', () => {
    expect(derivations('quote', Buffer.alloc(9_000, 4))).toEqual([])
  })

  test('lists of bytes and hex fields are decoded', () => {
    expect(derivations('byte-array', Buffer.from('[4,0]'))).toEqual([Uint8Array.of(4, 0)])
    expect(derivations('hex-field:a', Buffer.from('{"a":"0400"}'))).toEqual([Uint8Array.of(4, 0)])
  })
})

test('every row of the vector manifest has a hash, a licence and a source', () => {
  const { files } = readManifest()
  const paths = files.map((file) => file.path)

  expect(new Set(paths).size).toBe(paths.length)
  for (const file of files) {
    expect(file.sha256, file.path).toMatch(/^[0-9a-f]{64}$/)
    expect(file.licence, file.path).not.toBe('')
    const needsOrigin = /^(identical|quote|byte-array|hex-field:.+)$/.test(file.derive)
    expect(file.origin !== null, file.path).toBe(needsOrigin)
  }
})

test('an archive with other bytes gives no file and an error', async () => {
  const server = await serve(() => Buffer.from('other bytes'))
  const { code, out } = await fetchFrom(server, join(folder, 'wrong'))
  server.close()

  expect(code).toBe(1)
  expect(out).toContain('the archive has other bytes than recorded')
  expect(existsSync(join(folder, 'wrong'))).toBe(false)
})

describeRecorded('from an archive', () => {
  test('fetches every file and names the missing ones', async () => {
    const absent = 'dcap/vectors.json'
    const server = await serve((path) => (path === absent ? undefined : readVector(path)))
    const { code, out } = await fetchFrom(server, folder)
    server.close()

    expect(code).toBe(1)
    expect(out).toMatch(new RegExp(`missing {2}${absent}: .* answered 404`))
    for (const { path } of readManifest().files) {
      if (path === absent) continue
      expect(readFileSync(join(folder, path))).toEqual(
        readFileSync(join(vectorsFolder as string, path)),
      )
    }
  })
})
