/** Shared zod schemas: exact lengths, lower-case hex, no default values. */
import { z } from 'zod'

import type { Hex } from './bytes.ts'

/** Hex of exactly `length` bytes with `0x`. The result is lower-case. */
export function hexSchema(length: number) {
  return z
    .string()
    .regex(new RegExp(`^0x[0-9a-fA-F]{${length * 2}}$`), `0x and ${length * 2} hexadecimal digits`)
    .transform((text) => text.toLowerCase() as Hex)
}

/** An Ethereum address. Its checksum is not checked. */
export const addressSchema = hexSchema(20)
/** A 32-byte value such as an id or a hash. */
export const bytes32Schema = hexSchema(32)

/** Bytes of any length as hex with `0x`. The result is lower-case. */
export const bytesSchema = z
  .string()
  .regex(/^0x([0-9a-fA-F]{2})*$/, 'bytes as 0x and hexadecimal digits')
  .transform((text) => text.toLowerCase() as Hex)

/** A setting in whole seconds, with its limits and its default. */
export function secondsSchema(least: number, most: number, value: number) {
  return z.int().min(least).max(most).default(value)
}

/** A TCP port. 0 lets the operating system choose one. */
export const portSchema = z.int().min(0).max(65535)

/**
 * An HTTP or HTTPS URL. Spellings that the URL standard repairs (`https:\\host`, spaces, quotes) are refused: a log could
 * not recognize them as a URL and would show their keys.
 */
export const urlSchema = z
  .url({ protocol: /^https?$/ })
  .regex(/^https?:\/\/[^\s"\\]+$/i, 'an http:// or https:// URL')

/**
 * Normalizes a URL to host, port and path, so that two spellings of one service are equal.
 *
 * It ignores protocol, user, query, fragment, the case of the host, trailing dots and slashes, and a default port.
 *
 * @example addressOf('https://RPC.example:443/key/?x') === addressOf('https://user@rpc.example/key') // true
 */
export function addressOf(url: string): string {
  const { protocol, hostname, port, pathname } = new URL(url)
  const host = hostname.toLowerCase().replace(/\.+$/, '')
  const path = decodePath(pathname)
    .replace(/\/{2,}/g, '/')
    .replace(/\/+$/, '')
  return `${host}:${port || (protocol === 'https:' ? 443 : 80)}${path}`
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** Host and port of a URL, in one spelling. */
function hostOf(url: string): string {
  return addressOf(new URL('/', url).href)
}

/** Refuses a list in which two URLs have the same identity. */
function requireDistinct(identityOf: (url: string) => string, problem: string) {
  return (urls: readonly string[], context: z.RefinementCtx) => {
    const firstPositions = new Map<string, number>()
    for (const [index, url] of urls.entries()) {
      if (!URL.canParse(url)) continue
      const identity = identityOf(url)
      const first = firstPositions.get(identity)
      if (first === undefined) firstPositions.set(identity, index)
      // the message has positions only, because a URL can contain credentials
      else context.addIssue({ code: 'custom', path: [index], message: `${problem} ${first}` })
    }
  }
}

/** A list of service URLs. @param identityOf equal for two spellings of one service, which are an error */
export function distinctUrls(identityOf: (url: string) => string) {
  return z.array(urlSchema).superRefine(requireDistinct(identityOf, 'the same as number'))
}

/** A list of service URLs. Two spellings of one address are an error. */
export const urlListSchema = distinctUrls(addressOf)

/**
 * JSON-RPC endpoints that count toward a quorum. Two URLs with the same host and port are one endpoint, also with
 * different paths: one provider answers for all of its API keys. Two host names of one provider cannot be detected; the
 * operator has to choose different providers.
 */
export const endpointListSchema = z
  .array(urlSchema)
  .min(1)
  .superRefine(requireDistinct(hostOf, 'on the same host as number'))

/** Tells if a URL uses HTTP to another host, so that the network could read and change the traffic. */
export function isRemoteHttp(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname } = new URL(url)
  const isLoopback = /^(.+\.)?localhost\.?$|^127(\.[0-9]+){3}$|^\[::1\]$/.test(hostname)
  return protocol === 'http:' && !isLoopback
}
