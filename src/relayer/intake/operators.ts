/** Authenticates operators by bearer token. The relayer knows only the SHA-256 of each token. */
import { createHash, timingSafeEqual } from 'node:crypto'

import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'

/** A client that may use the API. */
export interface Operator {
  /** For logs and stored quotes. */
  readonly name: string
  /** SHA-256 of the token, 64 hexadecimal digits. */
  readonly tokenSha256: string
}

/**
 * The operator with this token. Each hash is compared completely, so that the time does not depend on the token.
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
    throw new AssentError(
      'RELAYER_UNAUTHORIZED',
      'The token is not the token of an operator of this relayer.',
    )
  }
  return operator
}
