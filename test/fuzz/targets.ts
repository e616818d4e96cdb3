/**
 * Every parser of outside bytes, with valid inputs and with what an accepted mutant must be.
 *
 * Where an encoding has one form, the oracle is re-encoding: the same bytes, or it is garbage. Where outside formats
 * leave room (JSON, protobuf, X.509), it is another reader that must read the same.
 */
import type { Target } from './engine.ts'
import { attestationTargets } from './targets/attestations.ts'
import { certificateTargets } from './targets/certificates.ts'
import { documentTargets } from './targets/documents.ts'
import { quoteTargets } from './targets/quotes.ts'
import { serviceTargets } from './targets/services.ts'

export const targets: readonly Target<unknown, unknown>[] = [
  ...quoteTargets,
  ...attestationTargets,
  ...certificateTargets,
  ...documentTargets,
  ...serviceTargets,
]
