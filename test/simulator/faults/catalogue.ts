/**
 * Every kind of good, odd and bad evidence, by name, with the verdict that it must get.
 *
 * Tests loop over it, against the TypeScript and the Solidity verifier alike.
 */
import type { FaultCase } from './case.ts'
import { chains, leaves } from './chain.ts'
import { certificateEncodings, pemEncodings } from './encoding.ts'
import { certificateParts, newMembers, qeFields } from './members.ts'
import { policyCases } from './policy.ts'
import { revokedPlaces, roots, signatureEncodings, signatureHalves, times } from './positions.ts'
import { malformedQuotes, validQuotes, wrongSignatures } from './quotes.ts'
import { qeIdentityDocuments, quotingEnclaves } from './quoting-enclave.ts'
import { listEncodings, revocations, serials } from './revocation.ts'
import { doubleEvaluations, levels, moduleLists, modules, relaunches, statuses } from './tcb.ts'
import { documentChains, tcbInfoDocuments, tcbInfoTexts } from './tcb-info.ts'

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
  ...times,
  ...revokedPlaces,
  ...signatureHalves,
  ...signatureEncodings,
  ...roots,
  ...tcbInfoDocuments,
  ...tcbInfoTexts,
  ...qeIdentityDocuments,
  ...quotingEnclaves,
  ...documentChains,
  ...statuses,
  ...levels,
  ...modules,
  ...moduleLists,
  ...relaunches,
  ...doubleEvaluations,
  ...newMembers,
  ...qeFields,
  ...certificateParts,
  ...policyCases,
]
