/**
 * The encodings of dstack's protocol, written by hand from the specification and sharing nothing with `src`: what
 * both sides get wrong together, only this notices.
 */

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

export const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
export const hex = (data: Uint8Array) => Buffer.from(data).toString('hex')
export const text = (words: string) => new Uint8Array(Buffer.from(words, 'utf8'))

/* PROTOBUF */

/** Values by field number, in the order in which they were sent. */
export type Fields = readonly (readonly [number, bigint | Uint8Array])[]

export function protobuf(fields: readonly (readonly [number, string | bigint | Uint8Array])[]) {
  return join(
    ...fields.map(([number, value]) => {
      if (typeof value === 'bigint') return join(varint(BigInt(number) << 3n), varint(value))
      const content = typeof value === 'string' ? text(value) : value
      return join(varint((BigInt(number) << 3n) | 2n), varint(BigInt(content.length)), content)
    }),
  )
}

export function readProtobuf(message: Uint8Array): Fields {
  const fields: [number, bigint | Uint8Array][] = []
  let at = 0
  const next = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('the message is cut')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const key = next()
    if ((key & 7n) === 0n) fields.push([Number(key >> 3n), next()])
    else if ((key & 7n) === 2n) {
      const length = Number(next())
      if (at + length > message.length) throw new RangeError('the message is cut')
      fields.push([Number(key >> 3n), message.slice(at, at + length)])
      at += length
    } else throw new RangeError('a wire type that no message has')
  }
  return fields
}

function varint(value: bigint): Uint8Array {
  const out: number[] = []
  for (let rest = value; ; rest >>= 7n) {
    const low = Number(rest & 0x7fn)
    if (rest < 0x80n) return Uint8Array.from([...out, low])
    out.push(low | 0x80)
  }
}

/* SCALE (§4.4, §5.8) */

export const scale = {
  u8: (value: number) => Uint8Array.of(value),
  u32: (value: number) => little(value, 4),
  u64: (value: number) => little(value, 8),
  bool: (value: boolean) => Uint8Array.of(value ? 1 : 0),
  bytes: (data: Uint8Array) => join(compact(data.length), data),
  str: (words: string) => scale.bytes(text(words)),
  vec: (items: readonly Uint8Array[]) => join(compact(items.length), ...items),
  option: (value: Uint8Array | undefined) =>
    value === undefined ? Uint8Array.of(0) : join(Uint8Array.of(1), value),
}

function compact(value: number): Uint8Array {
  if (value < 2 ** 6) return little(value * 4, 1)
  if (value < 2 ** 14) return little(value * 4 + 1, 2)
  return little(value * 4 + 2, 4)
}

function little(value: number, width: number): Uint8Array {
  const out = new Uint8Array(width)
  for (let at = 0, rest = value; at < width; at++, rest = Math.floor(rest / 256))
    out[at] = rest % 256
  return out
}

/* MESSAGEPACK */

export type Packed =
  | null
  | number
  | string
  | Uint8Array
  | readonly Packed[]
  | { readonly [name: string]: Packed }

export function messagePack(value: Packed): Uint8Array {
  if (value === null) return Uint8Array.of(0xc0)
  if (typeof value === 'number') return packNumber(value)
  if (typeof value === 'string') {
    const content = text(value)
    const short = content.length < 32 ? Uint8Array.of(0xa0 | content.length) : undefined
    return join(short ?? sized([0xd9, 0xda, 0xdb], content.length), content)
  }
  if (value instanceof Uint8Array) return join(sized([0xc4, 0xc5, 0xc6], value.length), value)
  if (Array.isArray(value)) {
    const short = value.length < 16 ? Uint8Array.of(0x90 | value.length) : undefined
    return join(short ?? sized([0, 0xdc, 0xdd], value.length), ...value.map(messagePack))
  }
  const members = Object.entries(value)
  return join(
    Uint8Array.of(0x80 | members.length),
    ...members.flatMap(([name, member]) => [messagePack(name), messagePack(member)]),
  )
}

