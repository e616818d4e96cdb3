/** The part of an app's chain of trust that its evidence shows: from the server to the measured app. */
import { isAssentError } from '../errors/index.ts'
import { toHex } from '../lib/bytes.ts'
import type { Attestation } from '../quote/attestation.ts'
import type { TrustAnchor } from '../quote/certificates/trust-anchor.ts'
import type { Collateral } from '../quote/collateral/collateral.ts'
import { parseQuote, type Quote } from '../quote/parse.ts'
import { checkPolicy, type QuotePolicy } from '../quote/policy.ts'
import { verifyQuote } from '../quote/verify.ts'
import type { QuoteEvidence } from './evidence.ts'
import { type ExpectedApp, type ProvenApp, proveApp } from './prove-app.ts'
import type { ServerAddress } from './server-certificate.ts'
import { step, type TrustStep } from './trust-step.ts'

/** Evidence, and how it is verified. */
export interface EvidenceQuestion {
  readonly evidence: QuoteEvidence & { readonly server?: ServerAddress }
  /** undefined: the quote cannot be verified. */
  readonly collateral: Collateral | undefined
  readonly root: TrustAnchor
  readonly policy: QuotePolicy
  /** Unix seconds. */
  readonly at: number
  readonly expected: ExpectedApp
  /** Report data that the asker chose for a new quote, 64 bytes. */
  readonly reportData: Uint8Array | undefined
}

/** The facts that the evidence shows. */
export interface EvidenceAnswer {
  readonly steps: readonly TrustStep[]
  /** undefined: there is no event log, or it does not replay. */
  readonly app: ProvenApp | undefined
  /** 32 bytes, hex; of an unverified quote a claim. */
  readonly deviceId: string | undefined
  /** undefined: the quote is not verified. */
  readonly tcbStatus: string | undefined
}

/** @throws QUOTE_*, ATTESTATION_* for malformed evidence */
export async function checkEvidence(question: EvidenceQuestion): Promise<EvidenceAnswer> {
  const { evidence } = question
  const quote = parseQuote(evidence.quote)
  const verified = checkQuote(question)
  const shown = await checkApp(question, quote)
  const fromQuote = [...(await binding(evidence)), ...shown.steps]
  const isVerified = verified.step.verdict === 'yes'
  return {
    steps: [
      freshness(question, quote),
      verified.step,
      // anybody can write what an unverified quote says
      ...fromQuote.map((each) => (isVerified ? each : { ...each, source: 'claim' as const })),
    ],
    app: shown.app,
    deviceId: verified.deviceId,
    tcbStatus: verified.tcbStatus,
  }
}

/** Whether the machine runs now. */
function freshness({ evidence, reportData }: EvidenceQuestion, { report }: Quote): TrustStep {
  const { server } = evidence
  if (server !== undefined) {
    const place = `${server.host}:${server.port}`
    return step(
      'running',
      'yes',
      'proof',
      `${place} proved in a TLS handshake that it has the key of its certificate.`,
    )
  }
  if (reportData === undefined) {
    return step(
      'running',
      'not-checked',
      'claim',
      'The quote can be old: name the server, or the --report-data that was asked for.',
    )
  }
  const isAsked = Buffer.compare(report.reportData, reportData) === 0
  return isAsked
    ? step('running', 'yes', 'proof', 'The quote has the report data that was asked for.')
    : step(
        'running',
        'no',
        'proof',
        `The quote has other report data: ${toHex(report.reportData)}.`,
      )
}

/** Whether the quote was made for the key of its certificate. */
async function binding({ certificate }: QuoteEvidence): Promise<TrustStep[]> {
  if (certificate === undefined) return []
  const { readBoundQuote } = await import('../kms/certificates/ratls.ts')
  const { readCertificate } = await import('../kms/certificates/read-certificate.ts')
  try {
    readBoundQuote(readCertificate(certificate))
    return [
      step('certificate', 'yes', 'proof', 'The quote was made for the key of the certificate.'),
    ]
  } catch (error) {
    if (!isAssentError(error, 'KMS_REPORT_DATA_UNBOUND')) throw error
    return [step('certificate', 'no', 'proof', 'The quote was made for another key.')]
  }
}

function checkQuote({ evidence, collateral, root, policy, at }: EvidenceQuestion) {
  const none = { deviceId: undefined, tcbStatus: undefined }
  if (collateral === undefined) {
    const found = 'The quote is not verified: name its --collateral, or a --pccs.'
    return { ...none, step: step('quote', 'not-checked', 'claim', found) }
  }
  const verdict = verifyQuote(evidence.quote, collateral, { at, root })
  if (verdict.verdict === 'rejected') {
    const found = `The quote is not genuine: ${verdict.message} (${verdict.code})`
    return { ...none, step: step('quote', 'no', 'proof', found) }
  }
  const known = { deviceId: toHex(verdict.deviceId), tcbStatus: verdict.status }
  try {
    checkPolicy(verdict, policy)
    const signer = root === 'intel' ? 'Intel' : 'The given root'
    const found = `${signer} vouches for the quote: TCB status ${verdict.status}, device 0x${known.deviceId}.`
    return { ...known, step: step('quote', 'yes', 'proof', found) }
  } catch (error) {
    if (!isAssentError(error)) throw error
    const found = `The policy refuses the quote: ${error.message} (${error.code})`
    return { ...known, step: step('quote', 'no', 'proof', found) }
  }
}

async function checkApp({ evidence, expected }: EvidenceQuestion, quote: Quote) {
  const attestation = evidence.attestation === undefined ? undefined : await evidence.attestation()
  if (attestation === undefined) {
    const found = 'There is no event log: the app is not known.'
    return { app: undefined, steps: [step('event-log', 'not-checked', 'claim', found)] }
  }
  try {
    const app = proveApp(quote, attestation, expected)
    return { app, steps: [logStep(attestation), ...appSteps(app, expected)] }
  } catch (error) {
    if (!isAssentError(error)) throw error
    const found = `The event log, the file or the image does not fit: ${error.message} (${error.code})`
    return { app: undefined, steps: [step('event-log', 'no', 'proof', found)] }
  }
}

function logStep({ runtimeEvents }: Attestation): TrustStep {
  const found = `The boot log with ${runtimeEvents.length} events replays to RTMR3 of the quote.`
  return step('event-log', 'yes', 'proof', found)
}

function appSteps(app: ProvenApp, { compose }: ExpectedApp): TrustStep[] {
  const image = app.osImageHash === undefined ? 'unknown' : `0x${toHex(app.osImageHash)}`
  const hash = `0x${toHex(app.composeHash)}`
  return [
    step('app', 'yes', 'proof', `It measured the app 0x${toHex(app.appId)} with release ${hash}.`),
    ...(compose === undefined
      ? []
      : [step('compose', 'yes', 'proof', 'The app-compose file is the one that it measured.')]),
    {
      proven: step('image', 'yes', 'proof', `The registers are those of base image ${image}.`),
      claimed: step(
        'image',
        'yes',
        'claim',
        `The host says that it booted base image ${image}; the chain must have approved its measurements.`,
      ),
      unknown: step('image', 'not-checked', 'claim', 'Nobody says which base image it booted.'),
    }[app.image],
  ]
}
