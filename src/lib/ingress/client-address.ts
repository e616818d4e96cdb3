/** The client behind an address, and lists of networks in settings. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

import { z } from 'zod'

/**
 * The client to which an address belongs: the IPv4 address itself, or the /64 of an IPv6 address, because one machine
 * can use every address of its /64 (RFC 4291, section 2.5.4). An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) counts
 * as the IPv4 address.
 *
 * @returns undefined if the text is not an IP address
 * @example clientOf('2001:db8:0:1::7') // '2001:db8:0:1::/64'
 */
export function clientOf(address: string): string | undefined {
  if (isIPv4(address)) return address
  const groups = groupsOf(address)
  if (groups === undefined) return undefined
  const mapped = mappedIPv4(groups)
  if (mapped !== undefined) return mapped
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/**
 * An address in one spelling: without a zone (`%eth0`), and an IPv4 address in IPv6 form as IPv4.
 *
 * @returns undefined if the text is not an IP address
 */
export function plainAddress(address: string): string | undefined {
  if (isIPv4(address)) return address
  const groups = groupsOf(address)
  if (groups === undefined) return undefined
  return mappedIPv4(groups) ?? groups.map((group) => group.toString(16)).join(':')
}

/**
 * An element of `X-Forwarded-For` as {@link plainAddress}. Some proxies add the port of the client: `192.0.2.1:4711`,
 * `[2001:db8::1]:4711`.
 *
 * @returns undefined if the text is not an IP address
 */
export function forwardedAddress(text: string): string | undefined {
  const [, address] =
    /^\[([^\]]*)\](?::[0-9]{1,5})?$/.exec(text) ?? /^([0-9.]+):[0-9]{1,5}$/.exec(text) ?? []
  return plainAddress(address ?? text)
}

/** The IPv4 address inside `::ffff:a.b.c.d` (RFC 4291, section 2.5.5.2). */
function mappedIPv4(groups: readonly number[]): string | undefined {
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (!isMapped) return undefined
  const [high = 0, low = 0] = groups.slice(6)
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** The eight groups of an IPv6 address; a zone (`%eth0`) is left out. */
function groupsOf(address: string): readonly number[] | undefined {
  const [plain = ''] = address.split('%', 1)
  if (!isIPv6(plain)) return undefined
  // the URL parser writes an IPv4 tail as groups (WHATWG URL, host parsing)
  const { hostname } = new URL(`http://[${plain}]`)
  const [head = '', tail] = hostname.slice(1, -1).split('::', 2)
  const parse = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const [before, after] = [parse(head), parse(tail ?? '')]
  const missing = Array.from({ length: 8 - before.length - after.length }, () => 0)
  return [...before, ...missing, ...after]
}

/** A list of addresses and networks, `192.0.2.1` or `2001:db8::/32`. */
export const networksSchema = z
  .array(z.string().refine((text) => parseNetwork(text) !== undefined, 'an address or a network'))
  .max(256)

/** Networks that name clients: an IPv6 network must be a /64 or wider, because a /64 is one client. */
export const clientNetworksSchema = networksSchema.refine(
  (networks) => networks.every((text) => isWholeClient(text)),
  'an IPv6 network here is a /64 or wider',
)

function isWholeClient(text: string): boolean {
  const network = parseNetwork(text)
  return network === undefined || network.family === 'ipv4' || network.bits <= 64
}

/** Tells if an address, or a client as `clientOf` names it, belongs to one of the networks. */
export type Networks = (address: string) => boolean

/** @throws TypeError for a text that `networksSchema` refuses */
export function openNetworks(networks: readonly string[]): Networks {
  const list = new BlockList()
  for (const text of networks) {
    const network = parseNetwork(text)
    if (network === undefined) throw new TypeError(`not a network: ${text}`)
    list.addSubnet(network.address, network.bits, network.family)
  }
  return (address) => {
    // `clientOf` names an IPv6 client by its /64
    const plain = plainAddress(address.replace(/\/64$/, ''))
    return plain !== undefined && list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
  }
}

function parseNetwork(text: string) {
  const [address = '', bits, ...rest] = text.split('/')
  if (rest.length > 0 || address.includes('%')) return undefined
  const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined
  if (family === undefined) return undefined
  const width = family === 'ipv4' ? 32 : 128
  if (bits !== undefined && !/^(0|[1-9][0-9]{0,2})$/.test(bits)) return undefined
  const length = bits === undefined ? width : Number(bits)
  return length <= width ? ({ address, bits: length, family } as const) : undefined
}
