/**
 * The server of the browser hand-off: it serves one page to one browser tab, gives it one question after another, and takes
 * the answers of the wallet.
 *
 * It listens on the loopback interface. Other programs and users of this computer can reach it, and so can every web page
 * in the browser. So a request counts only with the session secret, which the first holder of the token gets; without one of
 * the two it is cut off before its body, and connections with one of them have a share of their own. It counts only
 * from the page itself: the headers `Host` (against DNS rebinding), `Origin` (RFC 6454, section 7) and `Sec-Fetch-Site`
 * are checked. The token is in the fragment of the URL, which a browser sends to no server.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'

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
      /** What the statement says, a sentence or one line for each field. */
      readonly words: readonly string[]
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
  /** Whether a question waits for the wallet. */
  isAsking(): boolean
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
/** A page sends its whole request at once. */
const deadlines = { headMs: 2_000, bodyMs: 1_000 }
/** Milliseconds in which a refused request can still be completed. */
const cutMs = 100

const numberRequest = z.strictObject({ id: z.int() })
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
  const desk = createDesk(answerMs)
  let host = ''
  const secrets = createSecrets()
  const app = createApp({ secrets, desk, host: () => host })
  // every client without a secret is this computer, so it gets half of each total
  const limits = { connections: 64, requestsInFlight: 32, sharedAddresses: ['127.0.0.1'] }
  const ingress = openIngress(createServer(), getRequestListener(app.fetch), {
    limits: openLimits(limits),
    proxied: 'x-forwarded-for',
    identify: (incoming) => (secrets.isKnown(incoming) ? 'page' : undefined),
    admit: (incoming) => {
      if (incoming.method === 'GET' || secrets.isKnown(incoming)) return undefined
      setTimeout(() => incoming.complete || incoming.socket.destroy(), cutMs).unref()
      return { status: 403, headers: { 'content-type': 'text/plain' }, body: 'No session.' }
    },
    deadlines,
    maxBodyBytes: ({ method }) => (method === 'POST' ? maxBodyBytes : 0),
    explain: (refusal) => ({
      status: refusal === 'too-large' ? 413 : refusal === 'target' ? 400 : 429,
      headers: { 'content-type': 'text/plain' },
      body: refusal,
    }),
  })
  host = await ingress.listen({ host: '127.0.0.1', port: 0 })
  return {
    url: `http://${host}/#${secrets.token}`,
    ask: desk.ask,
    isAsking: desk.isAsking,
    async close() {
      await desk.end()
      await ingress.stop(farewellMs)
    },
  }
}

/* THE QUESTIONS */

interface Desk {
  ask(question: Question): Promise<string>
  isAsking(): boolean
  /** The question now, for the page. */
  current(): object
  /**
   * Hands the question out for the wallet, once: a wallet that is asked twice can send twice.
   *
   * @returns false if it was handed out already, or is another question
   */
  claim(id: number): boolean
  /** The wallet declined: it can be asked again. */
  release(id: number): boolean
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
  isClaimed: boolean
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
        asked = { id, question, settle, isClaimed: false }
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
      if (asked === undefined) return { id: 0, kind: 'wait' }
      const { id, isClaimed, question } = asked
      return { id, isClaimed, ...question }
    },
    isAsking: () => asked !== undefined,
    claim(id) {
      if (asked?.id !== id || asked.isClaimed) return false
      asked.isClaimed = true
      return true
    },
    release(id) {
      if (asked?.id !== id) return false
      asked.isClaimed = false
      return true
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
    hint: 'A request that is open in the wallet can still be confirmed: decline it there first. Then run the command again, and open the printed address in the browser that has the wallet.',
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

/** The token of the address, and the session of the page that it opens. */
interface Secrets {
  readonly token: string
  /** Opens the session. @returns undefined if it was opened before, or if this is not the token */
  open(header: string | undefined): string | undefined
  isSession(header: string | undefined): boolean
  /** Whether the head of a request has one of both. */
  isKnown(incoming: IncomingMessage): boolean
}

function createSecrets(): Secrets {
  const token = newSecret()
  let session: string | undefined
  const isBearer = (header: string | undefined, secret: string | undefined) => {
    const given = /^Bearer ([\w-]{1,100})$/.exec(header ?? '')?.[1]
    return secret !== undefined && given !== undefined && isSame(given, secret)
  }
  return {
    token,
    open(header) {
      if (session !== undefined || !isBearer(header, token)) return undefined
      session = newSecret()
      return session
    },
    isSession: (header) => isBearer(header, session),
    isKnown: ({ headers: { authorization } }) =>
      isBearer(authorization, session) || isBearer(authorization, token),
  }
}

interface AppOptions {
  readonly secrets: Secrets
  readonly desk: Desk
  /** Host and port of the server. */
  readonly host: () => string
}

function createApp({ secrets, desk, host }: AppOptions): Hono {
  const page = createWalletPage()
  const app = new Hono()
  app.use(ownPageOnly(host))
  app.get('/', (context) => context.body(page.html, 200, page.headers))
  app.post('/session', (context) => {
    const session = secrets.open(context.req.header('authorization'))
    if (session === undefined) {
      return refuse(context, 403, 'This address was used already, or it is wrong.')
    }
    desk.join()
    return context.json({ session })
  })
  const inSession = createMiddleware(async (context, next) => {
    const isOpen = secrets.isSession(context.req.header('authorization'))
    return isOpen ? next() : refuse(context, 403, 'This tab has no session.')
  })
  app.post('/question', inSession, (context) => context.json(desk.current()))
  app.post('/answer', inSession, async (context) => {
    const given = await readRequest(context, answerRequest)
    if (given === undefined) return refuse(context, 400, 'Not an answer.')
    if (!desk.answer(given)) return refuse(context, 409, 'The command no longer asks this.')
    return context.json({})
  })
  const onNumber = (decide: (id: number) => boolean) => async (context: Context) => {
    const given = await readRequest(context, numberRequest)
    if (given === undefined) return refuse(context, 400, 'Not a question.')
    if (!decide(given.id)) return refuse(context, 409, 'The wallet was asked already.')
    return context.json({})
  }
  app.post('/claim', inSession, onNumber(desk.claim))
  app.post('/release', inSession, onNumber(desk.release))
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
