import { describe, expect, test } from 'vitest'

import {
  clientNetworksSchema,
  clientOf,
  networksSchema,
  openNetworks,
} from '../../src/lib/ingress/client-address.ts'
import { readProxyHeader } from '../../src/lib/ingress/proxy-header.ts'

describe('a client address', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['2001:db8:0:1::7', '2001:db8:0:1::/64'],
    ['2001:DB8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ])('%s is counted as %s', (address, client) => {
    expect(clientOf(address)).toBe(client)
  })

  test.each(['', 'localhost', '192.0.2.1:80', '[::1]', '1.2.3', '::1::'])(
    '%j is not an address',
    (text) => {
      expect(clientOf(text)).toBeUndefined()
    },
  )
})

describe('a list of networks', () => {
  const contains = openNetworks(['10.0.2.0/24', '192.0.2.7', '2001:db8::/48'])

  test.each([
    ['10.0.2.2', true],
    ['::ffff:10.0.2.2', true],
    ['10.0.3.2', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['2001:db8:0:9::1', true],
    ['2001:db8:0:9::/64', true],
    ['2001:db8:1::1', false],
    ['nonsense', false],
  ])('matches %s: %s', (address, isIn) => {
    expect(contains(address)).toBe(isIn)
  })

  test.each([
    '10.0.2.0/33',
    '10.0.2/24',
    '::/129',
    '10.0.2.0/024',
    'fe80::1%eth0',
    'a',
    '1.2.3.4/1/2',
  ])('refuses %s', (text) => {
    expect(networksSchema.safeParse([text]).success).toBe(false)
  })

  test('of shared addresses refuses a part of a client', () => {
    expect(clientNetworksSchema.safeParse(['2001:db8::/64', '10.0.2.2']).success).toBe(true)
    expect(clientNetworksSchema.safeParse(['2001:db8::/65']).success).toBe(false)
  })
})

/** As the specification lays it out: signature, version and command, family, length, addresses. */
function v2(command: number, family: number, addresses: string): Buffer {
  const rest = Buffer.from(addresses, 'hex')
  const head = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex')
  head.writeUInt8(0x20 | command, 12)
  head.writeUInt8(family, 13)
  head.writeUInt16BE(rest.length, 14)
  return Buffer.concat([head, rest])
}

const ipv4 = 'c0000201' + 'c0000202' + 'dead' + '1f40'
const ipv6 = '20010db8000000010000000000000007' + '20010db8000000000000000000000001' + 'dead1f40'

describe('the PROXY header of a TCP load balancer', () => {
  test.each([
    ['version 2, IPv4', v2(1, 0x11, ipv4), '192.0.2.1'],
    ['version 2, IPv6', v2(1, 0x21, ipv6), '2001:db8:0:1:0:0:0:7'],
    ['version 2, with further fields', v2(1, 0x11, `${ipv4}030004aabbccdd`), '192.0.2.1'],
    ['version 2, the balancer itself', v2(0, 0, ''), undefined],
    ['version 1', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 57005 8000\r\n'), '192.0.2.1'],
    ['version 1, IPv6', Buffer.from('PROXY TCP6 2001:db8::7 ::1 57005 8000\r\n'), '2001:db8::7'],
    ['version 1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  ])('is parsed: %s', (_, header, source) => {
    const followed = Buffer.concat([header, Buffer.from('rest')])

    expect(readProxyHeader(followed)).toEqual({ length: header.length, source })
    for (let length = 0; length < header.length; length++) {
      expect(readProxyHeader(header.subarray(0, length))).toBe('more')
    }
  })

  test.each([
    ['a TLS handshake', Buffer.from('16030100', 'hex')],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n')],
    ['version 3', Buffer.concat([v2(1, 0x11, ipv4).fill(0x31, 12, 13)])],
    ['an unknown command', v2(2, 0x11, ipv4)],
    ['UDP', v2(1, 0x12, ipv4)],
    ['addresses that are too short', v2(1, 0x21, ipv4)],
    ['more than is ever sent', v2(1, 0x11, 'ab'.repeat(4_000))],
    ['a name for an address', Buffer.from('PROXY TCP4 localhost 192.0.2.2 1 2\r\n')],
    ['the wrong family', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['a line without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ])('is refused if it is %s', (_, bytes) => {
    expect(readProxyHeader(bytes)).toBe('invalid')
  })
})
