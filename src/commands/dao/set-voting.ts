/**
 * `assent dao set-voting`: changes voting delay, voting period, proposal threshold, quorum, late extension or
 * timelock delay. Submits one call for each given option.
 *
 * @throws USAGE_INVALID if no option is given
 */
import { parseUnits } from 'viem'
import { setVoting, type VotingChange } from '../../chain/governance/settings.ts'
import { AssentError } from '../../errors/index.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setVoting as command } from '../dao.ts'
import { readCount, readDuration } from '../input/arguments.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { votingDelay, votingPeriod, threshold, quorum, lateExtension, timelockDelay } = args
  const change: VotingChange = {
    ...(votingDelay ? { votingDelay: readDuration(votingDelay, '--voting-delay') } : {}),
    ...(votingPeriod ? { votingPeriod: readDuration(votingPeriod, '--voting-period') } : {}),
    ...(threshold ? { proposalThreshold: readTokens(threshold) } : {}),
    ...(quorum ? { quorumPercent: readCount(quorum, '--quorum') } : {}),
    ...(lateExtension
      ? { lateQuorumExtension: readDuration(lateExtension, '--late-extension') }
      : {}),
    ...(timelockDelay ? { timelockDelay: readDuration(timelockDelay, '--timelock-delay') } : {}),
  }
  const calls = setVoting(session.addresses, change)
  if (calls.length === 0)
    throw new AssentError('USAGE_INVALID', 'No parameter is given: pass at least one option.')
  return submitCalls(session, calls, args)
}

function readTokens(text: string): bigint {
  if (/^\d{1,60}(?:\.\d{1,18})?$/.test(text)) return parseUnits(text, 18)
  throw new AssentError('USAGE_INVALID', '--threshold: a number of tokens, like 12.5.')
}
