import { join } from 'node:path'
import { zeroAddress } from 'viem'
import { z } from 'zod'
import type { ExpectedSettings } from '../../chain/check/expected-settings.ts'
import type { AttestationRules, DaoRules } from '../../deploy/deploy.ts'
import { readBytes } from './arguments.ts'
import {
  accountSchema,
  daoFields,
  durationSchema,
  newTokenSchema,
  readBy,
  unitsSchema,
} from './dao-file.ts'

/** The file of `assent deployment create`: the DAO, the root of trust for quotes, and the rules for hosts. */
const hostsSchema = z.strictObject({
  isOpen: z.boolean(),
  activationDelay: durationSchema,
  minLifetime: durationSchema,
  maxLifetime: durationSchema,
  window: z.int().min(1),
  minEvaluationNumber: z.int().min(0),
})

const parametersSchema = z.strictObject({
  token: newTokenSchema,
  ...daoFields,
  attestation: z.union([
    z.literal('none'),
    z.strictObject({
      /** A root certificate in DER; the path is relative to the folder of the file. */
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

/** The parsed parameters of a deployment, durations in seconds. */
export type Parameters = z.infer<typeof parametersSchema>

/** @throws FILE_UNREADABLE, INPUT_INVALID, USAGE_INVALID */
export function readParameters(file: string): Promise<Parameters> {
  return readBy(parametersSchema, file)
}

/** The rules with which `deploy` creates the DAO. */
export function toDaoRules({ guardian, attestation: _, ...rules }: Parameters): DaoRules {
  return { ...rules, ...(guardian === 'nobody' ? {} : { guardian }) }
}

/** @param folder the folder of the parameters file */
export async function readAttestationRules(
  { attestation }: Parameters,
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

/** The settings that `deployment check --expected-settings` compares with. */
export function toExpectedSettings({ guardian, ...rules }: Parameters): ExpectedSettings {
  return { ...rules, guardian: guardian === 'nobody' ? zeroAddress : guardian }
}
