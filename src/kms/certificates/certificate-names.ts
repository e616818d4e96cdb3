/** Names in certificates: host names and IP addresses, and which of them stand for which. */
import { isIP } from 'node:net'

/**
 * The one spelling of an IP address, or undefined for what is none. A zone (RFC 4007 §11) means something on one
 * machine only and cannot be certified.
 */
export function canonicalAddress(name: string): string | undefined {
  const family = isIP(name)
  if (family === 0 || name.includes('%')) return undefined
  // RFC 5952, where an IPv4 tail becomes two groups of hexadecimal digits
  return family === 4 ? name : new URL(`http://[${name}]`).hostname.slice(1, -1)
}

/** Labels as DNS has them; a wildcard as the first one; underscores, as some services use them. */
export function isHostName(name: string): boolean {
  if (name.length === 0 || name.length > 253) return false
  const labels = name.split('.')
  if (labels[0] === '*') labels.shift()
  // programs read a name whose last label is a number as an IPv4 address
  const isNumber = /^(?:[0-9]+|0[xX][0-9a-fA-F]*)$/.test(labels.at(-1) ?? '')
  return (
    labels.length > 0 &&
    !isNumber &&
    labels.every((label) => /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label))
  )
}

/** Whether a client that looks for `host` could take a certificate with `name` for it. */
export function standsFor(name: string, host: string): boolean {
  const [shown, sought] = [plain(name), plain(host)]
  if (shown === sought) return true
  // some clients let a wildcard stand for several labels
  return shown.startsWith('*.') && sought.endsWith(shown.slice(1))
}

/** Without what does not count: case, blanks around, the root's dot, the spelling of an address. */
function plain(name: string): string {
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
