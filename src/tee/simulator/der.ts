/**
 * A tag, a length, the content. For wrapping what a library encoded, and for the wrong encodings that
 * no library would give.
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

/** PEM with LF and 64 columns, as Intel serves it. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

export function toPemChain(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => toPem('CERTIFICATE', der)).join('')
}

/** Replaces the value at `path` (the child's number at each depth) and corrects the lengths around it. */
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

export function derContent(der: Uint8Array): Uint8Array {
  return der.subarray(headerLength(der))
}

/** The values that follow one another in `content`, which is known to be well-formed. */
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
