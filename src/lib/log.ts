/** Structured logs of the services. */
import { type DestinationStream, type Logger, pino } from 'pino'

import { boundedFacts, boundedText, maxMessage } from '../errors/bounded.ts'
import { escapeLines } from './printable.ts'

export type { Logger }

/** Member names that could hold a secret if somebody logs an object by mistake. pino replaces their values. */
const secretPaths = [
  'key',
  'privateKey',
  'secret',
  'password',
  'token',
  'authorization',
  'mnemonic',
].flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

/** Settings of a logger. */
export interface LogOptions {
  /** Name of the service in each line. */
  readonly service: string
  readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  /** Default: standard output, unbuffered. */
  readonly destination?: DestinationStream
}

const bufferBytes = 4096
const flushEveryMs = 200
const maxStack = 8_192

/**
 * Buffered standard output: written after 4 KiB or 200 ms, and at exit. Only a kill (SIGKILL) loses the last lines.
 */
export function standardOutput(): DestinationStream {
  const buffered = { sync: false, minLength: bufferBytes, periodicFlush: flushEveryMs }
  return pino.destination({ dest: 1, ...buffered })
}

/**
 * Creates a logger that writes one JSON line for each event. Lines are bounded and printable, members that could hold a
 * secret are replaced, and URLs are cut to their origin.
 *
 * @example
 * const log = createLog({ service: 'kms', level: 'info' })
 * log.error({ err: error }, 'cannot read the chain')
 */
export function createLog({ service, level, destination }: LogOptions): Logger {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secretPaths, censor: '[secret]' },
    formatters: { level: (label: string) => ({ level: label }), log: boundedLine },
    serializers: { err: describeError, error: describeError },
    // JSON alone leaves bidi marks and C1 controls as they are
    hooks: { streamWrite: escapeLines },
  }
  return destination ? pino(options, destination) : pino(options)
}

/** A line can contain data from a peer, so its size is limited. */
function boundedLine(line: object): Record<string, unknown> {
  return { ...boundedFacts(line as Record<string, unknown>) }
}

/**
 * Turns an error into log fields: code, message, facts, and the messages of its causes. Only errors without code have a
 * stack.
 */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, facts } = error as { code?: unknown; facts?: unknown }
  const causes: string[] = []
  for (let cause = error.cause; cause instanceof Error && causes.length < 8; cause = cause.cause) {
    causes.push(boundedText(cause.message, maxMessage))
  }
  return {
    name: error.name,
    ...(code === undefined ? {} : { code }),
    message: boundedText(error.message, maxMessage),
    ...(facts === undefined ? {} : { facts }),
    ...(causes.length === 0 ? {} : { causes }),
    ...(code === undefined ? { stack: boundedText(error.stack ?? '', maxStack) } : {}),
  }
}
