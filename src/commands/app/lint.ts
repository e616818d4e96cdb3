/**
 * `assent app lint`: reports members of a manifest that the guest refuses (errors) or that weaken the release
 * (warnings). Reads one file. Exit code 1 if there is an error.
 */
import { z } from 'zod'

import { lintManifest } from '../../manifest/lint-manifest.ts'
import { readManifest } from '../../manifest/manifest.ts'
import type { lint } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-code.ts'
import { readBytes } from '../input/arguments.ts'
import { bytes32 } from '../output/json.ts'
import { manifestFindingsSchema, printManifestFindings } from '../output/manifest-findings.ts'
import type { Context } from '../session/context.ts'

export const schema = z.strictObject({
  composeHash: bytes32,
  errors: z.int(),
  warnings: z.int(),
  findings: manifestFindingsSchema,
})

export async function run(args: ArgumentsOf<typeof lint>, { output }: Context) {
  const manifest = readManifest(await readBytes(args.manifest))
  const findings = lintManifest(manifest)
  printManifestFindings(output, findings)
  const count = (severity: string) => findings.filter((each) => each.severity === severity).length
  const [errors, warnings] = [count('error'), count('warning')]
  output.line(`${manifest.composeHash}  errors: ${errors}, warnings: ${warnings}`)
  return { composeHash: manifest.composeHash, errors, warnings, findings: [...findings] }
}

export function exitCode({ errors }: z.infer<typeof schema>): ExitCode {
  return errors === 0 ? exitCodes.yes : exitCodes.no
}
