/**
 * dstack's onboarding listener: plain HTTP without a login, while this KMS has no keys.
 *
 * Anyone who can reach it can start a bootstrap or an onboarding. They cannot choose the result: the chain decides about
 * this node and about the source. `Finish` works only when there are keys. Bind the listener to an address that only
 * the operator can reach.
 */
import { createServer } from 'node:http'
import { isIP } from 'node:net'

import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { createMiddleware } from 'hono/factory'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { openIngress } from '../../lib/ingress/ingress.ts'
import { openLimits } from '../../lib/ingress/settings.ts'
import type { Logger } from '../../lib/log.ts'
import { createReadiness } from '../../lib/readiness.ts'
import type { SelfAuthorizer } from '../authorization/self-authorization.ts'
import { wipeKeys } from '../keys/key-store.ts'
import { limitResponse } from '../rpc/caller-limits.ts'
import {
  AttestationInfoResponseSchema,
  BootstrapRequestSchema,
  BootstrapResponseSchema,
  EmptySchema,
  OnboardRequestSchema,
  OnboardResponseSchema,
} from '../rpc/kms_pb.ts'
import { method, mountPrpc } from '../rpc/prpc.ts'
import { outcomeOf } from '../rpc/request-outcome.ts'
import { type BootstrapOptions, bootstrapKms } from './bootstrap.ts'
import { type OnboardOptions, onboardKms } from './onboard.ts'

