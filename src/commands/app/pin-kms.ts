/**
 * `assent app pin-kms`: writes the public key of the KMS root CA into a manifest, so that its guests accept keys of
 * this KMS only. Reads the key from `KmsAuth.kmsInfo` and rewrites the file; the compose hash changes.
 */
import { z } from 'zod'

import { replaceFile } from '../../lib/files.ts'
import { readManifest } from '../../manifest/manifest.ts'
import type { pinKms } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes } from '../input/arguments.ts'
import { pinKmsKey, readKmsInfo } from '../input/kms-root.ts'
import { bytes, bytes32 } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  file: z.string(),
  composeHash: bytes32.describe('of the manifest after this command'),
  caPublicKey: bytes.describe('SubjectPublicKeyInfo of the KMS root CA'),
})

export async function run(args: ArgumentsOf<typeof pinKms>, session: Session) {
  const file = args.manifest
  const manifest = readManifest(await readBytes(file))
  const { caPubkey } = await readKmsInfo(session)
  const pinned = pinKmsKey(manifest, caPubkey)
  await replaceFile(file, pinned.raw)
  session.output.line(`${file}: accepts keys of this KMS only: ${pinned.composeHash}`)
  return { file, composeHash: pinned.composeHash, caPublicKey: caPubkey }
}
