/** Who may ask: bearer tokens, of which only the hash is known here. */
import { createHash, timingSafeEqual } from 'node:crypto'

import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'

export interface Operator {
  readonly name: string
  /** SHA-256 of the token, hex */
  readonly tokenSha256: string
}

/**
 * The operator who holds the token. Every hash is compared in full, so that time tells nothing.
 *
 * @throws RELAYER_UNAUTHORIZED
 */
export function authenticate(
  operators: readonly Operator[],
  authorization: string | undefined,
): Operator {
  const token = /^Bearer ([\x21-\x7e]{1,512})$/.exec(authorization ?? '')?.[1]
  const hash = createHash('sha256')
    .update(token ?? '')
    .digest()
  const matches = operators.filter(({ tokenSha256 }) =>
    timingSafeEqual(hash, fromHex(tokenSha256, 'tokenSha256', 32)),
  )
  const operator = matches[0]
  if (token === undefined || operator === undefined) {
    throw new AssentError('RELAYER_UNAUTHORIZED', 'No operator of this relayer holds this token.')
  }
  return operator
}
