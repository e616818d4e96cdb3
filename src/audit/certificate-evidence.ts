/** The quote in a certificate (RA-TLS), as evidence. */
import { AssentError } from '../errors/index.ts'
import { type Attestation, decodeAttestation } from '../quote/attestation.ts'
import type { QuoteEvidence } from './evidence.ts'

/**
 * Reads the quote in dstack's extensions of a certificate, in the current or in the legacy form.
 *
 * @param der the certificate
 * @throws QUOTE_MISSING if it has none; KMS_CERTIFICATE_INVALID, ATTESTATION_*
 */
export async function readCertificateEvidence(der: Uint8Array): Promise<QuoteEvidence> {
  const [{ extensionIds, readCertificate }, { readAttestation }] = await certificateModules()
  const certificate = readCertificate(der)
  const current = certificate.extensions.get(extensionIds.attestation)
  const legacy = certificate.extensions.get(extensionIds.quote)
  const quote = current === undefined ? legacy : decodeAttestation(current).quote
  if (quote === undefined) {
    throw new AssentError('QUOTE_MISSING', 'The certificate has no quote.', {
      facts: { extensions: [...certificate.extensions.keys()] },
      hint: 'Ask the app for a certificate with usage_ra_tls, or a gateway for the address that passes TLS through.',
    })
  }
  return {
    form: 'certificate',
    quote,
    certificate: der,
    // the legacy form is decoded only here, because its log can be broken while its quote is not
    attestation: async () => readAttestation(certificate) as Attestation,
  }
}

/** The X.509 library loads only when there is a certificate. */
function certificateModules() {
  return Promise.all([
    import('../kms/certificates/certificate.ts'),
    import('../kms/certificates/ratls.ts'),
  ])
}
