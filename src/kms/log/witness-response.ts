/**
 * What nodes tell each other about their logs, and everyone who asks.
 *
 * Heads are signed by the log they are of, so whoever passes one on cannot invent it; an answer is signed
 * over the asker's nonce, so that an old one cannot stand for the present.
 */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex, toHex } from '../../lib/bytes.ts'
import { answerMessage, type LogIdentity, type SealedHead } from './format.ts'
import { isOfRoot, isSealedBy, isSignedBy, type LogKey } from './key.ts'

/** Another node's log as far as this one has seen it. */
export interface KnownLog {
  readonly node: string
  readonly publicKey: Uint8Array
  readonly head: SealedHead
}

export interface HeadAnswer {
  readonly identity: LogIdentity
  readonly head: SealedHead
  readonly seen: readonly KnownLog[]
}

const hex = (length: number, name: string) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${length * 2}}$`))
    .transform((text) => fromHex(text, name, length))

export const nodeNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'a short lower-case name')

const headSchema = z.strictObject({
  entries: z.int().min(0),
  chain: hex(32, 'chain'),
  at: z.int().min(0),
  signature: hex(64, 'signature'),
})

/** Other logs that an answer tells of. */
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

export const nonceSchema = z.string().regex(/^[0-9a-f]{32,128}$/)

/** The answer's text: a body, and a signature over it and the nonce. */
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

/** @throws KMS_LOG_PEER_INVALID unless a node under this root said so just now */
export function readAnswer(text: string, nonce: string, rootKey: Uint8Array): HeadAnswer {
  const { body, signature } = parse(answerSchema, text)
  const answer = parse(bodySchema, body)
  const { identity, head } = answer
  if (!equalBytes(identity.rootKey, rootKey) || !isOfRoot(identity)) {
    throw invalid('is not under this KMS’s root')
  }
  if (!isSignedBy(identity.publicKey, answerMessage(nonce, body), signature)) {
    throw invalid('did not sign this answer')
  }
  if (!isSealedBy(identity, head)) throw invalid('shows a head that it did not seal')
  return answer
}

export function headToJson({ entries, chain, at, signature }: SealedHead) {
  return { entries, chain: toHex(chain), at, signature: toHex(signature) }
}

export function seenToJson(seen: readonly KnownLog[]) {
  return seen.map(({ node, publicKey, head }) => ({
    node,
    publicKey: toHex(publicKey),
    head: headToJson(head),
  }))
}

/** Nothing where the text is not a list of heads. */
export function seenFromJson(json: unknown): readonly KnownLog[] {
  const parsed = seenSchema.safeParse(json)
  return parsed.success ? parsed.data : []
}

function parse<T>(schema: z.ZodType<T>, text: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw invalid('answers with something else', cause)
  }
}

function invalid(what: string, cause?: unknown): AssentError {
  return new AssentError('KMS_LOG_PEER_INVALID', `The witness ${what}.`, { cause })
}
