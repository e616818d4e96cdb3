/** Reads the output of `assent kms bootstrap`: public root keys and the bootstrap attestation. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { decodeAttestation } from '../../quote/attestation.ts'
import { readJson } from './arguments.ts'

const bootstrapSchema = z.strictObject({
  ca_pubkey: z.string(),
  k256_pubkey: z.string(),
  attestation: z.string(),
})

/** The statement of `assent kms bootstrap`, or of a dstack KMS. */
export interface Bootstrap {
  /** SubjectPublicKeyInfo, 91 bytes. */
  readonly caPublicKey: Uint8Array
  /** Compressed, 33 bytes. */
  readonly k256PublicKey: Uint8Array
  /** Encoded attestation (SCALE or MessagePack), as bootstrap printed it. */
  readonly attestation: Uint8Array
  /** The quote inside the attestation. */
  readonly quote: Uint8Array
}

/** @throws FILE_UNREADABLE, INPUT_INVALID, HEX_INVALID, LENGTH_WRONG, ATTESTATION_MALFORMED */
export async function readBootstrap(file: string): Promise<Bootstrap> {
  const parsed = bootstrapSchema.safeParse(await readJson(file))
  if (!parsed.success) {
    throw new AssentError('INPUT_INVALID', `${file}: ${describeIssues(parsed.error)}`)
  }
  const attestation = fromHex(parsed.data.attestation, 'attestation')
  return {
    caPublicKey: fromHex(parsed.data.ca_pubkey, 'ca_pubkey', 91),
    k256PublicKey: fromHex(parsed.data.k256_pubkey, 'k256_pubkey', 33),
    attestation,
    quote: decodeAttestation(attestation).quote,
  }
}
