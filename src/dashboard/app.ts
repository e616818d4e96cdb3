/**
 * Serves the dashboard on this computer: the built page, its settings, and a way to the endpoints and the indexer.
 *
 * The page asks the endpoints through this server, so their URLs, which can contain keys, stay here, and the page's policy
 * allows no other server. Other programs and web pages of this computer can reach the port: a request counts only with the
 * server's own `Host` (against DNS rebinding), and a question to an endpoint only from the page itself.
 */
import { type Context, Hono } from 'hono'
import { z } from 'zod'

import type { Endpoint } from '../chain/proven/rpc-endpoint.ts'
import { isAssentError } from '../errors/index.ts'
import { type PageFiles, pagePolicy } from './page-files.ts'
import type { PageSettings } from './settings.ts'

/** What the server gives and asks. */
export interface DashboardOptions {
  readonly files: PageFiles
  readonly settings: PageSettings
  readonly endpoints: readonly Endpoint[]
  /** Answers requests for `/indexer/…` without that prefix. */
  readonly indexer: (request: Request) => Promise<Response>
  /** Host and port of the server, as a browser writes them. */
  readonly host: () => string
}

/** Methods that read. A transaction is sent by the wallet, through its own endpoint. */
const methods = [
  'eth_blockNumber',
  'eth_call',
  'eth_chainId',
  'eth_estimateGas',
  'eth_feeHistory',
  'eth_gasPrice',
  'eth_getBalance',
  'eth_getBlockByHash',
  'eth_getBlockByNumber',
  'eth_getCode',
  'eth_getLogs',
  'eth_getProof',
  'eth_getStorageAt',
  'eth_getTransactionByHash',
  'eth_getTransactionCount',
  'eth_getTransactionReceipt',
] as const

const questionSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.int(), z.string().max(100)]),
  method: z.enum(methods),
  params: z.array(z.unknown()).max(8).default([]),
})

/** Longest question to an endpoint: a call with a large calldata. */
export const maxQuestionBytes = 256 * 1024

/** The application without a port. */
export function createDashboard(options: DashboardOptions): Hono {
  const { files, settings, endpoints, indexer, host } = options
  const app = new Hono()
  app.use(async (context, next) => {
    if (context.req.header('host') !== host()) return refuse(context, 421, 'Another host.')
    const site = context.req.header('sec-fetch-site')
    // another page must not be able to read or embed anything; an address that is typed has the site "none"
    if (site !== undefined && site !== 'same-origin' && site !== 'none') {
      return refuse(context, 403, 'Only the dashboard itself can ask.')
    }
    return next()
  })
  app.get('/settings.json', (context) => context.json(settings, 200, plainHeaders))
  app.post('/rpc/:place', async (context) => {
    if (context.req.header('content-type') !== 'application/json') {
      return refuse(context, 415, 'JSON only.')
    }
    const endpoint = endpoints[Number(context.req.param('place'))]
    const question = questionSchema.safeParse(await context.req.json().catch(() => undefined))
    if (endpoint === undefined) return refuse(context, 404, 'No such endpoint.')
    if (!question.success) return refuse(context, 400, 'Not a question that the page asks.')
    return context.json(await ask(endpoint, question.data), 200, plainHeaders)
  })
  app.get('/indexer/*', async (context) => {
    const url = new URL(context.req.url)
    url.pathname = url.pathname.slice('/indexer'.length)
    const answer = await indexer(new Request(url))
    return new Response(answer.body, {
      status: answer.status,
      headers: { ...plainHeaders, 'content-type': 'application/json' },
    })
  })
  app.get('*', (context) => {
    const path = context.req.path.slice(1)
    const file = files.get(path === '' ? 'index.html' : path)
    if (file === undefined) return refuse(context, 404, 'Not here.')
    const isFixed = path.startsWith('assets/')
    return context.body(file.body, 200, {
      ...plainHeaders,
      'content-type': file.type,
      'content-security-policy': pagePolicy(),
      'cache-control': isFixed ? 'public, max-age=31536000, immutable' : 'no-store',
      etag: file.tag,
    })
  })
  return app
}

const plainHeaders = {
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const

/** Asks one endpoint. Its error is passed on, because the page tells an outage from an answer. */
async function ask(
  endpoint: Endpoint,
  { id, method, params }: z.output<typeof questionSchema>,
): Promise<object> {
  try {
    const result = await endpoint.request(method, params, z.unknown())
    return { jsonrpc: '2.0', id, result: result ?? null }
  } catch (error) {
    if (!isAssentError(error)) throw error
    const { rpcCode, words } = error.facts
    const message = typeof words === 'string' && words !== '' ? words : error.message
    return { jsonrpc: '2.0', id, error: { code: Number(rpcCode ?? -32_000), message } }
  }
}

function refuse(context: Context, status: 400 | 403 | 404 | 415 | 421, text: string): Response {
  return context.text(text, status, plainHeaders)
}
