/** Reads TEE variants. */
import { teeVariants } from '../../chain/tee-variants.ts'
import { AssentError } from '../../errors/index.ts'

/** The number of a TEE variant in contracts/types/TeeVariant.sol. @throws USAGE_INVALID */
export function readVariant(name: string, what: string): number {
  const names: readonly string[] = teeVariants
  const number = names.indexOf(name)
  if (number >= 0) return number
  throw new AssentError('USAGE_INVALID', `${what}: one of ${teeVariants.join(', ')}.`, {
    facts: { argument: what, found: name },
  })
}
