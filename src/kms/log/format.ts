/**
 * Byte formats of the release log: lines, hash chain and signed messages.
 *
 * `docs/release-log.md` is the specification. The verifier in `src/log-verify` is written from that page and shares no
 * code with this file, so every change here needs a change there.
 */
import { hash } from 'node:crypto'

import { concatBytes, toHex } from '../../lib/bytes.ts'

/** Name of the format, in every segment header. */
export const logVersion = 'assent-release-log-v1'

/** The node and key of a log, and the root key's signature over both. */
export interface LogIdentity {
  /** Permanent name of the node; each name has one log. */
  readonly node: string
  /** Ed25519 key of the log, 32 bytes. */
  readonly publicKey: Uint8Array
  /** secp256k1 root key of the KMS, compressed, 33 bytes: registered on-chain. */
  readonly rootKey: Uint8Array
  /** r ‖ s over `keyMessage`, 64 bytes. */
  readonly rootSignature: Uint8Array
}

/** The head of a log: its number of entries, and the hash chain over all of them. */
export interface LogHead {
  /** Number of entries before this point; entries are counted from 0. */
  readonly entries: number
  /** 32 bytes. */
  readonly chain: Uint8Array
  /** Unix seconds, by the node's own clock. */
  readonly at: number
}

/** A head with the log key's signature over `sealMessage` (Ed25519, 64 bytes). */
export interface SealedHead extends LogHead {
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array
}

/** The hash chain of an empty log. */
export function genesisChain({ node, publicKey }: Pick<LogIdentity, 'node' | 'publicKey'>) {
  return sha256(text(logVersion, node, toHex(publicKey)))
}

/** SHA-256 of a line of the file, without its line feed. */
export function lineDigest(line: string | Uint8Array): Uint8Array {
  return sha256(line)
}

/** The hash chain after one more entry: SHA-256(chain ‖ digest). */
export function nextChain(chain: Uint8Array, digest: Uint8Array): Uint8Array {
  return sha256(concatBytes(chain, digest))
}

/** The message that a seal signs. */
export function sealMessage(node: string, { entries, chain, at }: LogHead): Buffer {
  return text('assent-release-log-seal-v1', node, String(entries), toHex(chain), String(at))
}

/** The message with which the root key signs a log's key. */
export function keyMessage(node: string, publicKey: Uint8Array): Buffer {
  return text('assent-release-log-key-v1', node, toHex(publicKey))
}

/** The message that a node signs when it is asked for its head. The caller's nonce prevents replay of old answers. */
export function answerMessage(nonce: string, body: string): Buffer {
  return text('assent-release-log-answer-v1', nonce, toHex(sha256(body)))
}

/** The line of a seal. */
export function sealLine({ entries, chain, at, signature }: SealedHead): string {
  return JSON.stringify({ seal: entries, chain: toHex(chain), at, signature: toHex(signature) })
}

/**
 * The first line of a segment.
 *
 * @param start the head at which the segment starts. If it is sealed, the segment is a checkpoint: it can be verified
 * without older segments.
 */
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

/** SHA-256, 32 bytes; text is UTF-8. */
export function sha256(data: string | Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', data, 'buffer'))
}

/** Fields joined by line feeds; no field can contain one. */
function text(...fields: readonly string[]): Buffer {
  return Buffer.from(fields.join('\n'), 'utf8')
}
