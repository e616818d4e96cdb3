/** Who counts as one client, and lists of networks in the settings. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

import { z } from 'zod'

/**
 * The name under which an address is counted: an IPv4 address, or the /64 of an IPv6 address, because one machine
 * chooses freely within it (RFC 4291, section 2.5.4). An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) is the IPv4
 * address.
 *
 * @returns undefined for what is not an address
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

/** The address alone: without a zone, and as IPv4 where it is that. */
export function plainAddress(address: string): string | undefined {
  if (isIPv4(address)) return address
  const groups = groupsOf(address)
  if (groups === undefined) return undefined
  return mappedIPv4(groups) ?? groups.map((group) => group.toString(16)).join(':')
}

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

/** The same for clients: of IPv6 nothing narrower than a /64, which is one client. */
export const clientNetworksSchema = networksSchema.refine(
  (networks) => networks.every((text) => isWholeClient(text)),
  'an IPv6 network here is a /64 or wider',
)

function isWholeClient(text: string): boolean {
  const network = parseNetwork(text)
  return network === undefined || network.family === 'ipv4' || network.bits <= 64
}

/** Whether an address belongs to one of the networks. */
export type Networks = (address: string) => boolean

/** @throws TypeError for what `networksSchema` refuses */
export function openNetworks(networks: readonly string[]): Networks {
  const list = new BlockList()
  for (const text of networks) {
    const network = parseNetwork(text)
    if (network === undefined) throw new TypeError(`not a network: ${text}`)
    list.addSubnet(network.address, network.bits, network.family)
  }
  return (address) => {
    // the name of an IPv6 client is its network
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
