/** Certificates of guests, minted before anything is measured. */
import { p256 } from '@noble/curves/nist.js'

import { extensionIds, issueLeaf, issueTempCa, keyToPem, toPem } from '../../src/kms/certificate.ts'
import { encodeSpki } from '../../src/kms/derive.ts'
import { certificateReportData } from '../../src/kms/ratls.ts'
import { benchKeys, createFleet } from './fleet.ts'

export async function createBenchIdentities(): Promise<{ key: string; cert: string }[]> {
  const { tempCa } = benchKeys()
  const now = Math.floor(Date.now() / 1000)
  const issuer = { key: tempCa, certificate: await issueTempCa(tempCa, now) }
  const mint = async (cvm: { attestation(reportData: Uint8Array): Uint8Array }) => {
    const key = p256.utils.randomSecretKey()
    const spki = encodeSpki(key)
    const extensions = new Map([
      [extensionIds.attestation, cvm.attestation(certificateReportData(spki))],
    ])
    const leaf = { spki, commonName: 'RA-TLS TEMP Cert', extensions }
    return { key: keyToPem(key), cert: toPem(await issueLeaf(issuer, leaf, now)) }
  }
  return Promise.all(createFleet().boot().map(mint))
}
