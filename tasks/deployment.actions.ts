import { dirname, join } from 'node:path'

import { formatUnits, zeroAddress } from 'viem'
import { z } from 'zod'
import { toChainError } from '../src/chain/call.ts'
import { checkDeployment } from '../src/chain/check/check.ts'
import type { ExpectedSettings } from '../src/chain/check/expected-settings.ts'
import { formatDuration, formatTime } from '../src/chain/governance/format-time.ts'
import { colors as pc } from '../src/commands/output/colors.ts'
import { openContractSources } from '../src/deploy/contract-sources.ts'
import { type AttestationRules, type DaoRules, deploy } from '../src/deploy/deploy.ts'
import { AssentError } from '../src/errors/index.ts'
import type { TrustAnchor } from '../src/quote/certificates/trust-anchor.ts'
import { withoutDeployment } from './action.ts'
import { readBytes, readDuration } from './arguments.ts'
import {
  accountSchema,
  daoFields,
  durationSchema,
  newTokenSchema,
  readBy,
  unitsSchema,
} from './dao-file.ts'
import {
  type CommonArguments,
  confirm,
  createOutput,
  type Output,
  openNetwork,
  openSession,
  signerOf,
  type TransactionArguments,
} from './session.ts'

const hostsSchema = z.strictObject({
  isOpen: z.boolean(),
  activationDelay: durationSchema,
  minLifetime: durationSchema,
  maxLifetime: durationSchema,
  window: z.int().min(1),
  minEvaluationNumber: z.int().min(0),
})

const rulesSchema = z.strictObject({
  token: newTokenSchema,
  ...daoFields,
  attestation: z.union([
    z.literal('none'),
    z.strictObject({
      /** A root certificate in DER, by a path from the rules' own folder. */
      rootFile: z.string().min(1),
      p256: z.union([z.literal('precompile'), z.literal('solidity')]),
      hosts: hostsSchema,
      bonds: z.union([
        z.literal('none'),
        z.strictObject({ token: accountSchema, minimum: unitsSchema, unbonding: durationSchema }),
      ]),
    }),
  ]),
})

type RulesFile = z.infer<typeof rulesSchema>

export const deployAssent = withoutDeployment<TransactionArguments & { rules: string }>(
  async (args, hre) => {
    const output = createOutput(args.json)
    const file = await readBy(rulesSchema, args.rules)
    const rules = daoRules(file)
    const attestation = await attestationRules(file, dirname(args.rules))
    const network = await openNetwork(hre)
    const clients = await signerOf(network, args.from)
    const { address } = clients.walletClient.account
    output.heading(`On ${network.name} (chain ${network.chainId}), ${address} would deploy Assent:`)
    printDaoParameters(output, rules, attestation)
    output.line(
      `  recorded in ${join(args.deployments, `${network.chainId}.json`)} after each step`,
    )
    await confirm(args, args.json)
    const sources = await openContractSources(async () => hre)
    const addresses = await deploy({
      ...clients,
      artifacts: sources.artifact,
      storage: sources.storage,
      rules,
      ...(attestation === undefined ? {} : { attestation }),
      record: {
        folder: args.deployments,
        commit: sources.commit,
        compiler: sources.compiler,
      },
      onStep: (words) => output.line(words),
    })
    output.heading('Deployed. Check it: assent check')
    return { chainId: network.chainId, addresses }
  },
)

function daoRules({ guardian, attestation: _, ...rules }: RulesFile): DaoRules {
  return { ...rules, ...(guardian === 'nobody' ? {} : { guardian }) }
}

async function attestationRules(
  { attestation }: RulesFile,
  folder: string,
): Promise<AttestationRules | undefined> {
  if (attestation === 'none') return undefined
  const { rootFile, p256, hosts, bonds } = attestation
  return {
    root: await readBytes(join(folder, rootFile)),
    ...(p256 === 'solidity' ? { p256 } : {}),
    hosts: { ...hosts, attestedSince: 0 },
    ...(bonds === 'none'
      ? {}
      : {
          bonds: {
            token: bonds.token,
            minimum: bonds.minimum,
            unbondingTime: bonds.unbonding,
          },
        }),
  }
}

function printDaoParameters(
  output: Output,
  rules: DaoRules,
  attestation: AttestationRules | undefined,
): void {
  const { token, votingDelay, votingPeriod, timelockDelay, quorumPercent, suspension } = rules
  output.line(
    `  votes: ${formatUnits(token.supply, 18)} ${token.symbol}, all of them to ${token.holder}`,
  )
  output.line(
    `  a decision takes ${formatDuration(votingDelay)} until the vote, ${formatDuration(votingPeriod)} of voting, ${formatDuration(timelockDelay)} until it is carried out`,
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

/* THE CHECK */

interface Checking extends CommonArguments {
  readonly root?: string
  readonly expectedSettings?: string
  readonly withoutCode: boolean
}

export const checkAssent = withoutDeployment<Checking>(async (args, hre) => {
  const session = await openSession(args, hre)
  const { publicClient, deployment, output, name, chainId } = session
  const root = args.root === undefined ? undefined : await readRoot(args.root)
  const expected =
    args.expectedSettings === undefined
      ? undefined
      : expectedSettingsOf(await readBy(rulesSchema, args.expectedSettings))
  const sources = args.withoutCode ? undefined : await openContractSources(async () => hre)
  const findings = await checkDeployment(publicClient, deployment, {
    ...(root === undefined ? {} : { root }),
    ...(expected === undefined ? {} : { expected }),
    ...(sources === undefined ? {} : { sources: { ...sources, artifacts: sources.artifact } }),
  })
  for (const { code, holds, what, found, isUnchecked } of findings) {
    output.line(
      holds
        ? `${pc.green('ok')}     ${what}: ${found}`
        : `${isUnchecked ? pc.yellow('???  ') : pc.red('WRONG')}  ${what}: ${found}  ${pc.red(code)}`,
    )
  }
  const wrong = findings.filter(({ holds }) => !holds)
  if (wrong.length === 0) {
    output.heading(`All ${findings.length} findings hold on ${name} (chain ${chainId}).`)
    return { holds: true, findings }
  }
  throw new AssentError(
    'DEPLOYMENT_WRONG',
    `${wrong.length} of ${findings.length} findings do not hold.`,
    { facts: { wrong } },
  )
})

function expectedSettingsOf({ guardian, ...rules }: RulesFile): ExpectedSettings {
  return { ...rules, guardian: guardian === 'nobody' ? zeroAddress : guardian }
}

async function readRoot(text: string): Promise<TrustAnchor> {
  return text === 'intel' ? text : readBytes(text)
}

/* A CHAIN TO TRY THINGS ON */

export const advanceTime = withoutDeployment<CommonArguments & { time: string }>(
  async (args, hre) => {
    const seconds = readDuration(args.time, 'time')
    const { provider, publicClient, name } = await openNetwork(hre)
    const request = (method: string, ...params: unknown[]) =>
      provider.request({ method, params } as never).catch((cause: unknown) => {
        throw toChainError(cause, `${method} of ${name}, which only development chains know`)
      })
    await request('evm_increaseTime', seconds)
    await request('evm_mine')
    const now = Number((await publicClient.getBlock()).timestamp)
    createOutput(args.json).line(`Advanced by ${formatDuration(seconds)} to ${formatTime(now)}`)
    return { now }
  },
)
