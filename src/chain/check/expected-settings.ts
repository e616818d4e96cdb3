/** The expected voting parameters of a DAO: those of the deployment, unless others are given. */
import type { Address } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import { addressSchema } from '../../lib/schema.ts'
import type { Deployment } from '../record/deployments.ts'

/** Expected voting parameters and guardian. Times in seconds. */
export interface ExpectedSettings {
  /** From a proposal to the start of voting. */
  readonly votingDelay: number
  /** How long voting lasts. */
  readonly votingPeriod: number
  /** Voting time that must remain after the quorum is reached. */
  readonly lateQuorumExtension: number
  /** Votes that a proposer needs, in the token's smallest unit. */
  readonly proposalThreshold: bigint
  /** Percent of the supply. */
  readonly quorumPercent: number
  /** From queueing to execution. */
  readonly timelockDelay: number
  /** The zero address means no guardian. */
  readonly guardian: Address
  /** Duration of a suspension. */
  readonly suspension: number
}

const amount = z.string().regex(/^\d{1,78}$/)

const governorSchema = z.tuple([
  addressSchema,
  addressSchema,
  z.strictObject({
    votingDelay: z.int(),
    votingPeriod: z.int(),
    lateQuorumExtension: z.int(),
    proposalThreshold: amount.transform(BigInt),
    quorumPercent: amount.transform(Number),
    guardian: addressSchema,
  }),
])

const timelockSchema = z.tuple([
  amount.transform(Number),
  z.array(z.unknown()),
  z.array(z.unknown()),
  addressSchema,
])

const initializerSchema = z.tuple([addressSchema, addressSchema, addressSchema, z.int()])

/** Reads the settings from the recorded arguments of constructors and initializers. @throws DEPLOYMENT_INVALID */
export function recordedSettings({ contracts }: Deployment): ExpectedSettings {
  const [, , rules] = read(governorSchema, 'governor', contracts.governor?.arguments)
  const [timelockDelay] = read(timelockSchema, 'timelock', contracts.timelock?.arguments)
  const [, , , suspension] = read(
    initializerSchema,
    'kmsAuth',
    contracts.kmsAuth?.initializer?.arguments,
  )
  return { ...rules, timelockDelay, suspension }
}

function read<S extends z.ZodType>(schema: S, name: string, recorded: unknown): z.output<S> {
  const parsed = schema.safeParse(recorded)
  if (parsed.success) return parsed.data
  throw new AssentError(
    'DEPLOYMENT_INVALID',
    `Arguments of ${name}: ${describeIssues(parsed.error)}`,
  )
}
