/**
 * `assent app diff`: compares two manifests member by member, or the compose hash that a quote shows. A side is a file,
 * a release on-chain (read from the app and its events) or a running CVM (read in a TLS handshake); sends nothing. Exit
 * code 1 if they differ in meaning.
 *
 * @throws MANIFEST_UNPUBLISHED, QUOTE_MISSING, SERVER_UNREACHABLE, CHAIN_*
 */
import { parseServerAddress } from '../../audit/server-certificate.ts'
import { AssentError } from '../../errors/index.ts'
import { type Hex, to0x } from '../../lib/bytes.ts'
import { compareManifests, formatComparison } from '../../manifest/compare-manifests.ts'
import { type Manifest, readManifest } from '../../manifest/manifest.ts'
import type { diff } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes } from '../input/arguments.ts'
import { comparisonSchema, exitCodeOfComparison } from '../output/manifest-comparison.ts'
import type { OnDemandContext } from '../session/session.ts'

export const schema = comparisonSchema
export const exitCode = exitCodeOfComparison

type DiffArguments = ArgumentsOf<typeof diff>

export async function run(args: DiffArguments, context: OnDemandContext) {
  const { output } = context
  const before = await readSide(args.before, args, context)
  const after = await readSide(args.after, args, context)
  if ('raw' in before && 'raw' in after) {
    const comparison = compareManifests(before, after)
    for (const line of formatComparison(comparison)) output.line(line)
    return { ...comparison, changes: [...comparison.changes] }
  }
  const isSame = before.composeHash === after.composeHash
  output.line(isSame ? 'The quote is of this manifest.' : 'The quote is of another manifest.')
  output.line(`before ${before.composeHash}`)
  output.line(`after  ${after.composeHash}`)
  return {
    before: before.composeHash,
    after: after.composeHash,
    result: isSame ? ('same-bytes' as const) : ('different' as const),
    changes: isSame ? [] : null,
  }
}

type Side = Manifest | { readonly composeHash: Hex }

/** A release on-chain, a running CVM, evidence in a file, or a manifest. */
async function readSide(
  text: string,
  args: DiffArguments,
  context: OnDemandContext,
): Promise<Side> {
  const onchain = /^chain(?::(.+))?$/.exec(text)
  if (onchain !== null) return readRelease(onchain[1], args, context)
  if (parseServerAddress(text) !== undefined) return readMeasured(text, args, context)
  const bytes = await readBytes(text)
  return isEvidence(bytes) ? readMeasured(text, args, context) : readManifest(bytes)
}

/** Evidence in JSON has a quote or an attestation, which no manifest has. What is no JSON object is no manifest. */
function isEvidence(bytes: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return true
    return 'quote' in value || 'attestation' in value
  } catch {
    // a manifest with a mistake is named as one
    return !/^\s*\{/.test(Buffer.from(bytes.subarray(0, 100)).toString('latin1'))
  }
}

async function readRelease(
  release: string | undefined,
  { app }: DiffArguments,
  context: OnDemandContext,
): Promise<Manifest> {
  const session = await context.openSession()
  const { requireApp } = await import('../input/contracts.ts')
  const { chooseRelease, readPublished } = await import('../input/published-release.ts')
  const address = await requireApp(session, app)
  const { id } = await chooseRelease(session, address, release)
  return readPublished(session, address, id)
}

/** The measured release of a CVM; with `--published`, the manifest that the chain has for it. */
async function readMeasured(
  text: string,
  { published }: DiffArguments,
  context: OnDemandContext,
): Promise<Side> {
  const { readEvidenceAt } = await import('../quote/read-evidence.ts')
  const { proveEvidence } = await import('../quote/prove-question.ts')
  const demands = { eventLog: undefined, expected: {} }
  const app = await proveEvidence(await readEvidenceAt(text), demands)
  if (app === undefined) throw logMissing(text)
  const composeHash = to0x(app.composeHash)
  if (!published) return { composeHash }
  const { readPublished } = await import('../input/published-release.ts')
  return readPublished(await context.openSession(), to0x(app.appId), composeHash)
}

function logMissing(text: string): AssentError {
  return new AssentError('QUOTE_MISSING', `${text} has no event log: its release is not known.`, {
    facts: { place: text },
    hint: 'Pass the answer of the guest agent to GetQuote or Attest, or a server with an RA-TLS certificate.',
  })
}
