/** What a voter does: propose, vote, and see to it that what was decided happens. Done in voting.actions.ts. */
import { ownerTask, readTask, text, transactionTask } from './task.ts'

const actions = () => import('./voting.actions.ts')

const proposal = { name: 'proposal', description: 'id, as the task that proposed printed it' }
const governor = { ...text('governor'), description: 'another DAO, as an app’s own' }

export const voteTasks = [
  transactionTask('delegate', 'Say who votes with your tokens; without it they have no vote')
    .addPositionalArgument({ name: 'to', description: 'account that votes, or "self"' })
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).delegateVotes }))
    .build(),
  ownerTask('propose', 'Propose the calls of a draft as one decision: all are carried out, or none')
    .addPositionalArgument({
      name: 'file',
      description: 'draft that other tasks wrote with --draft',
    })
    .setAction(async () => ({ default: (await actions()).proposeDraft }))
    .build(),
  transactionTask(
    'vote',
    'Vote on a proposal, after reading what it would change (e.g. vote 123 for)',
  )
    .addPositionalArgument(proposal)
    .addPositionalArgument({ name: 'support', description: 'for, against or abstain' })
    .addOption({ ...text('reason'), description: 'words that stand beside the vote for ever' })
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).castVote }))
    .build(),
  transactionTask(
    'sign-vote',
    'Sign a vote without a transaction; anyone may bring it with submit-vote',
  )
    .addPositionalArgument(proposal)
    .addPositionalArgument({ name: 'support', description: 'for, against or abstain' })
    .addOption({ ...text('out'), description: 'file for the signed vote' })
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).signVoteOnly }))
    .build(),
  transactionTask('submit-vote', 'Bring a signed vote of another to the chain, and pay for it')
    .addPositionalArgument({ name: 'file', description: 'what sign-vote wrote' })
    .setAction(async () => ({ default: (await actions()).submitSignedVote }))
    .build(),
  transactionTask('queue', 'Hand a proposal that succeeded to the timelock; anyone may')
    .addPositionalArgument(proposal)
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).queueProposal }))
    .build(),
  transactionTask('execute', 'Carry out a queued proposal whose delay is over; anyone may')
    .addPositionalArgument(proposal)
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).executeProposal }))
    .build(),
  transactionTask(
    'cancel',
    'Cancel a proposal: its guardian at any stage, its proposer before the vote',
  )
    .addPositionalArgument(proposal)
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).cancelProposal }))
    .build(),
  readTask('proposals', 'List proposals, newest first')
    .addOption({ name: 'offset', description: 'how many to leave out', defaultValue: '0' })
    .addOption({ name: 'limit', description: 'how many to show', defaultValue: '20' })
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).showProposals }))
    .build(),
  readTask('proposal', 'Show what a proposal would change, its text, its votes and what comes next')
    .addPositionalArgument(proposal)
    .addOption(governor)
    .setAction(async () => ({ default: (await actions()).showProposal }))
    .build(),
]
