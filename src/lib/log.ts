import { type DestinationStream, type Logger, pino } from 'pino'

import { boundedFacts, boundedText, maxMessage } from '../errors/bounded.ts'

export type { Logger }

/** Names under which a secret could ever be logged by mistake; pino replaces their values. */
const secretPaths = [
  'key',
  'privateKey',
  'secret',
  'password',
  'token',
  'authorization',
  'mnemonic',
].flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

export interface LogOptions {
  readonly service: string
  readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  readonly destination?: DestinationStream
}

const bufferBytes = 4096
const flushEveryMs = 200
const maxStack = 8_192

/** Standard output, written when there is enough or a moment later; flushed at exit, so only a kill loses lines. */
export function standardOutput(): DestinationStream {
  const buffered = { sync: false, minLength: bufferBytes, periodicFlush: flushEveryMs }
  return pino.destination({ dest: 1, ...buffered })
}

/** Structured JSON logs, one bounded line an event; secrets are redacted by name. */
export function createLog({ service, level, destination }: LogOptions): Logger {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secretPaths, censor: '[secret]' },
    formatters: { level: (label: string) => ({ level: label }), log: boundedLine },
    serializers: { err: describeError, error: describeError },
  }
  return destination ? pino(options, destination) : pino(options)
}

/** A line may hold what a peer sent. */
function boundedLine(line: object): Record<string, unknown> {
  return { ...boundedFacts(line as Record<string, unknown>) }
}

/** An error as log fields: code and facts first, causes as sentences. */
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
