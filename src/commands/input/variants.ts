import { variantNames } from '../../chain/governance/call-descriptions/kms.ts'
import { AssentError } from '../../errors/index.ts'
/** Reads TEE variants. */
/** The number of a TEE variant in contracts/types/TeeVariant.sol. @throws USAGE_INVALID */
export function readVariant(name: string, what: string): number {
  const number = variantNames.indexOf(name)
  if (number >= 0) return number
  throw new AssentError('USAGE_INVALID', `${what}: one of ${variantNames.join(', ')}.`, {
    facts: { argument: what, found: name },
  })
}