/** Dependencies of the listener for bootstrap and onboarding. */
export interface OnboardServiceOptions
  extends BootstrapOptions,
    Omit<OnboardOptions, 'sourceUrl' | 'self' | 'store' | 'source'> {
  /** Gives the facts for `GetAttestationInfo`, also if self-authorization is off. */
  readonly evidence: SelfAuthorizer
  /** The configured domain; requests with another one are refused. */
  readonly domain: string
  /** Address of the KmsAuth contract. */
  readonly kmsContract: string
  readonly log: Logger
  /** Address to listen on. */
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

/** A listening onboarding service. */
export interface RunningOnboarding {
  /** `http://host:port` */
  readonly url: string
  /** Resolves when `Finish` was called and there are keys. */
  readonly finished: Promise<void>
  /** Closes the port; a running step is finished. */
  stop(): Promise<void>
}

/** Bytes: enough for a URL and a domain. */
const maxBodyBytes = 16 * 1024
/** The answer to `Finish` must still reach the operator. */
const stopAfterMs = 5_000

/** Listens until `stop`. @throws the system's error if the port is in use */
export async function startOnboarding(options: OnboardServiceOptions): Promise<RunningOnboarding> {
  let finish: () => void = () => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const app = createOnboarding(options, () => finish())
  const ingress = openIngress(createServer(), getRequestListener(app.fetch), {
    limits: openLimits({ connections: 128, requestsInFlight: 32 }),
    proxied: 'x-forwarded-for',
    maxBodyBytes: ({ method: verb }) => (verb === 'POST' ? maxBodyBytes : 0),
    explain: limitResponse,
    observe: (refusal, client) => options.log.debug({ refusal, client }, 'request limited'),
  })
  const url = `http://${await ingress.listen(options)}`
  options.log.info({ url }, 'waiting for bootstrap or onboarding')
  return { url, finished, stop: () => ingress.stop(stopAfterMs) }
}

function createOnboarding(options: OnboardServiceOptions, finish: () => void): Hono {
  const app = new Hono()
  const alone = oneAtATime()
  const finishWithKeys = async () => {
    await requireKeys(options)
    finish()
  }
  app.use(refuseForeignPages(options))
  const health = createReadiness({ check: () => requireKeys(options) })
  app.get('/health', async (context) => {
    const { status, text } = await health()
    return context.text(text, status)
  })
  app.get('/', (context) =>
    context.text('This KMS has no keys. POST /prpc/Onboard.Bootstrap or /prpc/Onboard.Onboard.\n'),
  )
  // dstack's web page and its documentation use GET here
  app.on(['GET', 'POST'], '/finish', async (context) => {
    try {
      await finishWithKeys()
      return context.text('OK')
    } catch (error) {
      if (!isAssentError(error)) throw error
      return context.text(error.message, 409, { 'x-assent-error': error.code })
    }
  })
  mountPrpc<undefined>(app, {
    prefix: 'Onboard',
    postOnly: ['Bootstrap', 'Onboard', 'Finish'],
    // a token would replace the check of this node's quote by the source
    unsupported: ['Onboard.source_token'],
    caller: async () => undefined,
    observe: ({ method: name, error }) => {
      const outcome = outcomeOf(error)
      if (error) options.log.warn({ method: name, outcome, err: error }, 'onboarding failed')
      else options.log.info({ method: name, outcome }, 'onboarding')
    },
    methods: {
      Bootstrap: method(BootstrapRequestSchema, BootstrapResponseSchema, ({ domain }) =>
        alone(async () => {
          requireDomain(domain, options)
          return bootstrapKms(options)
        }),
      ),
      Onboard: method(OnboardRequestSchema, OnboardResponseSchema, ({ sourceUrl, domain }) =>
        alone(async () => {
          requireDomain(domain, options)
          const { k256Pubkey } = await onboardKms({ ...options, sourceUrl })
          return { k256Pubkey }
        }),
      ),
      GetAttestationInfo: method(EmptySchema, AttestationInfoResponseSchema, () =>
        describeSelf(options),
      ),
      Finish: method(EmptySchema, EmptySchema, async () => {
        await finishWithKeys()
        return {}
      }),
    },
  })
  return app
}

/** @throws KMS_NOT_BOOTSTRAPPED: without keys the node could not serve after `Finish` */
async function requireKeys({ store }: OnboardServiceOptions): Promise<void> {
  const keys = await store.load()
  if (keys === undefined) {
    throw new AssentError('KMS_NOT_BOOTSTRAPPED', 'This KMS has no root keys yet.')
  }
  wipeKeys(keys)
}

/** Protects from pages of other sites in the operator's browser (Fetch Metadata; `Origin`, RFC 6454 §7). */
const refuseForeignPages = ({ host, domain }: OnboardServiceOptions) =>
  createMiddleware(async (context, next) => {
    const header = (name: string) => context.req.header(name)
    const origin = header('origin')
    const isForeign =
      (browserHeaders.some(header) && !isOwnName(header('host') ?? '', [host, domain])) ||
      !['none', 'same-origin'].includes(header('sec-fetch-site') ?? 'none') ||
      (origin !== undefined && origin !== `http://${header('host')}`)
    return isForeign
      ? context.json({ error: 'requests from pages of other sites are refused' }, 403)
      : next()
  })

/** A page cannot remove all of these from its requests. The operator's curl, which may use any name of the node, sends none. */
const browserHeaders = ['origin', 'sec-fetch-site', 'accept-language', 'referer']

/** A site can let its own name lead to this listener (DNS rebinding), but it cannot own an IP address or these names. */
function isOwnName(header: string, names: readonly string[]): boolean {
  const name = header.replace(/:\d{1,5}$/, '').toLowerCase()
  const isAddress = isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
  return isAddress || name === 'localhost' || names.some((each) => each.toLowerCase() === name)
}

async function describeSelf({ evidence, kmsContract }: OnboardServiceOptions) {
  const { bootInfo, verdict } = await evidence.boot()
  return {
    deviceId: bootInfo.deviceId,
    mrAggregated: bootInfo.mrAggregated,
    osImageHash: bootInfo.osImageHash,
    teeVariant: bootInfo.teeVariant,
    siteName: '',
    // the URL may contain credentials
    ethRpcUrl: '',
    kmsContractAddress: kmsContract,
    ppid: verdict.ppid,
  }
}

function requireDomain(requested: string, { domain }: OnboardServiceOptions): void {
  if (requested === domain) return
  throw new AssentError('KMS_REQUEST_INVALID', `This KMS is configured for the domain ${domain}`)
}

function oneAtATime() {
  let busy = false
  return async <T>(run: () => Promise<T>): Promise<T> => {
    if (busy) throw new AssentError('KMS_OVERLOADED', 'Another bootstrap or onboarding is running')
    busy = true
    try {
      return await run()
    } finally {
      busy = false
    }
  }
}
