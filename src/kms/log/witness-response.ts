/**
 * The answer to `/log/head`: the head of a node's log, and the heads of other logs that it knows.
 *
 * Each head is signed by the key of its own log, so a node cannot invent a head of another one. The answer is signed
 * over the caller's nonce, so an old answer cannot be replayed.
 */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex, toHex } from '../../lib/bytes.ts'
import { answerMessage, type LogIdentity, type SealedHead } from './format.ts'
import { isOfRoot, isSealedBy, isSignedBy, type LogKey } from './key.ts'

/** The newest known head of another node's log. */
export interface KnownLog {
  /** Name of the node. */
  readonly node: string
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Signed by that key. */
  readonly head: SealedHead
}

/** The answer of a node to `/log/head`. */
export interface HeadAnswer {
  /** Node name, log key and the root key's signature over both. */
  readonly identity: LogIdentity
  /** Head of the log at the time of the answer. */
  readonly head: SealedHead
  /** Heads of other logs that the node knows. */
  readonly seen: readonly KnownLog[]
}

const hex = (length: number, name: string) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${length * 2}}$`))
    .transform((text) => fromHex(text, name, length))

/** Name of a KMS node. */
export const nodeNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'a short lower-case name')

const headSchema = z.strictObject({
  entries: z.int().min(0),
  chain: hex(32, 'chain'),
  at: z.int().min(0),
  signature: hex(64, 'signature'),
})

/** Maximum number of other logs in an answer. */
export const maxKnownLogs = 64

const seenSchema = z
  .array(
    z.strictObject({ node: nodeNameSchema, publicKey: hex(32, 'publicKey'), head: headSchema }),
  )
  .max(maxKnownLogs)

const bodySchema = z.strictObject({
  identity: z.strictObject({
    node: nodeNameSchema,
    publicKey: hex(32, 'publicKey'),
    rootKey: hex(33, 'rootKey'),
    rootSignature: hex(64, 'rootSignature'),
  }),
  head: headSchema,
  seen: seenSchema,
})

const answerSchema = z.strictObject({
  body: z.string().max(64 * 1024),
  signature: hex(64, 'signature'),
})

/** 16 to 64 bytes as hex. */
export const nonceSchema = z.string().regex(/^[0-9a-f]{32,128}$/)

/** Writes an answer: a JSON body, and a signature over body and nonce. */
export function writeAnswer(
  key: LogKey,
  nonce: string,
  answer: Omit<HeadAnswer, 'identity'>,
): string {
  const { node, publicKey, rootKey, rootSignature } = key.identity
  const body = JSON.stringify({
    identity: {
      node,
      publicKey: toHex(publicKey),
      rootKey: toHex(rootKey),
      rootSignature: toHex(rootSignature),
    },
    head: headToJson(answer.head),
    seen: seenToJson(answer.seen),
  })
  return JSON.stringify({ body, signature: toHex(key.sign(answerMessage(nonce, body))) })
}

/**
 * Reads an answer and verifies that a node with this root key signed it for this nonce.
 *
 * @throws KMS_ANSWER_INVALID for what is no answer, KMS_LOG_PEER_INVALID for an answer of another node
 */
export function readAnswer(text: string, nonce: string, rootKey: Uint8Array): HeadAnswer {
  const { body, signature } = parse(answerSchema, text)
  const answer = parse(bodySchema, body)
  const { identity, head } = answer
  if (!equalBytes(identity.rootKey, rootKey) || !isOfRoot(identity)) {
    throw invalid('has another root key')
  }
  if (!isSignedBy(identity.publicKey, answerMessage(nonce, body), signature)) {
    throw invalid('did not sign this answer')
  }
  if (!isSealedBy(identity, head)) throw invalid('returned a head that it did not seal')
  return answer
}

/** A head with bytes as hex. */
export function headToJson({ entries, chain, at, signature }: SealedHead) {
  return { entries, chain: toHex(chain), at, signature: toHex(signature) }
}

/** Known logs with bytes as hex. */
export function seenToJson(seen: readonly KnownLog[]) {
  return seen.map(({ node, publicKey, head }) => ({
    node,
    publicKey: toHex(publicKey),
    head: headToJson(head),
  }))
}

/** Reads known logs; an empty list if the input is invalid. */
export function seenFromJson(json: unknown): readonly KnownLog[] {
  const parsed = seenSchema.safeParse(json)
  return parsed.success ? parsed.data : []
}

function parse<T>(schema: z.ZodType<T>, text: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new AssentError('KMS_ANSWER_INVALID', 'The KMS node gave no valid head of a log.', {
      cause,
    })
  }
}

function invalid(what: string): AssentError {
  return new AssentError('KMS_LOG_PEER_INVALID', `The KMS node ${what}.`)
}
