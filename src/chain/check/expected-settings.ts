/** How a DAO is meant to decide: what was deployed, until its people say otherwise. */
import type { Address } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import { addressSchema } from '../../lib/schema.ts'
import type { Deployment } from '../deployments.ts'

/** Times in seconds. */
export interface ExpectedSettings {
  readonly votingDelay: number
  readonly votingPeriod: number
  readonly lateQuorumExtension: number
  readonly proposalThreshold: bigint
  readonly quorumPercent: number
  readonly timelockDelay: number
  /** The zero address: nobody. */
  readonly guardian: Address
  /** How long a suspension lasts. */
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

/** As the recorded arguments of constructors and initializers say. @throws DEPLOYMENT_INVALID */
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
