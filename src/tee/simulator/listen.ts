/** Lets a part of the simulator listen on a Unix socket, or on a TCP port of this machine. */
import { chmod, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { createAdaptorServer } from '@hono/node-server'
import type { Hono } from 'hono'

import { AssentError } from '../../errors/index.ts'

/** A path for a Unix socket, or a port on 127.0.0.1; port 0 is any free port. */
export type ListenTarget = { readonly socket: string } | { readonly port: number }

/** A running server. */
export interface Listening {
  /** Path of the socket, or `http://127.0.0.1:port`. */
  readonly address: string
  /** Closes all connections, and removes the file of the socket. */
  close(): Promise<void>
}

const loopback = '127.0.0.1'

/**
 * Serves until `close`. Simulated keys are not protected, so other machines cannot connect, and other users of this machine
 * cannot open the socket.
 *
 * @throws ADDRESS_IN_USE, ADDRESS_UNUSABLE
 */
export async function listen(
  { fetch }: Pick<Hono, 'fetch'>,
  target: ListenTarget,
): Promise<Listening> {
  const server = createAdaptorServer({ fetch }) as Server
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(toListenError(cause, target)))
    if ('socket' in target) server.listen(target.socket, resolve)
    else server.listen(target.port, loopback, resolve)
  })
  if ('socket' in target) await chmod(target.socket, 0o600)
  return {
    address:
      'socket' in target
        ? target.socket
        : `http://${loopback}:${(server.address() as AddressInfo).port}`,
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      if ('socket' in target) await rm(target.socket, { force: true })
    },
  }
}

function toListenError(cause: NodeJS.ErrnoException, target: ListenTarget): AssentError {
  const where = 'socket' in target ? target.socket : `${loopback}:${target.port}`
  const facts = { address: where, reason: cause.code ?? 'unknown' }
  return cause.code === 'EADDRINUSE'
    ? new AssentError('ADDRESS_IN_USE', `${where} is in use.`, { cause, facts })
    : new AssentError('ADDRESS_UNUSABLE', `Cannot listen on ${where}.`, { cause, facts })
}
