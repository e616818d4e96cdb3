/**
 * The bytes of a release log: lines, the chain over them, and what its signatures cover.
 *
 * `docs/release-log.md` is the specification. The verifier in `src/log-verify` is written from that page and
 * not from this file, so nothing here may change without it.
 */
import { hash } from 'node:crypto'

import { concatBytes, toHex } from '../../lib/bytes.ts'

export const logVersion = 'assent-release-log-v1'

/** Whose log it is, and the root's word that the key is that node's. */
export interface LogIdentity {
  /** The node's name: one name, one log. */
  readonly node: string
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** secp256k1 root key of the KMS, compressed: what the chain knows. */
  readonly rootKey: Uint8Array
  /** r and s over `keyMessage`. */
  readonly rootSignature: Uint8Array
}

/** How far a log goes: the number of entries and the chain over all of them. */
export interface LogHead {
  readonly entries: number
  readonly chain: Uint8Array
  /** Unix seconds by the node's own clock. */
  readonly at: number
}

export interface SealedHead extends LogHead {
  readonly signature: Uint8Array
}

export function genesisChain({ node, publicKey }: Pick<LogIdentity, 'node' | 'publicKey'>) {
  return sha256(text(logVersion, node, toHex(publicKey)))
}

/** Of the line as it lies in the file, without its line feed. */
export function lineDigest(line: string | Uint8Array): Uint8Array {
  return sha256(line)
}

export function nextChain(chain: Uint8Array, digest: Uint8Array): Uint8Array {
  return sha256(concatBytes(chain, digest))
}

export function sealMessage(node: string, { entries, chain, at }: LogHead): Buffer {
  return text('assent-release-log-seal-v1', node, String(entries), toHex(chain), String(at))
}

export function keyMessage(node: string, publicKey: Uint8Array): Buffer {
  return text('assent-release-log-key-v1', node, toHex(publicKey))
}

/** What a node signs when it is asked for its head: the asker's nonce keeps old answers from being replayed. */
export function answerMessage(nonce: string, body: string): Buffer {
  return text('assent-release-log-answer-v1', nonce, toHex(sha256(body)))
}

export function sealLine({ entries, chain, at, signature }: SealedHead): string {
  return JSON.stringify({ seal: entries, chain: toHex(chain), at, signature: toHex(signature) })
}

/** @param start where the file begins; sealed, it stands without the files before it */
export function headerLine(
  identity: LogIdentity,
  segment: number,
  start: Pick<LogHead, 'entries' | 'chain'> | SealedHead,
): string {
  const { entries, chain } = start
  const checkpoint = 'signature' in start ? { at: start.at, seal: toHex(start.signature) } : {}
  return JSON.stringify({
    log: logVersion,
    segment,
    first: entries,
    previous: toHex(chain),
    node: identity.node,
    publicKey: toHex(identity.publicKey),
    rootKey: toHex(identity.rootKey),
    rootSignature: toHex(identity.rootSignature),
    ...checkpoint,
  })
}

export function sha256(data: string | Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', data, 'buffer'))
}

/** Fields joined by line feeds; none of them can hold one. */
function text(...fields: readonly string[]): Buffer {
  return Buffer.from(fields.join('\n'), 'utf8')
}
