/**
 * The server of the browser hand-off: it serves one page to one browser tab, gives it one question after another, and takes
 * the answers of the wallet.
 *
 * It listens on the loopback interface. Other programs and users of this computer can reach it, and so can every web page
 * in the browser. So a request counts only with the session secret, which the first holder of the token gets, and only
 * from the page itself: the headers `Host` (against DNS rebinding), `Origin` (RFC 6454, section 7) and `Sec-Fetch-Site`
 * are checked. The token is in the fragment of the URL, which a browser sends to no server.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import { z } from 'zod'

import { boundedText } from '../../../errors/bounded.ts'
import { AssentError } from '../../../errors/index.ts'
import { openIngress } from '../../../lib/ingress/ingress.ts'
import { openLimits } from '../../../lib/ingress/settings.ts'
import { createWalletPage } from './wallet-page.ts'

interface ChainName {
  readonly id: number
  readonly name: string
}

/** What the page asks the wallet. */
export type Question =
  | {
      readonly kind: 'account'
      readonly chain: ChainName
      /** Null: any account. */
      readonly wanted: string | null
    }
  | {
      readonly kind: 'transaction'
      readonly chain: ChainName
      readonly from: string
      /** Null: the transaction creates a contract. */
      readonly to: string | null
      /** Type of the contract; null: unknown. */
      readonly contract: string | null
      /** Wei, as decimal text. */
      readonly value: string
      readonly data: string
      /** Null: the wallet chooses it. */
      readonly nonce: number | null
      /** What the call does, one sentence for each effect. */
      readonly words: readonly string[]
    }
  | {
      readonly kind: 'signature'
      readonly chain: ChainName
      readonly from: string
      /** Typed data as JSON (EIP-712). */
      readonly typedData: string
    }

const answers: Readonly<Record<Question['kind'], RegExp>> = {
  account: /^0x[0-9a-fA-F]{40}$/,
  transaction: /^0x[0-9a-fA-F]{64}$/,
  // 65 bytes: contract accounts have other signatures, which nobody can check offline
  signature: /^0x[0-9a-fA-F]{130}$/,
}

/** A listening hand-off. */
export interface HandOff {
  /** The address for the browser, with the token. */
  readonly url: string
  /**
   * Waits until the wallet has answered. Questions are asked one after another.
   *
   * @returns the account, the hash of the transaction, or the signature, as the wallet says: it is not checked yet
   * @throws SIGNER_REFUSED if the wallet or the person declines, SIGNER_UNREACHABLE after the time limit
   */
  ask(question: Question): Promise<string>
  /** Tells the page that the command has ended, and closes the port. */
  close(): Promise<void>
}

/** Time limits of a hand-off. */
export interface HandOffOptions {
  /** Milliseconds for one question: a person reads it, and may have to unlock the wallet. */
  readonly answerMs?: number
}

const defaultAnswerMs = 600_000
/** Milliseconds in which the page can fetch the end, and in which its last request is answered. */
const farewellMs = 1_500
/** Bytes of a request: an answer has a few hundred. */
const maxBodyBytes = 8 * 1024
const maxReason = 300

const sessionRequest = z.strictObject({ token: z.string().max(100) })
const answerRequest = z.union([
  z.strictObject({ id: z.int(), result: z.string().max(1_000) }),
  z.strictObject({
    id: z.int(),
    error: z.strictObject({ code: z.number().optional(), message: z.string().max(4_096) }),
  }),
])
type Answer = z.output<typeof answerRequest>

/** Listens on a free port of the loopback interface. */
export async function openHandOff({
  answerMs = defaultAnswerMs,
}: HandOffOptions = {}): Promise<HandOff> {
  const token = newSecret()
  const desk = createDesk(answerMs)
  let host = ''
  const app = createApp({ token, desk, host: () => host })
  // every client is this computer, so it gets half of each total
  const limits = { connections: 64, requestsInFlight: 32, sharedAddresses: ['127.0.0.1'] }
  const ingress = openIngress(createServer(), getRequestListener(app.fetch), {
    limits: openLimits(limits),
    proxied: 'x-forwarded-for',
    maxBodyBytes: ({ method }) => (method === 'POST' ? maxBodyBytes : 0),
    explain: (refusal) => ({
      status: refusal === 'too-large' ? 413 : refusal === 'target' ? 400 : 429,
      headers: { 'content-type': 'text/plain' },
      body: refusal,
    }),
  })
  host = await ingress.listen({ host: '127.0.0.1', port: 0 })
  return {
    url: `http://${host}/#${token}`,
    ask: desk.ask,
    async close() {
      await desk.end()
      await ingress.stop(farewellMs)
    },
  }
}

/* THE QUESTIONS */

interface Desk {
  ask(question: Question): Promise<string>
  /** The question now, for the page. */
  current(): object
  /** @returns false if it answers another question */
  answer(answer: Answer): boolean
  /** The page was opened: it will ask for the end. */
  join(): void
  end(): Promise<void>
}

