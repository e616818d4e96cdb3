/**
 * `assent app init`: writes an app-compose.json from a Docker Compose file. Reads the file, and with `--resolve` asks
 * the image registries for digests. The written bytes are the release: another formatting has another hash.
 *
 * @throws FILE_EXISTS unless `--overwrite` is given, COMPOSE_INVALID for a Compose file that cannot be read
 */
import { toBytes } from 'viem'
import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { replaceFile, writeNewFile } from '../../lib/files.ts'
import { parseComposeFile } from '../../manifest/compose-file.ts'
import { createManifest, pinImages } from '../../manifest/create-manifest.ts'
import { describeManifest } from '../../manifest/describe-manifest.ts'
import { lintManifest } from '../../manifest/lint-manifest.ts'
import { readManifest } from '../../manifest/manifest.ts'
import type { init } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-code.ts'
import { readText } from '../input/arguments.ts'
import { bytes32 } from '../output/json.ts'
import { manifestFindingsSchema, printManifestFindings } from '../output/manifest-findings.ts'
import type { Context } from '../session/context.ts'

export const schema = z.strictObject({
  file: z.string(),
  composeHash: bytes32,
  services: z.array(
    z.strictObject({ name: z.string(), image: z.string(), digest: z.string().nullable() }),
  ),
  variableNames: z.array(z.string()).describe('names of the variables to seal'),
  resolved: z
    .array(z.strictObject({ service: z.string(), from: z.string(), to: z.string() }))
    .describe('images whose digest was looked up'),
  findings: manifestFindingsSchema,
})

export async function run(args: ArgumentsOf<typeof init>, { output }: Context) {
  const text = await readText(args.compose)
  if (args.resolve) output.progress('asking the registries of the images')
  const { compose, resolved } = args.resolve
    ? await pinImages(text)
    : { compose: text, resolved: [] }
  const content = createManifest({
    name: args.name ?? nameIn(compose),
    compose,
    environment: args.env ?? [],
    gateway: !args.noGateway,
    noInstanceId: args.noInstanceId,
    ...(args.osVersion === undefined ? {} : { osVersion: args.osVersion }),
  })
  const manifest = readManifest(toBytes(content))
  await (args.overwrite ? replaceFile : writeNewFile)(args.out, content).catch((cause: unknown) => {
    if (!isAssentError(cause, 'FILE_EXISTS')) throw cause
    throw new AssentError('FILE_EXISTS', cause.message, {
      cause,
      facts: cause.facts,
      hint: 'Choose another file with --out, or replace it with --overwrite. Then pin the KMS and seal the environment again.',
    })
  })
  for (const { service, to } of resolved) output.line(`${service}: ${to}`)
  output.line(`Written to ${args.out}: ${manifest.composeHash}`)
  const findings = lintManifest(manifest)
  printManifestFindings(output, findings)
  const { composeHash, services, variableNames } = describeManifest(manifest)
  return { file: args.out, composeHash, services, variableNames, resolved, findings }
}

/** 1: the file is there, and `app lint` calls it unfit. So a script stops before the release. */
export function exitCode({ findings }: z.infer<typeof schema>): ExitCode {
  return findings.some(({ severity }) => severity === 'error') ? exitCodes.no : exitCodes.yes
}

function nameIn(compose: string): string {
  const { name } = parseComposeFile(compose).content
  if (typeof name === 'string') return name
  throw new AssentError('USAGE_INVALID', 'The option --name is missing.', {
    facts: { option: '--name' },
    hint: 'Pass --name, or write `name:` into the Compose file.',
  })
}
