/**
 * A DER value: tag, length, content. It wraps values that a library encoded, and makes invalid encodings that no
 * library produces.
 */
export function tlv(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts)
  return new Uint8Array(Buffer.concat([Uint8Array.of(tag), derLength(content.length), content]))
}

function derLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  const digits: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256)
  return Uint8Array.of(0x80 | digits.length, ...digits)
}

/** PEM with LF and lines of 64 characters, as Intel serves it. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** Several certificates as PEM, in this order. */
export function toPemChain(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => toPem('CERTIFICATE', der)).join('')
}

/** Replaces the value at `path` (index of the child at each depth) and corrects the enclosing lengths. */
export function editDer(
  der: Uint8Array,
  path: readonly number[],
  change: (value: Uint8Array) => Uint8Array,
): Uint8Array {
  const [child, ...rest] = path
  if (child === undefined) return change(der)
  const children = splitDer(derContent(der))
  children[child] = editDer(children[child] ?? new Uint8Array(), rest, change)
  return tlv(der[0] as number, ...children)
}

/** Content of a well-formed DER value. */
export function derContent(der: Uint8Array): Uint8Array {
  return der.subarray(headerLength(der))
}

/** The consecutive values in `content`, which must be well-formed. */
export function splitDer(content: Uint8Array): Uint8Array[] {
  const values: Uint8Array[] = []
  for (let rest = content; rest.length > 0; ) {
    const header = headerLength(rest)
    const digits = rest.subarray(2, header)
    const short = rest[1] as number
    const length = short < 0x80 ? short : digits.reduce((sum, digit) => sum * 256 + digit, 0)
    values.push(rest.subarray(0, header + length))
    rest = rest.subarray(header + length)
  }
  return values
}

function headerLength(der: Uint8Array): number {
  const short = der[1] as number
  return short < 0x80 ? 2 : 2 + (short & 0x7f)
}
