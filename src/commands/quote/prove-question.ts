/** The question that `assent quote verify` asks about one piece of evidence. */
import { join } from 'node:path'

import { type ExpectedApp, type ProvenApp, proveApp } from '../../audit/prove-app.ts'
import { AssentError } from '../../errors/index.ts'
import { readBytes } from '../../lib/files.ts'
import type { Attestation } from '../../quote/attestation.ts'
import { parseQuote } from '../../quote/parse.ts'
import type { LocatedEvidence } from './read-evidence.ts'

/** Expected values for the quote, in addition to Intel's rules and the policy. */
export interface AppDemands {
  /** Event log of the quote, JSON text. */
  readonly eventLog: string | undefined
  readonly expected: ExpectedApp
}

/** @throws FILE_UNREADABLE */
export async function readDemands(args: {
  readonly eventLog?: string | undefined
  readonly compose?: string | undefined
  readonly image?: string | undefined
}): Promise<AppDemands> {
  const { eventLog, compose, image } = args
  return {
    eventLog: eventLog === undefined ? undefined : (await readBytes(eventLog)).toString('utf8'),
    expected: {
      ...(compose === undefined ? {} : { compose: new Uint8Array(await readBytes(compose)) }),
      ...(image === undefined ? {} : { image: await readImage(image) }),
    },
  }
}

async function readImage(folder: string) {
  const [checksums, document] = await Promise.all([
    readBytes(join(folder, 'sha256sum.txt')),
    readBytes(join(folder, 'measurement.tdx.cbor')),
  ])
  return { checksums: new Uint8Array(checksums), document: new Uint8Array(document) }
}

/**
 * Proves the app of evidence whose quote is verified: the key of the certificate, the event log, the app-compose file and
 * the image.
 *
 * @returns undefined if there is no event log and nothing that needs one is demanded
 * @throws KMS_REPORT_DATA_UNBOUND if the quote was made for another key than that of its certificate
 * @throws USAGE_INVALID if a comparison needs an event log; the errors of `proveApp`
 */
export async function proveEvidence(
  evidence: LocatedEvidence,
  { eventLog, expected }: AppDemands,
): Promise<ProvenApp | undefined> {
  const quote = parseQuote(evidence.quote)
  if (evidence.certificate !== undefined) {
    const { readBoundQuote } = await import('../../kms/certificates/ratls.ts')
    const { readCertificate } = await import('../../kms/certificates/read-certificate.ts')
    readBoundQuote(readCertificate(evidence.certificate))
  }
  const attestation = await attestationOf(evidence, eventLog)
  if (attestation !== undefined) return proveApp(quote, attestation, expected)
  if (expected.compose === undefined && expected.image === undefined) return undefined
  throw new AssentError('USAGE_INVALID', 'There is no event log, so the app is not known.', {
    hint: 'Pass --event-log, or the answer of the guest agent to GetQuote or Attest.',
  })
}

/** A log that is named goes before the one that came with the quote: both must replay to the same register. */
async function attestationOf(
  { quote, attestation }: LocatedEvidence,
  eventLog: string | undefined,
): Promise<Attestation | undefined> {
  const own = attestation === undefined ? undefined : await attestation()
  if (eventLog === undefined) return own
  const { toAttestation } = await import('../../kms/certificates/ratls.ts')
  const { reportData } = parseQuote(quote).report
  const vmConfig = own?.config ?? ''
  return toAttestation({ quote, eventLog: listIn(eventLog), vmConfig }, reportData)
}

/** Some tools keep the list in a member `event_log`. */
function listIn(text: string): string {
  if (!text.trimStart().startsWith('{')) return text
  try {
    const { event_log: log } = JSON.parse(text)
    return typeof log === 'string' ? log : JSON.stringify(log ?? null)
  } catch {
    return text
  }
}