function packNumber(value: number): Uint8Array {
  if (value < 0x80) return Uint8Array.of(value)
  if (value < 0x100) return Uint8Array.of(0xcc, value)
  if (value < 0x10000) return join(Uint8Array.of(0xcd), big(value, 2))
  return join(Uint8Array.of(0xce), big(value, 4))
}

/** A head with the shortest width that holds the length; 0 where there is none of one byte. */
function sized([one, two, four]: readonly [number, number, number], length: number): Uint8Array {
  if (one !== 0 && length < 0x100) return Uint8Array.of(one, length)
  if (length < 0x10000) return join(Uint8Array.of(two), big(length, 2))
  return join(Uint8Array.of(four), big(length, 4))
}

export function big(value: number, width: number): Uint8Array {
  return little(value, width).reverse()
}

/* DER */

export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const whole = join(...content)
  if (whole.length < 0x80) return join(Uint8Array.of(tag, whole.length), whole)
  const width = whole.length < 0x100 ? 1 : whole.length < 0x10000 ? 2 : 3
  return join(Uint8Array.of(tag, 0x80 | width), big(whole.length, width), whole)
}

export interface DerNode {
  readonly tag: number
  readonly content: Uint8Array
  /** With tag and length. */
  readonly whole: Uint8Array
}

export function readDer(data: Uint8Array): DerNode[] {
  const nodes: DerNode[] = []
  for (let at = 0; at < data.length; ) {
    const [tag = 0, first = 0] = data.subarray(at)
    const width = first < 0x80 ? 0 : first & 0x7f
    const length = width === 0 ? first : Number(`0x${hex(data.subarray(at + 2, at + 2 + width))}`)
    const start = at + 2 + width
    const content = data.slice(start, start + length)
    if (content.length !== length) throw new RangeError('the DER is cut')
    nodes.push({ tag, content, whole: data.slice(at, start + length) })
    at = start + length
  }
  return nodes
}

/** dstack's arc 1.3.6.1.4.1.62397.1 (§4.2), the content of its OBJECT IDENTIFIERs. */
export const arc = (last: number) => bytes(`2b0601040183e73d01${hex(Uint8Array.of(last))}`)

export interface ReadCertificate {
  readonly serial: Uint8Array
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  readonly notBefore: string
  readonly spki: Uint8Array
  /** By the hex of their OBJECT IDENTIFIER. */
  readonly extensions: ReadonlyMap<
    string,
    { readonly critical: boolean; readonly value: Uint8Array }
  >
}

export function readCertificate(certificate: Uint8Array): ReadCertificate {
  const [tbs] = readDer(readDer(certificate)[0]?.content ?? certificate)
  const fields = readDer(tbs?.content ?? certificate)
  const [, serial, , issuer, validity, subject, spki] = fields
  const list = fields.find(({ tag }) => tag === 0xa3)
  const extensions = readDer(
    readDer(list?.content ?? new Uint8Array())[0]?.content ?? new Uint8Array(),
  )
  const none = new Uint8Array()
  return {
    serial: serial?.content ?? none,
    issuer: issuer?.whole ?? none,
    subject: subject?.whole ?? none,
    notBefore: Buffer.from(readDer(validity?.content ?? none)[0]?.content ?? none).toString(),
    spki: spki?.whole ?? none,
    extensions: new Map(
      extensions.map(({ content }) => {
        const parts = readDer(content)
        return [
          hex(parts[0]?.content ?? none),
          { critical: parts.length === 3, value: parts.at(-1)?.content ?? none },
        ]
      }),
    ),
  }
}

/** What one of dstack's extensions holds: an OCTET STRING inside the OCTET STRING (§4.2). */
export function dstackExtension(
  certificate: Pick<ReadCertificate, 'extensions'> | undefined,
  last: number,
): Uint8Array | undefined {
  const value = certificate?.extensions.get(hex(arc(last)))?.value
  if (value === undefined) return undefined
  const [inner, ...rest] = readDer(value)
  if (inner?.tag !== 0x04 || rest.length > 0) throw new RangeError('not wrapped twice')
  return inner.content
}

export function fromPem(pem: string): Uint8Array {
  return new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64'))
}

export function toPem(label: string, data: Uint8Array): string {
  const lines =
    Buffer.from(data)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
