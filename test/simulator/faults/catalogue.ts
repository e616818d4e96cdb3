/**
 * The fault catalogue: good, unusual and bad quotes with collateral, by name, with their expected verdicts.
 *
 * Tests run it with the TypeScript verifier, the Solidity verifier and the verifiers of other projects.
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
