/**
 * `assent app hash`: prints the compose hash of a manifest: SHA-256 of its bytes, which dstack measures into RTMR3
 * and the app approves. Reads one file and sends nothing.
 */
import { z } from 'zod'

import { readManifest } from '../../manifest/manifest.ts'
import type { hash } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes } from '../input/arguments.ts'
import { bytes32 } from '../output/json.ts'
import type { Context } from '../session/context.ts'

export const schema = z.strictObject({ composeHash: bytes32, bytes: z.int() })

export async function run(args: ArgumentsOf<typeof hash>, { output }: Context) {
  const { composeHash, raw } = readManifest(await readBytes(args.manifest))
  output.line(composeHash)
  return { composeHash, bytes: raw.length }
}
