/**
 * `assent deployment create`: deploys Assent and hands it to its DAO. Reads the parameters file; sends the
 * transactions one by one and records each one. After an interruption the same command continues.
 */
import { dirname } from 'node:path'
import { formatUnits } from 'viem'
import { z } from 'zod'
import { deploymentFile } from '../../chain/deployments.ts'
import { formatDuration } from '../../chain/governance/format-time.ts'
import { type AttestationRules, type DaoRules, deploy } from '../../deploy/deploy.ts'
import type { ArgumentsOf } from '../command.ts'
import type { create } from '../deployment.ts'
import { readAttestationRules, readParameters, toDaoRules } from '../input/parameters-file.ts'
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
  output.heading('Deployed. Check it: assent deployment check')
  return { chainId, record, addresses }
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
  output.warning('  The account that signs has no rights afterwards.')
}
