/**
 * `assent dao show`: shows the rules of the DAO: votes, threshold, quorum, times, timelock and guardian; with
 * `--account` also the votes of an account. Reads the chain only. Token amounts have 18 decimals.
 */
import { formatUnits } from 'viem'
import { z } from 'zod'
import { formatDuration } from '../../chain/governance/format-time.ts'
import { timelockDelay } from '../../chain/governance/governance.ts'
import { readDaoSettings, votesNow } from '../../chain/governance/proposals.ts'
import type { ArgumentsOf } from '../command.ts'
import type { show } from '../dao.ts'
import { readAddress } from '../input/arguments.ts'
import { requireGovernor } from '../input/contracts.ts'
import { address, decimal, seconds } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  governor: address,
  name: z.string(),
  votingDelay: seconds,
  votingPeriod: seconds,
  proposalThreshold: decimal.describe('smallest units'),
  quorumPercent: z.number(),
  lateQuorumExtension: seconds,
  timelock: address,
  timelockDelay: seconds,
  token: address,
  tokenSymbol: z.string(),
  supply: decimal.describe('smallest units'),
  guardian: address.nullable(),
  account: address.nullable(),
  votes: decimal.nullable().describe('of the account, in smallest units'),
})

export async function run(args: ArgumentsOf<typeof show>, session: Session) {
  const { publicClient, output } = session
  const governor = await requireGovernor(session, args.governor)
  const settings = await readDaoSettings(publicClient, governor)
  const delay = await timelockDelay(publicClient, settings.timelock)
  const { votingDelay, votingPeriod, lateQuorumExtension, quorumPercent } = settings
  const { proposalThreshold, supply, tokenSymbol, guardian, timelock, token } = settings
  output.heading(`The DAO of governor ${governor}`)
  output.line(`  votes      ${formatUnits(supply, 18)} ${tokenSymbol} (${token})`)
  output.line(`  to propose ${formatUnits(proposalThreshold, 18)} ${tokenSymbol}`)
  output.line(`  quorum     ${quorumPercent} percent`)
  output.line(
    `  course     ${formatDuration(votingDelay)} until the vote, ${formatDuration(votingPeriod)} of voting (${formatDuration(lateQuorumExtension)} more if the quorum comes late), ${formatDuration(delay)} in the timelock`,
  )
  output.line(`  timelock   ${timelock}`)
  output.line(`  guardian   ${guardian ?? 'nobody; each proposer can cancel its own proposal'}`)
  const value = { governor, ...settings, guardian: guardian ?? null, timelockDelay: delay }
  const account = args.account === undefined ? undefined : readAddress(args.account, '--account')
  if (account === undefined) return { ...value, account: null, votes: null }
  const votes = await votesNow(publicClient, token, account)
  output.line(
    `  ${account} has ${formatUnits(votes, 18)} votes${votes >= proposalThreshold ? ' and can propose' : ''}`,
  )
  return { ...value, account, votes }
}
