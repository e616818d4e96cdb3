/**
 * Requests and answers between a process and its child, over the channel that Node opens for the child.
 *
 * The channel is a pair of connected sockets. No other process can open it, and it ends with either process.
 */
import type { Serializable } from 'node:child_process'

import { AssentError, type ErrorCode, isAssentError } from '../../errors/index.ts'

/** One end of the channel: a child process, or this process. */
export interface Port {
  /** Undefined in a process that was not forked. */
  send?(message: Serializable): boolean
  on(event: 'message', listen: (message: unknown) => void): unknown
  on(event: 'disconnect', listen: () => void): unknown
}

/** Functions that the other side can call, by name. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>

/** Calls between the processes of one node. */
export interface Channel {
  /** Calls a handler of the other side. @throws its error, or KMS_WORKER_LOST if the process ended */
  ask<T>(name: string, argument?: unknown): Promise<T>
  /** Calls a handler without waiting for an answer. */
  notify(name: string, argument?: unknown): void
}

interface Message {
  readonly name?: string
  readonly id?: number
  readonly argument?: unknown
  readonly result?: unknown
  readonly failure?: Failure
}

interface Failure {
  readonly code: ErrorCode
  readonly message: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** @param port `process` in a worker, the child process in its parent */
export function openChannel(port: Port, handlers: Handlers): Channel {
  let last = 0
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  const send = (message: Message) => {
    try {
      port.send?.(message as Serializable)
    } catch {
      // the other process has ended; `disconnect` rejects the open requests
    }
  }
  port.on('message', (message) => {
    const { name, id, argument, result, failure } = message as Message
    if (name !== undefined) {
      void run(handlers, name, argument).then((answer) => id && send({ id, ...answer }))
      return
    }
    const asked = waiting.get(id ?? 0)
    waiting.delete(id ?? 0)
    if (failure) asked?.reject(revive(failure))
    else asked?.resolve(result)
  })
  port.on('disconnect', () => {
    for (const { reject } of waiting.values()) reject(lost())
    waiting.clear()
  })
  return {
    ask: <T>(name: string, argument?: unknown) =>
      new Promise<T>((resolve, reject) => {
        const id = ++last
        waiting.set(id, { resolve: (value) => resolve(value as T), reject })
        send({ name, id, argument })
      }),
    notify: (name, argument) => send({ name, argument }),
  }
}

async function run(
  handlers: Handlers,
  name: string,
  argument: unknown,
): Promise<Pick<Message, 'result' | 'failure'>> {
  try {
    const handler = handlers[name]
    if (handler === undefined) throw new Error(`The other process has no handler for ${name}.`)
    return { result: await handler(argument as never) }
  } catch (error) {
    return { failure: describe(error) }
  }
}

/** An error as a message: code, message and facts, which is what the other side uses. */
export function describe(error: unknown): Failure {
  if (!isAssentError(error)) {
    const message = error instanceof Error ? error.message : 'unknown'
    return { code: 'UNEXPECTED', message, facts: {} }
  }
  const { code, message, facts } = error.toJSON()
  return { code, message, facts: JSON.parse(JSON.stringify(facts)) }
}

/** The inverse of `describe`. */
export function revive({ code, message, facts }: Failure): AssentError {
  return new AssentError(code, message, { facts })
}

function lost(): AssentError {
  return new AssentError('KMS_WORKER_LOST', 'Another process of this KMS has ended.')
}
