/** dstack's RPC over HTTP: one path, protobuf or JSON, GET or POST, every error a 400. */
import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { Context, Hono } from 'hono'

import { AssentError } from '../../errors/index.ts'
import { readJson } from '../../lib/json.ts'
import { RpcErrorSchema } from './kms_pb.ts'
import { fromPrpcJson, fromPrpcQuery, toPrpcJson } from './prpc-json.ts'

/** One method: its messages and what it does for a caller. */
export interface RpcMethod<C> {
  readonly input: DescMessage
  readonly output: DescMessage
  readonly run: (request: Message, caller: C) => Promise<Message>
}

export interface PrpcOptions<C> {
  /** Stripped from the method's name: `KMS` for `KMS.GetAppKey`. */
  readonly prefix: string
  readonly methods: Readonly<Record<string, RpcMethod<C>>>
  /** Methods that change state: they are not reachable by GET. */
  readonly postOnly?: readonly string[]
  /**
   * Features of other dstack servers that would change what a request means: names of methods, and of JSON members as
   * `Method.member`. They are refused instead of ignored.
   */
  readonly unsupported?: readonly string[]
  /** Who asks; what it throws is answered before any method is looked at. */
  readonly caller: (context: Context) => Promise<C>
  /** Hears of an error before the caller does; what it throws is answered instead. */
  readonly failing?: (call: FailedCall<C>) => Promise<void>
  /** Told of every finished call. */
  readonly observe: (call: ObservedCall<C>) => void
}

export interface FailedCall<C> {
  readonly method: string
  readonly caller: C | undefined
  readonly error: AssentError
}

export interface ObservedCall<C> {
  readonly method: string
  readonly caller: C | undefined
  readonly seconds: number
  readonly error: AssentError | undefined
}

/** Requests are flat; members that are unknown here may be lists or objects. */
const jsonLimits = { depth: 16, values: 4_096 }

export function method<C, I extends DescMessage, O extends DescMessage>(
  input: I,
  output: O,
  run: (request: MessageShape<I>, caller: C) => Promise<MessageInitShape<O>>,
): RpcMethod<C> {
  return {
    input,
    output,
    run: async (request, caller) =>
      create(output, await run(request as MessageShape<I>, caller)) as Message,
  }
}

export function mountPrpc<C>(app: Hono, options: PrpcOptions<C>): void {
  // dstack's router passes over empty segments, and answers so where no method is named
  for (const path of ['/prpc/:method', '/prpc//:method']) {
    app.on(['GET', 'POST'], path, (context) => answer(context, options))
  }
  app.post('/prpc/', (context) => context.body(null, 422))
}

async function answer<C>(context: Context, options: PrpcOptions<C>): Promise<Response> {
  const started = performance.now()
  const name = methodName(context.req.param('method') ?? '', options.prefix)
  let caller: C | undefined
  const known = Object.hasOwn(options.methods, name) ? name : 'unknown'
  let failure: AssentError | undefined
  try {
    caller = await options.caller(context)
    requireSupported(name, options)
    const found = Object.hasOwn(options.methods, name) ? options.methods[name] : undefined
    if (found === undefined) {
      throw new AssentError('KMS_METHOD_UNKNOWN', `Service not found: ${name.slice(0, 64)}`)
    }
    if (context.req.method !== 'POST' && options.postOnly?.includes(name)) {
      throw new AssentError('KMS_REQUEST_INVALID', `invalid request: ${name} needs POST`)
    }
    const request = await readRequest(context, found.input, (member) =>
      requireSupported(`${name}.${member}`, options),
    )
    const response = await found.run(request, caller)
    return write(context, found.output, response)
  } catch (error) {
    failure = await announce(options, { method: known, caller, error: toAssentError(error) })
    return writeError(context, failure)
  } finally {
    const seconds = (performance.now() - started) / 1000
    options.observe({ method: known, caller, seconds, error: failure })
  }
}

async function announce<C>({ failing }: PrpcOptions<C>, call: FailedCall<C>): Promise<AssentError> {
  try {
    await failing?.(call)
    return call.error
  } catch (error) {
    return toAssentError(error)
  }
}

function methodName(path: string, prefix: string): string {
  let name = path
  while (name.startsWith(`${prefix}.`)) name = name.slice(prefix.length + 1)
  return name
}

/** @throws KMS_FEATURE_UNSUPPORTED */
function requireSupported<C>(feature: string, { prefix, unsupported = [] }: PrpcOptions<C>): void {
  if (!unsupported.includes(feature)) return
  throw new AssentError('KMS_FEATURE_UNSUPPORTED', `Not supported: ${prefix}.${feature}`)
}

/** @param checkMember called with the name of each JSON member, known or not */
async function readRequest(
  context: Context,
  input: DescMessage,
  checkMember: (member: string) => void,
): Promise<Message> {
  const { req } = context
  if (req.method === 'GET') return fromPrpcQuery(input, new URL(req.url).searchParams) as Message
  const body = new Uint8Array(await req.arrayBuffer())
  if (body.length === 0) return create(input) as Message
  try {
    if (speaksJson(context)) {
      const json = readJson(decodeText(body), jsonLimits)
      if (typeof json.value === 'object') Object.keys(json.value ?? {}).forEach(checkMember)
      return fromPrpcJson(input, json) as Message
    }
    // kept, unknown fields of two bytes each would take a hundred times their size
    return fromBinary(input, body, { readUnknownFields: false }) as Message
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw new AssentError('KMS_REQUEST_INVALID', 'invalid request: the body cannot be decoded', {
      cause,
    })
  }
}

function decodeText(body: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(body)
}

/** By the query, by the method, or by the content type. */
function speaksJson({ req }: Context): boolean {
  if (req.method === 'GET') return true
  const asked = req.query('json')
  if (asked !== undefined && ['', '1', 'true'].includes(asked)) return true
  return (req.header('content-type') ?? '').split(';')[0]?.trim() === 'application/json'
}

function write(context: Context, output: DescMessage, message: Message): Response {
  if (speaksJson(context)) {
    return context.body(JSON.stringify(toPrpcJson(output, message)), 200, {
      'content-type': 'application/json',
    })
  }
  return binary(context, toBinary(output, message), 200)
}

/** The code goes into a header, so that the bodies stay dstack's. */
function writeError(context: Context, error: AssentError): Response {
  const message = error.code === 'UNEXPECTED' ? 'internal error' : error.message
  context.header('x-assent-error', error.code)
  if (speaksJson(context)) {
    return context.body(JSON.stringify({ error: message }, null, 2), 400, {
      'content-type': 'application/json',
    })
  }
  return binary(context, toBinary(RpcErrorSchema, create(RpcErrorSchema, { message })), 400)
}

function binary(context: Context, bytes: Uint8Array, status: 200 | 400): Response {
  return context.body(new Uint8Array(bytes), status, { 'content-type': 'application/octet-stream' })
}

function toAssentError(error: unknown): AssentError {
  if (error instanceof AssentError) return error
  return new AssentError('UNEXPECTED', 'The KMS failed on this request.', { cause: error })
}
