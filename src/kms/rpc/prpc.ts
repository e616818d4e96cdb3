/** dstack's RPC over HTTP (`prpc`): `/prpc/<method>` with protobuf or JSON, by GET or POST. Every error has status 400. */
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

/** One method: its messages and its implementation. `C` is the type of the caller. */
export interface RpcMethod<C> {
  /** Message of the request. */
  readonly input: DescMessage
  /** Message of the answer. */
  readonly output: DescMessage
  /** Runs the method. A thrown `AssentError` becomes dstack's error answer. */
  readonly run: (request: Message, caller: C) => Promise<Message>
}

/** Options of {@link mountPrpc}. */
export interface PrpcOptions<C> {
  /** Optional prefix of method names: `KMS` for `KMS.GetAppKey`. */
  readonly prefix: string
  /** Methods by name, without the prefix. */
  readonly methods: Readonly<Record<string, RpcMethod<C>>>
  /** Methods that change state: they are not reachable by GET. */
  readonly postOnly?: readonly string[]
  /**
   * Features of other dstack servers that would change what a request means: names of methods, and of JSON members as
   * `Method.member`. They are refused instead of ignored.
   */
  readonly unsupported?: readonly string[]
  /** Identifies the caller. Its errors are answered before the method name is checked, as dstack does. */
  readonly caller: (context: Context) => Promise<C>
  /** Called with an error before it is answered. An error that it throws is answered instead. */
  readonly onFailure?: (call: FailedCall<C>) => Promise<void>
  /** Called after every call: for logs and metrics. */
  readonly observe: (call: ObservedCall<C>) => void
}

/** A call that ended with an error. */
export interface FailedCall<C> {
  /** Name of the method, or `unknown`. */
  readonly method: string
  /** Undefined if the caller could not be identified. */
  readonly caller: C | undefined
  /** Its reason. */
  readonly error: AssentError
}

/** One finished call, for logs and metrics. */
export interface ObservedCall<C> {
  /** Name of the method, or `unknown`: a label of metrics must not come from the caller. */
  readonly method: string
  /** Undefined if the caller could not be determined, for example after a malformed request. */
  readonly caller: C | undefined
  /** Duration. */
  readonly seconds: number
  /** Undefined after success. */
  readonly error: AssentError | undefined
}

/** Requests are flat. Unknown members of newer peers may be lists or objects, so some depth is allowed. */
const jsonLimits = { depth: 16, values: 4_096 }

/**
 * Defines a method with typed messages.
 *
 * @example method(AppIdSchema, PublicKeyResponseSchema, ({ appId }) => getEnvPublicKey(kms, appId))
 */
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

/** Adds the routes of all methods to a Hono app. */
export function mountPrpc<C>(app: Hono, options: PrpcOptions<C>): void {
  // dstack's router ignores empty path segments, and answers 422 if no method is named
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
    failure = await reportFailure(options, { method: known, caller, error: toAssentError(error) })
    return writeError(context, failure)
  } finally {
    const seconds = (performance.now() - started) / 1000
    options.observe({ method: known, caller, seconds, error: failure })
  }
}

/** Passes the error to `onFailure`. @returns the error to answer */
async function reportFailure<C>(
  { onFailure }: PrpcOptions<C>,
  call: FailedCall<C>,
): Promise<AssentError> {
  try {
    await onFailure?.(call)
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
    // unknown fields are dropped: kept as objects, two bytes each would take a hundred times their size
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

/** JSON is chosen by GET, by `?json`, or by the content type; everything else is protobuf. */
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

/** The error code is in a header, because dstack's bodies have only a message. Unexpected errors reveal nothing. */
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
