/**
 * `assent deployment create`: deploys Assent and hands it to its DAO. Reads the parameters file; sends the
 * transactions one by one and records each one. After an interruption the same command continues.
 */
import { dirname, join } from 'node:path'
import { type Address, formatUnits, isAddressEqual } from 'viem'
import { z } from 'zod'
import { formatDuration } from '../../chain/governance/format-time.ts'
import { deploymentFile } from '../../chain/record/deployments.ts'
import { type AttestationRules, type DaoRules, deploy } from '../../deploy/deploy.ts'
import type { ArgumentsOf } from '../command.ts'
import type { create } from '../deployment.ts'
import {
  type Parameters,
  readAttestationRules,
  readParameters,
  toDaoRules,
} from '../input/parameters-file.ts'
import { address } from '../output/json.ts'
import type { Output } from '../output/output.ts'
import type { ChainContext } from '../session/session.ts'

export const schema = z.strictObject({
  chainId: z.int(),
  record: z.string().describe('path of the deployment record'),
  addresses: z.record(z.string(), address),
})

export async function run(args: ArgumentsOf<typeof create>, context: ChainContext) {
  const { output, name, chainId, deployments } = context
  const parameters = await readParameters(args.parameters)
  const rules = toDaoRules(parameters)
  const attestation = await readAttestationRules(parameters, dirname(args.parameters))
  const clients = await context.signer()
  const record = deploymentFile(deployments, chainId)
  output.heading(
    `On ${name} (chain ${chainId}), ${clients.walletClient.account.address} would deploy Assent:`,
  )
  printParameters(output, rules, attestation)
  output.warning(`  ${rightsOfSigner(rules, clients.walletClient.account.address)}`)
  output.line(`  recorded in ${record} after each step`)
  await context.confirm()
  const { commit, compiler, artifact, storage } = await context.sources()
  const addresses = await deploy({
    ...clients,
    artifacts: artifact,
    storage,
    rules,
    ...(attestation === undefined ? {} : { attestation }),
    record: { folder: deployments, commit, compiler },
    onStep: (words) => output.line(words),
  })
  output.heading('Deployed. Check it:')
  output.line(`  ${checkCommand(parameters, dirname(args.parameters))}`)
  return { chainId, record, addresses }
}

/** The next step as it must be typed: the check compares the root of trust with a file, and never guesses it. */
export function checkCommand(
  { attestation }: Pick<Parameters, 'attestation'>,
  folder: string,
): string {
  const command = 'assent deployment check'
  if (attestation === 'none') return command
  const file = join(folder, attestation.rootFile)
  return `${command} --root ${/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`}`
}

/** What the account that signs can do afterwards. */
export function rightsOfSigner({ token }: Pick<DaoRules, 'token'>, signer: Address): string {
  return isAddressEqual(token.holder, signer)
    ? 'The account that signs holds all votes afterwards: give them to others before you rely on this deployment.'
    : 'The account that signs has no rights afterwards.'
}

function printParameters(
  output: Output,
  rules: DaoRules,
  attestation: AttestationRules | undefined,
): void {
  const { token, votingDelay, votingPeriod, timelockDelay, quorumPercent, suspension } = rules
  output.line(
    `  votes: ${formatUnits(token.supply, 18)} ${token.symbol}, all of them to ${token.holder}`,
  )
  output.line(
    `  a decision takes ${formatDuration(votingDelay)} until the vote, ${formatDuration(votingPeriod)} of voting, ${formatDuration(timelockDelay)} until it is executed`,
  )
  output.line(
    `  ${quorumPercent} percent must take part; ${formatUnits(rules.proposalThreshold, 18)} ${token.symbol} to propose`,
  )
  output.line(
    rules.guardian === undefined
      ? '  no guardian'
      : `  guardian: ${rules.guardian}, whose suspensions last ${formatDuration(suspension)}`,
  )
  output.line(
    attestation === undefined
      ? '  without a quote verifier, hosts and root keys'
      : '  with a quote verifier, hosts and root keys',
  )
}
