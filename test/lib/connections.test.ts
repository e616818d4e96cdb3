/** The list of open connections, without sockets. */
import type { Socket } from 'node:net'

import { expect, test } from 'vitest'

import { type Connection, createConnections } from '../../src/lib/ingress/connections.ts'

const share = 10

function openList() {
  const closed: Connection[] = []
  const list = createConnections({ total: 100, of: () => share }, (connection) => {
    closed.push(connection)
  })
  const add = (client: string) =>
    list.add({ socket: {} as Socket, client, address: client, waitsSince: performance.now() })
  return { add, closed, count: list.count }
}

test('a client that opens each closed connection again replaces its own only at a limited rate', () => {
  const { add, closed, count } = openList()
  const accepted = Array.from({ length: 1_000 }, () => add('192.0.2.1')).filter(Boolean)

  expect(closed.length).toBeGreaterThan(100)
  expect(closed.length).toBeLessThan(150)
  expect(accepted).toHaveLength(closed.length + share)
  expect(count()).toBe(share)
})

test('another client is accepted while one is beyond its limit', () => {
  const { add, closed } = openList()
  for (let index = 0; index < 1_000; index++) add('192.0.2.1')
  const before = closed.length

  expect(Array.from({ length: share }, () => add('192.0.2.2'))).not.toContain(false)
  expect(closed).toHaveLength(before)
})
