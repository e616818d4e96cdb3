import { fromHex } from '../../lib/bytes.ts'

/**
 * The public key of "Intel SGX Root CA", the root of trust for real quotes: x and y, 64 bytes.
 *
 * Intel publishes the certificate at https://certificates.trustedservices.intel.com under the name
 * Intel_SGX_Provisioning_Certification_RootCA.cer. It is valid from 2018-05-21 to 2049-12-31 and has
 * the serial number 22650cd65a9d3489f383b49552bf501b392706ac.
 */
export const intelRootKey: Uint8Array = fromHex(
  '0ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f5' +
    '67918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394',
  'Intel root key',
  64,
)
