/** Events of the governor: proposals, votes, queue, execution, settings. */
import { assentGovernorAbi } from '../../chain/abi.ts'
import type { Hex } from '../../lib/bytes.ts'
import { type Change, change, contractEvents, update } from '../change.ts'
import { setting } from './owned.ts'

/** Columns of `GovernorCountingSimple`'s values of `support`. */
const tallies = ['againstVotes', 'forVotes', 'abstainVotes'] as const

interface VoteArgs {
  readonly voter: Hex
  readonly proposalId: bigint
  readonly support: number
  readonly weight: bigint
  readonly reason: string
}

const castVote = ({ args }: { args: VoteArgs }): Change[] => {
  const proposal = String(args.proposalId)
  const tally = tallies[args.support]
  const { voter, support, reason } = args
  const vote = { proposal, voter, support, weight: String(args.weight), reason }
  if (tally === undefined) return []
  return [
    change('votes', `${proposal}:${voter}`, () => vote),
    update('proposals', proposal, (row) => ({
      [tally]: String(BigInt(row[tally]) + args.weight),
    })),
  ]
}

export const governorEvents = contractEvents(assentGovernorAbi, {
  ProposalCreated: ({ args }) => [
    change('proposals', String(args.proposalId), () => ({
      proposer: args.proposer,
      targets: args.targets,
      values: args.values.map(String),
      calldatas: args.calldatas,
      description: args.description,
      voteStart: Number(args.voteStart),
      voteEnd: Number(args.voteEnd),
      againstVotes: '0',
      forVotes: '0',
      abstainVotes: '0',
      eta: 0,
      isExecuted: false,
      isCanceled: false,
    })),
  ],
  ProposalExtended: ({ args }) => [
    update('proposals', String(args.proposalId), { voteEnd: Number(args.extendedDeadline) }),
  ],
  ProposalQueued: ({ args }) => [
    update('proposals', String(args.proposalId), { eta: Number(args.etaSeconds) }),
  ],
  ProposalExecuted: ({ args }) => [
    update('proposals', String(args.proposalId), { isExecuted: true }),
  ],
  ProposalCanceled: ({ args }) => [
    update('proposals', String(args.proposalId), { isCanceled: true }),
  ],
  VoteCast: castVote,
  VoteCastWithParams: castVote,
  VotingDelaySet: (event) => [setting(event, 'votingDelay', String(event.args.newVotingDelay))],
  VotingPeriodSet: (event) => [setting(event, 'votingPeriod', String(event.args.newVotingPeriod))],
  ProposalThresholdSet: (event) => [
    setting(event, 'proposalThreshold', String(event.args.newProposalThreshold)),
  ],
  QuorumNumeratorUpdated: (event) => [
    setting(event, 'quorumNumerator', String(event.args.newQuorumNumerator)),
  ],
  LateQuorumVoteExtensionSet: (event) => [
    setting(event, 'lateQuorumVoteExtension', String(event.args.newVoteExtension)),
  ],
  ProposalGuardianSet: (event) => [
    setting(event, 'proposalGuardian', event.args.newProposalGuardian),
  ],
  TimelockChange: (event) => [setting(event, 'timelock', event.args.newTimelock)],
})
