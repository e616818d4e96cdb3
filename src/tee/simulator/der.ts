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
