/**
 * One beacon API, which is not trusted: answers are bounded in time and size before they are parsed, and the caller
 * verifies them.
 *
 * Source: `ethereum/beacon-APIs`, `apis/beacon/light_client` and `apis/config/fork_schedule.yaml`.
 */
import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { get } from '../../lib/http-get.ts'
import { readJson } from '../../lib/json.ts'
import { hexSchema } from '../../lib/schema.ts'
import type { RawMessage } from './messages.ts'
import type { AnnouncedFork } from './network.ts'

/** All methods throw CHAIN_UNREACHABLE, CHAIN_TIMEOUT or CHAIN_ANSWER_INVALID. */
export interface BeaconEndpoint {
  /** Position and host: an address may hold credentials. */
  readonly name: string
  /** `GET /eth/v1/beacon/light_client/bootstrap/{block_root}` */
  bootstrap(root: Hex): Promise<RawMessage>
  /** `GET /eth/v1/beacon/light_client/updates`: at most `count`, and at most `maxUpdates` */
  updates(startPeriod: number, count: number): Promise<RawMessage[]>
  /** `GET /eth/v1/beacon/light_client/finality_update` */
  finalityUpdate(): Promise<RawMessage>
  /** `GET /eth/v1/beacon/light_client/optimistic_update` */
  optimisticUpdate(): Promise<RawMessage>
  /** `GET /eth/v1/config/fork_schedule` */
  forkSchedule(): Promise<AnnouncedFork[]>
}

/** Connection to a beacon API. */
export interface BeaconEndpointOptions {
  /** Base of the API; it may have a path, for example with a key of a provider. */
  readonly url: string
  /** For logs and errors: position and host, without credentials. */
  readonly name: string
  /** For one whole exchange. */
  readonly timeoutMs: number
  /** Certificates (PEM) that are trusted in addition to the public authorities. */
  readonly ca?: string
}

/** Updates of one answer. The specification allows 128; fewer keep an answer small. */
export const maxUpdates = 16

/** A message with a committee of 512 has about 70,000 bytes and 1,200 values. */
const messageBytes = 262_144
const messageValues = 6_000

const messageSchema = z.looseObject({
  version: z.string().max(32),
  data: z.looseObject({}),
})

const scheduleSchema = z.looseObject({
  data: z
    .array(
      z.looseObject({
        current_version: hexSchema(4),
        epoch: z.string().regex(/^(?:0|[1-9][0-9]{0,19})$/),
      }),
    )
    .max(64),
})

/**
 * @example connectBeaconEndpoint({ url: 'https://beacon.example', name: '1:beacon.example', timeoutMs: 10_000 })
 */
export function connectBeaconEndpoint(options: BeaconEndpointOptions): BeaconEndpoint {
  const { name } = options
  const one = async (path: string): Promise<RawMessage> =>
    toRaw(await ask(options, path, messageSchema, 1))
  return {
    name,
    bootstrap: (root) => one(`/eth/v1/beacon/light_client/bootstrap/${root}`),
    updates: async (startPeriod, count) => {
      const query = `start_period=${startPeriod}&count=${Math.min(count, maxUpdates)}`
      const path = `/eth/v1/beacon/light_client/updates?${query}`
      const schema = z.array(messageSchema).max(maxUpdates)
      return (await ask(options, path, schema, maxUpdates)).map(toRaw)
    },
    finalityUpdate: () => one('/eth/v1/beacon/light_client/finality_update'),
    optimisticUpdate: () => one('/eth/v1/beacon/light_client/optimistic_update'),
    forkSchedule: async () => {
      const { data } = await ask(options, '/eth/v1/config/fork_schedule', scheduleSchema, 1)
      // a fork without a date has the largest epoch of all
      return data.map(({ current_version: version, epoch }) => ({ version, epoch: Number(epoch) }))
    },
  }
}

function toRaw({ version, data }: z.output<typeof messageSchema>): RawMessage {
  return { fork: version, data: { json: data } }
}

async function ask<T>(
  { url, name, timeoutMs, ca }: BeaconEndpointOptions,
  path: string,
  schema: z.ZodType<T>,
  messages: number,
): Promise<T> {
  const facts = { endpoint: name, path: path.replace(/\?.*/, '') }
  const signal = AbortSignal.timeout(timeoutMs)
  let body: Uint8Array
  try {
    const target = new URL(`${url.replace(/\/+$/, '')}${path}`)
    const response = await get(target, { signal, maxBytes: messages * messageBytes, ca })
    if (response.status !== 200) throw unreachable(facts, `status ${response.status}`)
    body = response.body
  } catch (cause) {
    if (isAssentError(cause)) throw cause
    if (cause instanceof RangeError) throw invalid(facts, 'too large', cause)
    if (!signal.aborted) throw unreachable(facts, 'no connection', cause)
    throw new AssentError('CHAIN_TIMEOUT', `${name} did not answer within ${timeoutMs} ms.`, {
      cause,
      facts: { ...facts, timeoutMs },
    })
  }
  return parse(body, schema, { facts, values: messages * messageValues })
}

function parse<T>(
  body: Uint8Array,
  schema: z.ZodType<T>,
  { facts, values }: { readonly facts: Facts; readonly values: number },
): T {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
    return schema.parse(readJson(text, { depth: 8, values }).value)
  } catch (cause) {
    throw invalid(facts, 'not of the form that the API has', cause)
  }
}

type Facts = Readonly<Record<string, unknown>>

function unreachable(facts: Facts, why: string, cause?: unknown): AssentError {
  const message = `${facts.endpoint} did not answer ${facts.path}: ${why}.`
  return new AssentError('CHAIN_UNREACHABLE', message, { cause, facts })
}

function invalid(facts: Facts, why: string, cause: unknown): AssentError {
  const message = `${facts.endpoint} answered ${facts.path} with data that is ${why}.`
  return new AssentError('CHAIN_ANSWER_INVALID', message, { cause, facts: { ...facts, why } })
}
