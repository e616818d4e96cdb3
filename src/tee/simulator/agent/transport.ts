/** Transport of dstack's guest agent: JSON by POST, or a query string by GET. */
import { type Context, Hono } from 'hono'

import { fromHex } from '../../../lib/bytes.ts'

/** Unchecked parameters of a request. */
export type Parameters = Readonly<Record<string, unknown>>

/** One method of the guest API. */
export type AgentMethod = (parameters: Parameters) => object | null | Promise<object | null>

/** One version of the API below one path. */
export interface ApiVersion {
  /** Methods by name; names are case-sensitive. */
  readonly methods: Readonly<Record<string, AgentMethod>>
  /** HTTP status for an unknown method: 400 in dstack 0.5, 404 in 0.6. */
  readonly unknownStatus: 400 | 404
  /** Service name that older clients put before the method, such as `Worker.`. */
  readonly optionalPrefix?: string
}

const maxBodyBytes = 10 * 1024 * 1024

/** An app that serves the methods of one API version at its root. */
export function serveSurface({ methods, unknownStatus, optionalPrefix }: ApiVersion): Hono {
  const app = new Hono()
  for (const [name, method] of Object.entries(methods)) {
    const paths = optionalPrefix === undefined ? [name] : [name, `${optionalPrefix}${name}`]
    app.on(
      ['GET', 'POST'],
      paths.map((path) => `/${path}`),
      (c) => answer(c, method),
    )
  }
  app.all('/:method', (c) =>
    refuse(c, `Service not found: ${c.req.param('method')}`, unknownStatus),
  )
  return app
}

async function answer(c: Context, method: AgentMethod): Promise<Response> {
  try {
    return c.json(await method(await readParameters(c)))
  } catch (error) {
    return refuse(c, error instanceof Error ? error.message : 'unknown error', 400)
  }
}

/** dstack writes its errors as indented JSON. */
function refuse(c: Context, reason: string, status: 400 | 404): Response {
  c.header('content-type', 'application/json')
  return c.body(JSON.stringify({ error: reason }, null, 2), status)
}

async function readParameters(c: Context): Promise<Parameters> {
  if (c.req.method === 'GET') return c.req.query()
  const body = await c.req.text()
  if (body.length > maxBodyBytes) throw new RangeError('The request is too long')
  if (body === '') return {}
  const parameters: unknown = JSON.parse(body)
  if (typeof parameters === 'object' && parameters !== null && !Array.isArray(parameters)) {
    return parameters as Parameters
  }
  throw new TypeError('The request is not a JSON object')
}

/** A text; default empty, as in protobuf. */
export function text(parameters: Parameters, name: string): string {
  const value = parameters[name] ?? ''
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`)
  return value
}

/** Bytes as hex; default empty. */
export function bytes(parameters: Parameters, name: string): Uint8Array {
  return fromHex(text(parameters, name), name)
}

/** `true` or `false`, in a query string as text; default false. */
export function flag(parameters: Parameters, name: string): boolean {
  const value = parameters[name] ?? false
  if (typeof value === 'boolean') return value
  if (value === 'true' || value === 'false') return value === 'true'
  throw new TypeError(`${name} must be true or false`)
}

/** Unix seconds; undefined if absent. */
export function seconds(parameters: Parameters, name: string): number | undefined {
  const value = parameters[name]
  if (value === undefined || value === null) return undefined
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  if (Number.isSafeInteger(number) && Number(number) >= 0) return Number(number)
  throw new TypeError(`${name} must be Unix seconds`)
}

/** A list of texts; default empty. A query string has one text. */
export function texts(parameters: Parameters, name: string): string[] {
  const value = parameters[name] ?? []
  const list: unknown[] = Array.isArray(value) ? value : [value]
  return list.map((item) => {
    if (typeof item !== 'string') throw new TypeError(`${name} must be a list of strings`)
    return item
  })
}
