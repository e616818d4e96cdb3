/** Whose quotes count: said in every configuration and every call, never assumed. */
import { z } from 'zod'

/**
 * `intel`: Intel's pinned public key. Bytes: another root, as a certificate (DER) or public key
 * (SubjectPublicKeyInfo), for simulators; whoever holds its private key can make any quote.
 */
export type TrustAnchor = 'intel' | Uint8Array

/** The same as a setting. */
export const trustAnchorSchema = z.union([
  z.literal('intel'),
  z.strictObject({ insecureRootFile: z.string().min(1) }),
])

export type TrustAnchorSetting = z.output<typeof trustAnchorSchema>

/** @param read how the service reads a file, with its own errors */
export async function readTrustAnchor(
  setting: TrustAnchorSetting,
  read: (file: string) => Promise<Uint8Array>,
): Promise<TrustAnchor> {
  return setting === 'intel' ? setting : new Uint8Array(await read(setting.insecureRootFile))
}
