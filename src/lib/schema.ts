/** zod pieces that several parts share: exact widths, lower-case hex, no defaults. */
import { z } from 'zod'

import type { Hex } from './bytes.ts'

/** Hex of exactly `length` bytes, with `0x`. */
export function hexSchema(length: number) {
  return z
    .string()
    .regex(new RegExp(`^0x[0-9a-fA-F]{${length * 2}}$`), `0x and ${length * 2} hexadecimal digits`)
    .transform((text) => text.toLowerCase() as Hex)
}

export const addressSchema = hexSchema(20)
export const bytes32Schema = hexSchema(32)

/** Bytes of any length, with `0x`. */
export const bytesSchema = z
  .string()
  .regex(/^0x([0-9a-fA-F]{2})*$/, 'bytes as 0x and hexadecimal digits')
  .transform((text) => text.toLowerCase() as Hex)

/** Number of a TCP port; 0 lets the system choose. */
export const portSchema = z.int().min(0).max(65535)

export const urlSchema = z.url({ protocol: /^https?$/ })

/**
 * What two spellings of one address have in common: host, port and path. Protocol, user, query, fragment, the case and
 * form of the host, a final dot or slash and a port that is the default do not make it another one.
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

/** A list of services, each of which counts once. */
export const urlListSchema = z.array(urlSchema).superRefine((urls, context) => {
  const seen = new Map<string, number>()
  for (const [index, url] of urls.entries()) {
    if (!URL.canParse(url)) continue
    const address = addressOf(url)
    const first = seen.get(address)
    if (first === undefined) seen.set(address, index)
    // positions alone, because an address may hold credentials
    else context.addIssue({ code: 'custom', path: [index], message: `the same as number ${first}` })
  }
})

/** Whether anyone on the way could read and change what is said: HTTP to another machine. */
export function isRemoteHttp(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname } = new URL(url)
  const isLoopback = /^(.+\.)?localhost\.?$|^127(\.[0-9]+){3}$|^\[::1\]$/.test(hostname)
  return protocol === 'http:' && !isLoopback
}
