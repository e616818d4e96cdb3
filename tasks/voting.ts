/** Tasks for voters: propose, vote, queue and execute proposals. `voting.actions.ts` executes them. */
import { ownerTask, readTask, text, transactionTask } from './task.ts'

const actions = () => import('./voting.actions.ts')

const proposal = { name: 'proposal', description: 'proposal id' }
const governor = {
  ...text('governor'),
  description: 'governor of another DAO, for example the DAO of an app',
}

export const voteTasks = [
  transactionTask('delegate', 'Delegate your votes; tokens without a delegate have no votes')
    .addPositionalArgument({ name: 'to', description: 'account that gets the votes, or "self"' })
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).delegateVotes }))
    .build(),
  ownerTask('propose', 'Propose the calls of a draft; all of them are executed, or none')
    .addPositionalArgument({
      name: 'file',
      description: 'draft, written with --draft',
    })
    .setAction(async () => ({ default: (await actions()).proposeDraft }))
    .build(),
  transactionTask('vote', 'Vote on a proposal; prints its calls first (for example: vote 123 for)')
    .addPositionalArgument(proposal)
    .addPositionalArgument({ name: 'support', description: 'for, against or abstain' })
    .addOption({ ...text('reason'), description: 'reason that is stored on-chain with the vote' })
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).castVote }))
    .build(),
  transactionTask(
    'sign-vote',
    'Sign a vote without a transaction; anyone can send it with submit-vote',
  )
    .addPositionalArgument(proposal)
    .addPositionalArgument({ name: 'support', description: 'for, against or abstain' })
    .addOption({ ...text('out'), description: 'output file for the signed vote' })
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).signVoteOnly }))
    .build(),
  transactionTask('submit-vote', 'Send the signed vote of another account')
    .addPositionalArgument({ name: 'file', description: 'signed vote, written by sign-vote' })
    .setAction(async () => ({ default: (await actions()).submitSignedVote }))
    .build(),
  transactionTask('queue', 'Put a successful proposal into the timelock; anyone can do this')
    .addPositionalArgument(proposal)
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).queueProposal }))
    .build(),
  transactionTask(
    'execute',
    'Execute a queued proposal after the timelock delay; anyone can do this',
  )
    .addPositionalArgument(proposal)
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).executeProposal }))
    .build(),
  transactionTask(
    'cancel',
    'Cancel a proposal: the proposal guardian at any time, its proposer before voting starts',
  )
    .addPositionalArgument(proposal)
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).cancelProposal }))
    .build(),
  readTask('proposals', 'List proposals, newest first')
    .addOption({ name: 'offset', description: 'number of entries to skip', defaultValue: '0' })
    .addOption({ name: 'limit', description: 'number of entries to show', defaultValue: '20' })
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).showProposals }))
    .build(),
  readTask('proposal', 'Show a proposal: its calls, text, votes and next step')
    .addPositionalArgument(proposal)
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).showProposal }))
    .build(),
]