interface Asked {
  readonly id: number
  readonly question: Question
  readonly settle: (answer: Answer) => void
}

/** One question lies on the desk at a time. */
function createDesk(answerMs: number): Desk {
  let asked: Asked | undefined
  let count = 0
  let last: Promise<unknown> = Promise.resolve()
  let hasPage = false
  let hasEnded = false
  let sawEnd = () => {}
  const put = async (question: Question) => {
    const id = ++count
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<string>((resolve, reject) => {
        timer = setTimeout(() => reject(tooLate(answerMs)), answerMs)
        const settle = (answer: Answer) => {
          if ('error' in answer) reject(refused(answer.error))
          else if (answers[question.kind].test(answer.result)) resolve(answer.result)
          else reject(notAnAnswer(question.kind))
        }
        asked = { id, question, settle }
      })
    } finally {
      clearTimeout(timer)
      asked = undefined
    }
  }
  return {
    ask(question) {
      const answered = last.then(() => put(question))
      last = answered.catch(() => undefined)
      return answered
    },
    current() {
      if (hasEnded) {
        sawEnd()
        return { id: -1, kind: 'end' }
      }
      return asked === undefined ? { id: 0, kind: 'wait' } : { id: asked.id, ...asked.question }
    },
    answer(answer) {
      if (asked?.id !== answer.id) return false
      asked.settle(answer)
      return true
    },
    join() {
      hasPage = true
    },
    async end() {
      hasEnded = true
      if (!hasPage) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, farewellMs)
        sawEnd = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    },
  }
}

function tooLate(answerMs: number): AssentError {
  const message = `No wallet answered within ${answerMs / 1000} seconds.`
  return new AssentError('SIGNER_UNREACHABLE', message, {
    hint: 'Open the printed address in the browser that has the wallet, and confirm there.',
  })
}

function refused({ code, message }: { code?: number | undefined; message: string }): AssentError {
  return new AssentError(
    'SIGNER_REFUSED',
    `The wallet refused: ${boundedText(message, maxReason)}`,
    {
      facts: { code: code ?? null },
    },
  )
}

function notAnAnswer(kind: Question['kind']): AssentError {
  const names = {
    account: 'an account',
    transaction: 'a transaction hash',
    signature: 'a signature',
  }
  return new AssentError('SIGNER_WRONG', `The wallet did not answer with ${names[kind]}.`)
}

/* THE SERVER */

interface AppOptions {
  readonly token: string
  readonly desk: Desk
  /** Host and port of the server. */
  readonly host: () => string
}

function createApp({ token, desk, host }: AppOptions): Hono {
  const page = createWalletPage()
  const app = new Hono()
  let session: string | undefined
  app.use(ownPageOnly(host))
  app.get('/', (context) => context.body(page.html, 200, page.headers))
  app.post('/session', async (context) => {
    const given = await readRequest(context, sessionRequest)
    if (given === undefined) return refuse(context, 400, 'Not a request of the page.')
    if (session !== undefined || !isSame(given.token, token)) {
      return refuse(context, 403, 'This address was used already, or it is wrong.')
    }
    session = newSecret()
    desk.join()
    return context.json({ session })
  })
  const inSession = createMiddleware(async (context, next) => {
    const given = /^Bearer ([\w-]{1,100})$/.exec(context.req.header('authorization') ?? '')?.[1]
    const isOpen = session !== undefined && given !== undefined && isSame(given, session)
    return isOpen ? next() : refuse(context, 403, 'This tab has no session.')
  })
  app.post('/question', inSession, (context) => context.json(desk.current()))
  app.post('/answer', inSession, async (context) => {
    const given = await readRequest(context, answerRequest)
    if (given === undefined) return refuse(context, 400, 'Not an answer.')
    if (!desk.answer(given)) return refuse(context, 409, 'The command no longer asks this.')
    return context.json({})
  })
  app.notFound((context) => refuse(context, 404, 'Not here.'))
  return app
}

/** Lets only requests pass that the page itself sends, and the request for the page. */
function ownPageOnly(host: () => string) {
  return createMiddleware(async (context, next) => {
    const header = (name: string) => context.req.header(name)
    if (header('host') !== host()) return refuse(context, 421, 'Another host.')
    if (context.req.method === 'GET') return next()
    const isOwn =
      header('origin') === `http://${host()}` &&
      (header('sec-fetch-site') ?? 'same-origin') === 'same-origin' &&
      header('content-type') === 'application/json'
    return isOwn ? next() : refuse(context, 403, 'Only the page of this command can ask.')
  })
}

async function readRequest<T>(context: Context, schema: z.ZodType<T>): Promise<T | undefined> {
  const body = await context.req.json().catch(() => undefined)
  return schema.safeParse(body).data
}

function refuse(context: Context, status: 400 | 403 | 404 | 409 | 421, text: string): Response {
  return context.text(text, status, { 'x-content-type-options': 'nosniff' })
}

/** 256 bits. */
function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** In constant time, whatever the lengths are. */
function isSame(given: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(secret))
}
