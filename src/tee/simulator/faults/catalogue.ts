/**
 * Every kind of good, odd and bad evidence, by name, with the verdict that it must get.
 *
 * Tests loop over it, against the TypeScript and the Solidity verifier alike.
 */
import type { FaultCase } from './case.ts'
import { chains, leaves } from './chain.ts'
import {
  bundles,
  listEncodings,
  qeIdentityDocuments,
  quotingEnclaves,
  revocations,
  serials,
  tcbInfoDocuments,
  tcbInfoTexts,
} from './collateral.ts'
import { certificateEncodings, pemEncodings } from './encoding.ts'
import { policyCases } from './policy.ts'
import { malformedQuotes, validQuotes, wrongSignatures } from './quotes.ts'
import { levels, modules, relaunches, statuses } from './tcb.ts'

export const faultCatalogue: readonly FaultCase[] = [
  ...validQuotes,
  ...malformedQuotes,
  ...wrongSignatures,
  ...chains,
  ...leaves,
  ...certificateEncodings,
  ...pemEncodings,
  ...revocations,
  ...serials,
  ...listEncodings,
  ...tcbInfoDocuments,
  ...tcbInfoTexts,
  ...qeIdentityDocuments,
  ...quotingEnclaves,
  ...bundles,
  ...statuses,
  ...levels,
  ...modules,
  ...relaunches,
  ...policyCases,
]
