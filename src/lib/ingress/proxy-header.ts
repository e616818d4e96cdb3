/**
 * The PROXY protocol, versions 1 and 2: a TCP load balancer sends this header first and states the client's address
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
 */
import { isIPv4, isIPv6 } from 'node:net'

/** A parsed PROXY header (HAProxy's PROXY protocol, versions 1 and 2). */
export interface ProxyHeader {
  /** Length of the header in bytes; the client's own bytes follow. */
  readonly length: number
  /** Address of the client; undefined for a connection of the load balancer itself, such as a health check. */
  readonly source: string | undefined
}

/** Longest headers in bytes. Section 2.1: version 1 has at most 107. Section 2.2: version 2 has 16 and a stated rest. */
const longestV1 = 107
const longestV2 = 16 + 2048
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** @returns `more` if bytes of the header are missing, `invalid` if the bytes are not a PROXY header */
export function readProxyHeader(bytes: Buffer): ProxyHeader | 'more' | 'invalid' {
  const isV2 = startsAs(bytes, signature)
  if (isV2) return bytes.length < 16 ? 'more' : readV2(bytes)
  return startsAs(bytes, Buffer.from('PROXY ')) ? readV1(bytes) : 'invalid'
}

/** Compares only the bytes that are already there, so that a partial header is not refused. */
function startsAs(bytes: Buffer, beginning: Buffer): boolean {
  const length = Math.min(bytes.length, beginning.length)
  return bytes.subarray(0, length).equals(beginning.subarray(0, length))
}

function readV1(bytes: Buffer): ProxyHeader | 'more' | 'invalid' {
  const end = bytes.subarray(0, longestV1).indexOf('\r\n')
  if (end < 0) return bytes.length < longestV1 ? 'more' : 'invalid'
  const [, family, source = '', destination = '', ...ports] = bytes
    .subarray(0, end)
    .toString('latin1')
    .split(' ')
  const length = end + 2
  if (family === 'UNKNOWN') return { length, source: undefined }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined
  const fits = isAddress?.(source) && isAddress(destination) && ports.length === 2
  return fits ? { length, source } : 'invalid'
}

function readV2(bytes: Buffer): ProxyHeader | 'more' | 'invalid' {
  const [version, command] = [bytes.readUInt8(12) >> 4, bytes.readUInt8(12) & 0x0f]
  const [family, length] = [bytes.readUInt8(13), 16 + bytes.readUInt16BE(14)]
  if (version !== 2 || command > 1 || length > longestV2) return 'invalid'
  if (bytes.length < length) return 'more'
  if (command === 0) return { length, source: undefined }
  // 0x11 is TCP over IPv4, 0x21 TCP over IPv6; other families cannot reach a TCP server
  if (family === 0x11 && length >= 16 + 12) {
    return { length, source: [...bytes.subarray(16, 20)].join('.') }
  }
  if (family !== 0x21 || length < 16 + 36) return 'invalid'
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(16 + 2 * at).toString(16))
  return { length, source: groups.join(':') }
}
