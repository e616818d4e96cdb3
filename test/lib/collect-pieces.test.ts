/** Answers of peers that come in many small pieces. */

import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'

import { expect, test } from 'vitest'

import { collectPieces } from '../../src/lib/collect-pieces.ts'

function open(longest: number) {
  const stream = new PassThrough()
  let refused = 0
  const body = collectPieces(stream as unknown as IncomingMessage, longest, () => void refused++)
  return { stream, body, refused: () => refused }
}

test('pieces are joined in their order, up to the limit', () => {
  const { stream, body, refused } = open(6)
  for (const piece of ['ab', '', 'cde', 'f']) stream.emit('data', Buffer.from(piece))

  expect([body().toString(), refused()]).toEqual(['abcdef', 0])
  stream.emit('data', Buffer.from('g'))
  expect([body().toString(), refused()]).toEqual(['abcdef', 1])
})

test('single bytes are copied, so that their own memory is free', () => {
  const { stream, body } = open(2 ** 20)
  const piece = Buffer.from('a')
  for (let count = 0; count < 100_000; count++) stream.emit('data', piece)
  // a list of pieces would now change with it
  piece[0] = 0

  expect(body().every((byte) => byte === 97)).toBe(true)
  expect(body().buffer.byteLength).toBeLessThanOrEqual(2 ** 18)
})
