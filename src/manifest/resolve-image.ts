/** Looks up the digest of an image by its tag, in the registry's HTTP API (OCI Distribution Specification 1.1, "Pulling manifests"). */
import { createHash } from 'node:crypto'

import { z } from 'zod'

import { AssentError } from '../errors/index.ts'
import { get, type HttpResponse } from '../lib/http-get.ts'
import { dockerHub, type ImageReference, parseImageReference } from './image-reference.ts'

/** HTTP client and time limit for image registries. */
export interface ResolveOptions {
  /** Replaces Node's HTTP client, for tests and proxies. */
  readonly fetch?: typeof globalThis.fetch
  /** For one image; default 20,000. */
  readonly timeoutMs?: number
}

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]

/** Bytes; the specification lets registries refuse larger manifests. */
const maxManifest = 4 * 1024 * 1024
const maxToken = 64 * 1024

/**
 * Reads the manifest of an image and returns its digest, computed from the bytes. It asks without an account.
 *
 * The registry decides which image a tag means, so look at the image before you approve it.
 *
 * @returns the name with its digest, such as `nginx:1.29@sha256:…`; a name that has one is returned as it is
 * @throws IMAGE_REFERENCE_INVALID, REGISTRY_UNREACHABLE, REGISTRY_REFUSED, REGISTRY_ANSWER_INVALID
 */
export async function resolveImage(text: string, options: ResolveOptions = {}): Promise<string> {
  const image = parseImageReference(text)
  if (image.digest !== undefined) return text
  const signal = AbortSignal.timeout(options.timeoutMs ?? 20_000)
  const { body, headers } = await fetchImageManifest(image, { ...options, signal })
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
  const stated = headers.get('docker-content-digest')
  if (stated !== null && stated !== digest) {
    throw invalid(image, 'its digest is not the hash of the manifest', {
      expected: digest,
      found: stated,
    })
  }
  requireImage(image, headers, body)
  return `${text}@${digest}`
}

interface RequestOptions {
  readonly fetch?: typeof globalThis.fetch
  readonly signal: AbortSignal
}

async function fetchImageManifest(
  image: ImageReference,
  options: RequestOptions,
): Promise<HttpResponse> {
  const url = new URL(
    `/v2/${image.repository}/manifests/${image.tag ?? 'latest'}`,
    originOf(image.registry),
  )
  const accept = { accept: manifestTypes.join(', ') }
  const first = await ask(image, url, accept, maxManifest, options)
  const challenge = first.headers.get('www-authenticate')
  const answer =
    first.status === 401 && challenge !== null
      ? await askWithToken(image, url, { accept, challenge }, options)
      : first
  if (answer.status === 200) return answer
  const facts = { registry: image.registry, repository: image.repository, status: answer.status }
  if ([401, 403, 404].includes(answer.status)) {
    const message = `The registry ${image.registry} does not show ${image.repository}:${image.tag ?? 'latest'}.`
    throw new AssentError('REGISTRY_REFUSED', message, { facts })
  }
  const message = `The registry ${image.registry} answered with status ${answer.status}.`
  throw new AssentError('REGISTRY_UNREACHABLE', message, { facts })
}

const tokenSchema = z.object({
  token: z.string().max(maxToken).optional(),
  access_token: z.string().max(maxToken).optional(),
})

/** Gets an anonymous token (Docker's token specification) and asks again. */
async function askWithToken(
  image: ImageReference,
  url: URL,
  { accept, challenge }: { accept: { accept: string }; challenge: string },
  options: RequestOptions,
): Promise<HttpResponse> {
  const member = (name: string) => new RegExp(`\\b${name}="([^"]{1,2000})"`).exec(challenge)?.[1]
  const realm = member('realm')
  if (!/^bearer /i.test(challenge) || realm === undefined || !URL.canParse(realm)) {
    throw invalid(image, 'it asks for a kind of login that is not supported', {})
  }
  const tokenUrl = new URL(realm)
  // otherwise a registry could direct requests into the local network
  if (tokenUrl.protocol !== 'https:' && tokenUrl.origin !== url.origin) {
    throw invalid(image, 'it sends to a login service without https', { realm })
  }
  const service = member('service')
  if (service !== undefined) tokenUrl.searchParams.set('service', service)
  tokenUrl.searchParams.set('scope', `repository:${image.repository}:pull`)
  const answer = await ask(image, tokenUrl, {}, maxToken, options)
  const parsed = tokenSchema.safeParse(parseJson(answer.body))
  const token = parsed.success ? (parsed.data.token ?? parsed.data.access_token) : undefined
  if (answer.status !== 200 || token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
    throw new AssentError(
      'REGISTRY_REFUSED',
      `The registry ${image.registry} gives no access to ${image.repository} without an account.`,
      { facts: { registry: image.registry, status: answer.status } },
    )
  }
  return ask(image, url, { ...accept, authorization: `Bearer ${token}` }, maxManifest, options)
}

async function ask(
  image: ImageReference,
  url: URL,
  headers: Record<string, string>,
  maxBytes: number,
  { signal, fetch = globalThis.fetch }: RequestOptions,
): Promise<HttpResponse> {
  try {
    return await get(url, {
      signal,
      maxBytes,
      fetch: (target, init) => fetch(target, { ...init, headers }),
    })
  } catch (cause) {
    const isTooLong = cause instanceof RangeError
    if (isTooLong) throw invalid(image, `it is longer than ${maxBytes} bytes`, {})
    const message = `The registry ${image.registry} does not answer.`
    throw new AssentError('REGISTRY_UNREACHABLE', message, {
      cause,
      facts: { registry: image.registry },
    })
  }
}

/** The manifest must be one of those that was asked for; old formats have digests of other bytes. */
function requireImage(image: ImageReference, headers: Headers, body: Uint8Array): void {
  const type = headers.get('content-type')?.split(';', 1)[0]?.trim()
  const isObject = typeof parseJson(body) === 'object'
  if (type !== undefined && manifestTypes.includes(type) && isObject) return
  throw invalid(image, 'it is not the manifest of an image', { found: type ?? null })
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    return undefined
  }
}

/** Images of a registry on this computer need no TLS, as in Docker. */
function originOf(registry: string): string {
  if (registry === dockerHub) return 'https://registry-1.docker.io'
  const isLocal = /^(localhost|127\.0\.0\.1)(:|$)/.test(registry)
  return `${isLocal ? 'http' : 'https'}://${registry}`
}

function invalid(image: ImageReference, problem: string, facts: object): AssentError {
  const message = `The answer of the registry ${image.registry} is refused: ${problem}.`
  return new AssentError('REGISTRY_ANSWER_INVALID', message, {
    facts: { registry: image.registry, repository: image.repository, ...facts },
  })
}
