/**
 * `assent dao create`: creates a DAO (votes token or wrapper, timelock, governor) with the `DaoFactory`, and hands an
 * app to it. Reads the parameters from a file; prints the addresses.
 */
import { zeroAddress } from 'viem'
import { z } from 'zod'
import { createDao, type DaoParameters, readCreatedDao } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { create } from '../dao.ts'
import { requireApp } from '../input/contracts.ts'
import { daoFields, newTokenSchema, readBy, wrappedTokenSchema } from '../input/dao-file.ts'
import { requireDeployed } from '../input/deployed.ts'
import { address } from '../output/json.ts'
import type { Session } from '../session/session.ts'

const fileSchema = z.strictObject({
  token: z.union([newTokenSchema, wrappedTokenSchema]),
  ...daoFields,
})

const created = z.strictObject({ governor: address, timelock: address, votes: address })

export const schema = submissionSchema({
  dao: created.nullable().describe('null if it was not created by this command'),
})

export async function run(args: ArgumentsOf<typeof create>, session: Session) {
  const { publicClient, output } = session
  const factory = requireDeployed(session, 'daoFactory')
  const app = args.app === undefined ? undefined : await requireApp(session, args.app)
  const parameters = toParameters(await readBy(fileSchema, args.file))
  const submission = await submitCalls(session, [createDao(factory, parameters, app)], args)
  const [hash] = submission.outcome === 'sent' ? submission.transactions : []
  if (hash === undefined) return { dao: null, ...submission }
  const dao = readCreatedDao(await publicClient.getTransactionReceipt({ hash }), factory)
  for (const [name, at] of Object.entries(dao)) output.line(`  ${name.padEnd(9)} ${at}`)
  return { dao, ...submission }
}

function toParameters(file: z.infer<typeof fileSchema>): DaoParameters {
  const { token, guardian, quorumPercent, timelockDelay, ...rest } = file
  return {
    ...rest,
    name: token.name,
    symbol: token.symbol,
    underlying: 'underlying' in token ? token.underlying : zeroAddress,
    holder: 'underlying' in token ? zeroAddress : token.holder,
    supply: token.supply,
    quorumPercent: BigInt(quorumPercent),
    timelockDelay: BigInt(timelockDelay),
    guardian: guardian === 'nobody' ? zeroAddress : guardian,
  }
}
