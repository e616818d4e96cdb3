/** Names in certificates: host names and IP addresses, in one spelling, and if one of them covers another. */
import { isIP } from 'node:net'

/**
 * An IP address in its canonical spelling (RFC 5952). An address with a zone (RFC 4007 §11) has a meaning on one machine
 * only, so it cannot be certified.
 *
 * @returns undefined if the text is not an IP address, or has a zone
 */
export function canonicalAddress(name: string): string | undefined {
  const family = isIP(name)
  if (family === 0 || name.includes('%')) return undefined
  // the URL parser writes the canonical form and turns an IPv4 tail into two hexadecimal groups
  return family === 4 ? name : new URL(`http://[${name}]`).hostname.slice(1, -1)
}

/** Tells if a text is a host name: DNS labels, underscores too, and optionally a wildcard as the first label. */
export function isHostName(name: string): boolean {
  if (name.length === 0 || name.length > 253) return false
  const labels = name.split('.')
  if (labels[0] === '*') labels.shift()
  // programs read a name whose last label is a number as an IPv4 address (WHATWG URL, host parsing)
  const isNumber = /^(?:[0-9]+|0[xX][0-9a-fA-F]*)$/.test(labels.at(-1) ?? '')
  return (
    labels.length > 0 &&
    !isNumber &&
    labels.every((label) => /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label))
  )
}

/**
 * Tells if a client that connects to `host` could accept a certificate with `name`.
 *
 * @example coversHost('*.example.org', 'kms.example.org') // true
 */
export function coversHost(name: string, host: string): boolean {
  const [certified, wanted] = [normalize(name), normalize(host)]
  if (certified === wanted) return true
  // some clients let a wildcard match several labels
  return certified.startsWith('*.') && wanted.endsWith(certified.slice(1))
}

/** Removes differences that clients ignore: case, surrounding blanks, a final dot, the spelling of an address. */
function normalize(name: string): string {
  const text = name.trim().toLowerCase().replace(/\.+$/, '')
  const bare = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '')
  const address = canonicalAddress(bare)
  if (address === undefined) return text
  // RFC 4291 §2.5.5.2: an IPv4 address in the form of IPv6
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  if (mapped === null) return address
  const [high, low] = mapped.slice(1).map((group) => Number.parseInt(group, 16))
  return [high, low].flatMap((group = 0) => [group >> 8, group & 0xff]).join('.')
}
