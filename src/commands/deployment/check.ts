/**
 * `assent deployment check`: compares a deployment with its record, with expected settings, and with the code of
 * these sources. Reads the chain and its history. Exit code 0 if every finding holds, 1 if one is wrong, 3 if one
 * could not be checked.
 */
import { z } from 'zod'
import { checkDeployment } from '../../chain/check/check.ts'
import type { Deployment } from '../../chain/record/deployments.ts'
import type { ContractSources } from '../../deploy/contract-sources.ts'
import { readVerifications } from '../../deploy/verification.ts'
import { isAssentError } from '../../errors/index.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import type { ArgumentsOf } from '../command.ts'
import type { check } from '../deployment.ts'
import type { ExitCode } from '../exit-code.ts'
import { readBytes } from '../input/arguments.ts'
import { readParameters, toExpectedSettings } from '../input/parameters-file.ts'
import { colors as pc } from '../output/colors.ts'
import type { Session } from '../session/session.ts'

const finding = z.strictObject({
  code: z.string(),
  holds: z.boolean(),
  what: z.string(),
  found: z.string(),
  isUnchecked: z.boolean().optional().describe('it could not be checked'),
})

/** The next step if a finding does not hold. */
const toDo =
  'Do not rely on this deployment. If the DAO changed its settings, pass the new ones with --expected-settings. If the DAO replaced code, run assent dao execute for that proposal again, or assent deployment upgrade, to update the deployment record.'

export const schema = z.strictObject({ holds: z.boolean(), findings: z.array(finding) })

type Check = Pick<z.infer<typeof schema>, 'holds' | 'findings'>

export function exitCode({ holds, findings }: Check): ExitCode {
  if (holds) return 0
  const isWrong = findings.some((each) => !each.holds && each.isUnchecked !== true)
  return isWrong ? 1 : 3
}

export async function run(args: ArgumentsOf<typeof check>, session: Session) {
  const { publicClient, deployment, output, name, chainId } = session
  const root = args.root === undefined ? undefined : await readRoot(args.root)
  const expected =
    args.expectedSettings === undefined
      ? undefined
      : toExpectedSettings(await readParameters(args.expectedSettings))
  const sources = args.withoutCode ? undefined : await session.sources()
  const checked = await checkDeployment(publicClient, deployment, {
    ...(root === undefined ? {} : { root }),
    ...(expected === undefined ? {} : { expected }),
    ...(sources === undefined ? {} : { sources: { ...sources, artifacts: sources.artifact } }),
  })
  const findings: readonly z.infer<typeof finding>[] =
    sources === undefined ? checked : [...checked, await checkSources(deployment, sources)]
  for (const { code, holds, what, found, isUnchecked } of findings) {
    output.line(
      holds
        ? `${pc.green('ok')}     ${what}: ${found}`
        : `${isUnchecked ? pc.yellow('???  ') : pc.red('WRONG')}  ${what}: ${found}  ${pc.red(code)}`,
    )
  }
  const wrong = findings.filter((each) => !each.holds)
  output.heading(
    wrong.length === 0
      ? `All ${findings.length} findings are as expected on ${name} (chain ${chainId}).`
      : `${wrong.length} of ${findings.length} findings are not as expected. ${toDo}`,
  )
  return { holds: wrong.length === 0, findings }
}

/**
 * Compares the source files with those that were compiled. The code of the contracts, which is compared too, ends with a
 * hash of them.
 */
async function checkSources(
  deployment: Deployment,
  sources: ContractSources,
): Promise<z.infer<typeof finding>> {
  const what = 'source files, as they were compiled'
  try {
    const { verifications } = await readVerifications(deployment, sources)
    const files = new Set(verifications.flatMap(({ input }) => Object.keys(input.sources)))
    return { code: 'SOURCES', holds: true, what, found: `${files.size} files` }
  } catch (error) {
    if (!isAssentError(error, 'CODE_MISMATCH')) throw error
    return { code: 'SOURCES', holds: false, what, found: error.message }
  }
}

async function readRoot(text: string): Promise<TrustAnchor> {
  return text === 'intel' ? text : readBytes(text)
}
