/**
 * Reads the certificates of a running server in a TLS handshake.
 *
 * The handshake proves that the server has the private key of its certificate. No authority is asked: the quote vouches for the key
 * is decided by the quote in the certificate.
 */
import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'

import { AssentError } from '../errors/index.ts'

/** The address of a server. */
export interface ServerAddress {
  /** Host name, or IP address without brackets. */
  readonly host: string
  /** TCP port, 1 to 65535. */
  readonly port: number
}

/** Milliseconds for name resolution, connection and handshake together. */
const deadlineMs = 10_000
/** A chain under a KMS has three certificates. */
const maxCertificates = 8

/**
 * Reads an address: `host:port`, `[IPv6]:port`, or `https://host` with or without a port.
 *
 * @returns undefined if the text is no address
 */
export function parseServerAddress(text: string): ServerAddress | undefined {
  const isUrl = /^https:\/\/[^/?#@]+\/?$/.test(text)
  const isPair = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$/.test(text)
  if (!isUrl && !isPair) return undefined
  const url = URL.parse(isUrl ? text : `https://${text}`)
  if (url === null || url.port === '0') return undefined
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 443) }
}

/**
 * Connects and returns the server's certificates in DER, its own first.
 *
 * @param timeoutMs for everything together
 * @throws SERVER_UNREACHABLE
 *
 * @example
 * const [leaf] = await readServerCertificates({ host: 'app.example.com', port: 443 })
 */
export function readServerCertificates(
  { host, port }: ServerAddress,
  timeoutMs = deadlineMs,
): Promise<readonly Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      // the quote decides, see above
      rejectUnauthorized: false,
      ...(isIP(host) === 0 ? { servername: host } : {}),
    })
    const fail = (why: string, cause?: unknown) => {
      socket.destroy()
      reject(
        new AssentError('SERVER_UNREACHABLE', `${host}:${port} ${why}.`, {
          cause,
          facts: { host, port },
        }),
      )
    }
    // an idle timeout would not stop a server that sends byte by byte
    const timer = setTimeout(() => fail('did not finish the TLS handshake in time'), timeoutMs)
    socket.once('close', () => clearTimeout(timer))
    socket.once('error', (cause) => fail(`did not answer with TLS (${codeOf(cause)})`, cause))
    socket.once('secureConnect', () => {
      const certificates = certificatesOf(socket)
      socket.destroy()
      if (certificates.length > 0) resolve(certificates)
      else fail('has no certificate')
    })
  })
}

function codeOf(cause: Error): string {
  const { code } = cause as { code?: unknown }
  return typeof code === 'string' ? code : cause.message
}

/** OpenSSL refuses chains of over 100 KiB, so reading them costs little. */
function certificatesOf(socket: TLSSocket): readonly Uint8Array[] {
  const certificates: Uint8Array[] = []
  let next = socket.getPeerX509Certificate()
  while (next !== undefined && certificates.length < maxCertificates) {
    certificates.push(new Uint8Array(next.raw))
    const issuer = next.issuerCertificate
    next = issuer === undefined || issuer.raw.equals(next.raw) ? undefined : issuer
  }
  return certificates
}
