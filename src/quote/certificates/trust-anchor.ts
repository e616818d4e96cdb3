/** The root of trust. Every configuration and every call must name it; there is no default. */
import { z } from 'zod'

/**
 * `'intel'`: Intel's pinned public key.
 *
 * Bytes: another root for simulators, as a DER certificate or a SubjectPublicKeyInfo. The owner of its private key can
 * forge any quote, so never use it for real hosts.
 */
export type TrustAnchor = 'intel' | Uint8Array

/** The root of trust in a configuration file: `"intel"` or `{ "insecureRootFile": "root.der" }`. */
export const trustAnchorSchema = z.union([
  z.literal('intel'),
  z.strictObject({ insecureRootFile: z.string().min(1) }),
])

/** The parsed setting: Intel, or the bytes of a root. */
export type TrustAnchorSetting = z.output<typeof trustAnchorSchema>

/**
 * Reads the root of trust of a configuration.
 *
 * @param read reads a file and throws the errors of the service
 */
export async function readTrustAnchor(
  setting: TrustAnchorSetting,
  read: (file: string) => Promise<Uint8Array>,
): Promise<TrustAnchor> {
  return setting === 'intel' ? setting : new Uint8Array(await read(setting.insecureRootFile))
}
