/**
 * The fuzzing targets: every parser of external data, with valid inputs and with a check for accepted mutants.
 *
 * If a format has one encoding, the accepted value is encoded again and must give the same bytes. Otherwise (JSON,
 * protobuf, X.509) another parser must return the same value.
 */
import type { Target } from './engine.ts'
import { attestationTargets } from './targets/attestations.ts'
import { certificateTargets } from './targets/certificates.ts'
import { documentTargets } from './targets/documents.ts'
import { quoteTargets } from './targets/quotes.ts'
import { releaseLogTargets } from './targets/release-log.ts'
import { serviceTargets } from './targets/services.ts'

export const targets: readonly Target<unknown, unknown>[] = [
  ...quoteTargets,
  ...attestationTargets,
  ...certificateTargets,
  ...documentTargets,
  ...serviceTargets,
  ...releaseLogTargets,
]
