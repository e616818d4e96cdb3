/** The collateral of a quote: from a file, or from a PCCS. */
import { AssentError } from '../../errors/index.ts'
import { readCertificates, readJson } from '../../lib/files.ts'
import { type Collateral, parseCollateral } from '../../quote/collateral/collateral.ts'
import {
  type CollateralUpdate,
  fetchCollateral,
  type PccsOptions,
  platformFamily,
} from '../../quote/collateral/pccs.ts'
import { parseQuote } from '../../quote/parse.ts'
import type { PccsArguments } from '../options.ts'

/** Finds the collateral for the bytes of a quote. @throws PCCS_UNAVAILABLE, QUOTE_* */
export type CollateralFetcher = (quote: Uint8Array) => Promise<Collateral>

/**
 * Fetches from the PCCS of the options, or of the profile. Machines of one family share their collateral, so each family
 * is asked for once.
 *
 * @param profilePccs the PCCS of the profile
 * @returns undefined if no PCCS is named
 * @throws FILE_UNREADABLE, CONFIG_INVALID, USAGE_INVALID
 */
export async function createCollateralFetcher(
  args: PccsArguments,
  profilePccs: string | undefined,
): Promise<CollateralFetcher | undefined> {
  const urls = (args.pccs.length > 0 ? args.pccs : [profilePccs]).filter((url) => url !== undefined)
  if (urls.length === 0) return undefined
  for (const url of urls) requireHttpUrl(url)
  const ca = args.pccsCa === undefined ? undefined : await readCertificates(args.pccsCa)
  const options: PccsOptions = { urls, ca }
  const fetched = new Map<string, Promise<Collateral>>()
  return (bytes) => {
    const family = platformFamily(parseQuote(bytes))
    const name = `${family.fmspc}/${family.ca}`
    const known = fetched.get(name)
    if (known !== undefined) return known
    const answer = fetchCollateral(family, args.update as CollateralUpdate, options)
    fetched.set(name, answer)
    return answer
  }
}

function requireHttpUrl(url: string): void {
  const protocol = URL.parse(url)?.protocol
  if (protocol === 'https:' || protocol === 'http:') return
  throw new AssentError('USAGE_INVALID', `--pccs: expected an http or https URL, found "${url}".`, {
    facts: { argument: '--pccs', found: url },
  })
}

/** @throws USAGE_INVALID */
export function collateralMissing(place: string): AssentError {
  return new AssentError('USAGE_INVALID', `${place} is a quote without collateral.`, {
    facts: { file: place },
    hint: 'Name a --collateral file, or a PCCS: --pccs, or pccs in a profile of assent.toml. Intel’s own is https://api.trustedservices.intel.com.',
  })
}

/** @throws FILE_UNREADABLE, QUOTE_COLLATERAL_MALFORMED */
export async function readCollateral(file: string): Promise<Collateral> {
  return parseCollateral(await readJson(file, 'QUOTE_COLLATERAL_MALFORMED'))
}
