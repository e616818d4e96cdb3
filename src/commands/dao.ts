/** The group `dao`: what voters and guardians do. */
import { kindsByName } from '../chain/kinds.ts'
import { defineCommand } from './command.ts'
import {
  appOption,
  governorOption,
  outOption,
  ownerOptions,
  ownerSends,
  pageOptions,
  timeOptions,
} from './options.ts'

const kinds = [...kindsByName.keys()]

const proposal = {
  description: 'the proposal: its id, the first digits of the id, or a name of the profile',
}

const support = {
  description: 'for, against or abstain',
  choices: ['for', 'against', 'abstain'],
} as const

const manifestOption = {
  value: 'FILE',
  isRepeatable: true,
  description: 'app-compose.json of a release; used if its SHA-256 is a hash in the proposal',
} as const

/* PROPOSALS */

export const show = defineCommand({
  path: ['dao', 'show'],
  summary: 'Show the parameters of the DAO, and the votes of an account',
  examples: ['dao show', 'dao show --account 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'],
  options: {
    ...governorOption,
    account: { value: 'ADDRESS', description: 'account whose votes are shown' },
  },
  reads: 'governor, timelock and votes token',
  load: () => import('./dao/show.ts'),
})

export const proposals = defineCommand({
  path: ['dao', 'proposals'],
  summary: 'List proposals, newest first',
  examples: ['dao proposals', 'dao proposals --limit 3'],
  options: { ...pageOptions, limit: { ...pageOptions.limit, default: '20' }, ...governorOption },
  reads: 'the proposals of the governor',
  load: () => import('./dao/proposals.ts'),
})

export const showProposal = defineCommand({
  path: ['dao', 'proposal'],
  summary: 'Show a proposal: what it does, its warnings, effects, votes and next step',
  help: 'An open proposal is executed on a local copy of the chain. The review shows the result, what each hash stands for, the difference from the newest release that can boot, and which boots it allows or ends. Nothing is sent.',
  examples: ['dao proposal 582113', 'dao proposal 582113 --quick'],
  arguments: { proposal },
  options: {
    ...governorOption,
    quick: { description: 'do not execute the proposal on a local copy' },
    afterQueued: { description: 'execute all queued proposals first' },
    manifest: manifestOption,
  },
  reads: 'the proposal, its events, and the state that its calls touch',
  load: () => import('./dao/proposal.ts'),
})

export const review = defineCommand({
  path: ['dao', 'review'],
  summary: 'Write a reproducible review of exported calls or of a proposal',
  help: 'The review of the same calls at the same block is the same in every byte. Publish its digest with the proposal, so that voters can compare. The subject is read as a file if a file of this name exists. Of a proposal only the calls are reviewed; dao proposal reviews the text too.',
  examples: [
    'dao review draft.json --out review',
    'dao review 582113 --block 19000000 --out review',
  ],
  arguments: {
    subject: {
      description: 'file of --draft or of --via safe, timelock or calldata; or a proposal',
    },
  },
  options: {
    ...governorOption,
    block: { value: 'N', description: 'block whose state is used (default: the newest)' },
    afterQueued: { description: 'execute all queued proposals first' },
    manifest: manifestOption,
    out: { value: 'NAME', description: 'write NAME.json and NAME.md (default: print)' },
  },
  reads: 'the draft or proposal, and the state that the calls touch',
  load: () => import('./dao/review.ts'),
})

export const drill = defineCommand({
  path: ['dao', 'drill'],
  summary: 'Measure on a local copy how fast an approval can be suspended and revoked',
  help: 'For each kind of approval, the guardian suspends the newest active one and the DAO revokes it by vote. Nothing is sent.',
  examples: ['dao drill', 'dao drill --app hello'],
  options: { ...governorOption, ...appOption },
  reads: 'the registries, their guardians and owners, and the parameters of the DAO',
  load: () => import('./dao/drill.ts'),
})

export const propose = defineCommand({
  path: ['dao', 'propose'],
  summary: 'Propose the calls of a draft; all of them are executed, or none',
  examples: ['dao propose draft.json --title "Release 7"'],
  arguments: { file: { description: 'draft, written with --draft' } },
  options: ownerOptions,
  reads: 'the draft, and the owner of each contract that it calls',
  sends: ownerSends,
  load: () => import('./dao/propose.ts'),
})

export const vote = defineCommand({
  path: ['dao', 'vote'],
  summary: 'Vote on a proposal; prints its calls first',
  examples: ['dao vote 582113 for', 'dao vote 582113 against --reason "The commit is not tagged."'],
  arguments: { proposal, support },
  options: {
    reason: { value: 'TEXT', description: 'reason that is stored on-chain with the vote' },
    ...governorOption,
  },
  reads: 'the proposal, and the votes of the account',
  sends: 'castVoteWithReason to the governor',
  load: () => import('./dao/vote.ts'),
})

export const signVote = defineCommand({
  path: ['dao', 'sign-vote'],
  summary: 'Sign a vote without a transaction; anyone can send it with dao submit-vote',
  examples: ['dao sign-vote 582113 for --out vote.json'],
  arguments: { proposal, support },
  options: { ...outOption, ...governorOption },
  reads: 'the proposal',
  sends: 'nothing; it signs the vote as typed data (EIP-712)',
  load: () => import('./dao/sign-vote.ts'),
})

export const submitVote = defineCommand({
  path: ['dao', 'submit-vote'],
  summary: 'Send the signed vote of another account',
  examples: ['dao submit-vote vote.json'],
  arguments: { file: { description: 'signed vote, written by dao sign-vote' } },
  reads: 'the proposal, and the votes of the voter',
  sends: 'castVoteBySig to the governor',
  load: () => import('./dao/submit-vote.ts'),
})

export const delegate = defineCommand({
  path: ['dao', 'delegate'],
  summary: 'Delegate your votes; tokens without a delegate have no votes',
  examples: ['dao delegate self'],
  arguments: { to: { description: 'account that gets the votes, or "self"' } },
  options: governorOption,
  reads: 'which token the governor counts',
  sends: 'delegate to the votes token',
  load: () => import('./dao/delegate.ts'),
})

export const queue = defineCommand({
  path: ['dao', 'queue'],
  summary: 'Put a successful proposal into the timelock; anyone can do this',
  examples: ['dao queue 582113'],
  arguments: { proposal },
  options: governorOption,
  reads: 'the proposal',
  sends: 'queue to the governor',
  load: () => import('./dao/queue.ts'),
})

export const execute = defineCommand({
  path: ['dao', 'execute'],
  summary: 'Execute a queued proposal after the timelock delay; anyone can do this',
  examples: ['dao execute 582113'],
  arguments: { proposal },
  options: governorOption,
  reads: 'the proposal; afterwards which code is in force, for the deployment record',
  sends: 'execute to the governor',
  load: () => import('./dao/execute.ts'),
})

export const cancel = defineCommand({
  path: ['dao', 'cancel'],
  summary:
    'Cancel a proposal: the proposal guardian at any time, its proposer before voting starts (without a guardian at any time)',
  examples: ['dao cancel 582113'],
  arguments: { proposal },
  options: governorOption,
  reads: 'the proposal, and who can cancel it',
  sends: 'cancel to the governor',
  load: () => import('./dao/cancel.ts'),
})

/* THE DAO ITSELF */

export const create = defineCommand({
  path: ['dao', 'create'],
  summary: 'Create a DAO; with --app, transfer the app to it in the same transaction',
  examples: ['dao create app-dao.json --app hello'],
  arguments: {
    file: {
      description:
        'parameters of the DAO (JSON: token, votingDelay, votingPeriod, …; see docs/governance.md)',
    },
  },
  options: {
    ...ownerOptions,
    app: { value: 'APP', description: 'the app that it gets: address, name or first digits' },
  },
  reads: 'the file, and the app',
  sends:
    'create to the DaoFactory, or transferToNewDao to the app; the factory creates token, timelock and governor',
  load: () => import('./dao/create.ts'),
})

export const setVoting = defineCommand({
  path: ['dao', 'set-voting'],
  summary: 'Change the voting parameters of the DAO',
  examples: ['dao set-voting --voting-period 7d --quorum 10'],
  options: {
    ...ownerOptions,
    votingDelay: {
      value: 'DURATION',
      description: 'time from proposal to start of voting, for example 2d',
    },
    votingPeriod: { value: 'DURATION', description: 'duration of voting, for example 5d' },
    threshold: {
      value: 'TOKENS',
      description: 'votes needed to propose, in tokens, for example 12.5',
    },
    quorum: { value: 'PERCENT', description: 'quorum in percent of all votes' },
    lateExtension: {
      value: 'DURATION',
      description: 'minimum voting time after the quorum is reached, for example 1d',
    },
    timelockDelay: {
      value: 'DURATION',
      description: 'time from queueing to execution, for example 2d',
    },
  },
  reads: 'the parameters of the DAO',
  sends: ownerSends,
  load: () => import('./dao/set-voting.ts'),
})

/* APPROVALS */

const kind = { description: `one of ${kinds.join(', ')}`, choices: kinds }

const newIds = {
  description: 'ids, 32 bytes in hex each; for an app its address',
  isVariadic: true,
} as const

const knownIds = {
  description: 'ids, their first digits, or names; for an app its address',
  isVariadic: true,
} as const

const appOfKind = {
  app: { ...appOption.app, description: 'the app; needed for the kinds release and device' },
} as const

export const approvals = defineCommand({
  path: ['dao', 'approvals'],
  summary: 'Show the approvals of a kind, or one approval with its evidence',
  examples: ['dao approvals os-image', 'dao approvals host 5f1c07'],
  arguments: {
    kind,
    id: { description: 'one id of that kind (default: all)', isOptional: true },
  },
  options: { ...appOfKind, ...pageOptions },
  reads: 'the registry of the kind; for one approval also its evidence in the events',
  load: () => import('./dao/approvals.ts'),
})

export const approve = defineCommand({
  path: ['dao', 'approve'],
  summary: 'Approve ids of one kind, with optional start, end and evidence',
  help: 'For base images use image approve, for releases app release: they check the file behind the id first.',
  examples: [
    `dao approve os-image 0x${'a1'.repeat(32)} --evidence evidence.json --reason "Version 0.6"`,
  ],
  arguments: { kind, ids: newIds },
  options: {
    ...ownerOptions,
    ...appOfKind,
    evidence: {
      value: 'FILE',
      description: 'evidence document (JSON: source.repository, source.commit, recipe, manifest)',
    },
    manifest: {
      value: 'FILE',
      description: 'file whose SHA-256 is the id; it becomes part of the evidence',
    },
    ...timeOptions,
  },
  reads: 'the owner of the registry',
  sends: ownerSends,
  load: () => import('./dao/approve.ts'),
})

export const approveList = defineCommand({
  path: ['dao', 'approve-list'],
  summary: 'Approve ids of several kinds and apps from one file, in one proposal',
  examples: ['dao approve-list approvals.json'],
  arguments: {
    file: {
      description:
        'JSON: { title, reason, approve: [{ kind, id or manifestFile, app, evidence, activeFrom, expiresAt }] }',
    },
  },
  options: ownerOptions,
  reads: 'the file, the files that it names, and the owner of each registry',
  sends: ownerSends,
  load: () => import('./dao/approve-list.ts'),
})

export const extend = defineCommand({
  path: ['dao', 'extend'],
  summary: 'Move the end of approvals to a later time',
  examples: ['dao extend os-image a1a1a1 --until 2027-12-31T00:00:00Z'],
  arguments: { kind, ids: knownIds },
  options: {
    ...ownerOptions,
    ...appOfKind,
    until: { value: 'TIME', description: 'new end time, or no-end', isRequired: true },
  },
  reads: 'the owner of the registry',
  sends: ownerSends,
  load: () => import('./dao/extend.ts'),
})

export const shorten = defineCommand({
  path: ['dao', 'shorten'],
  summary: 'Move the end of approvals to an earlier time',
  examples: ['dao shorten os-image a1a1a1 --until 2027-06-30T00:00:00Z'],
  arguments: { kind, ids: knownIds },
  options: {
    ...ownerOptions,
    ...appOfKind,
    until: { value: 'TIME', description: 'new end time', isRequired: true },
  },
  reads: 'the owner of the registry',
  sends: ownerSends,
  load: () => import('./dao/shorten.ts'),
})

export const withdraw = defineCommand({
  path: ['dao', 'withdraw'],
  summary: 'End approvals immediately; they can be approved again as a new version',
  examples: ['dao withdraw kms-device d1d1d1'],
  arguments: { kind, ids: knownIds },
  options: { ...ownerOptions, ...appOfKind },
  reads: 'the owner of the registry',
  sends: ownerSends,
  load: () => import('./dao/withdraw.ts'),
})

export const revoke = defineCommand({
  path: ['dao', 'revoke'],
  summary: 'Revoke ids permanently, approved or not; this also ratifies a suspension',
  examples: ['dao revoke os-image a1a1a1'],
  arguments: { kind, ids: knownIds },
  options: { ...ownerOptions, ...appOfKind },
  reads: 'the owner of the registry',
  sends: ownerSends,
  load: () => import('./dao/revoke.ts'),
})

export const markExpired = defineCommand({
  path: ['dao', 'mark-expired'],
  summary: 'Mark expired approvals as withdrawn; anyone can do this',
  examples: ['dao mark-expired release c1c1c1 --app hello'],
  arguments: { kind, ids: knownIds },
  options: appOfKind,
  reads: 'the registry of the kind',
  sends: 'markExpired to the registry',
  load: () => import('./dao/mark-expired.ts'),
})

/* THE GUARDIAN */

export const showGuardian = defineCommand({
  path: ['dao', 'guardian', 'show'],
  summary: 'Show the guardian and the current suspensions',
  examples: ['dao guardian show'],
  reads: 'the guardian of the governor and of each registry, and all approvals',
  load: () => import('./dao/guardian-show.ts'),
})

export const suspend = defineCommand({
  path: ['dao', 'guardian', 'suspend'],
  summary: 'Suspend approvals immediately, for a limited time; the guardian can do this alone',
  examples: ['dao guardian suspend os-image a1a1a1'],
  arguments: { kind, ids: knownIds },
  options: { ...ownerOptions, ...appOfKind },
  reads: 'owner and guardian of the registry',
  sends: ownerSends,
  load: () => import('./dao/guardian-suspend.ts'),
})

export const lift = defineCommand({
  path: ['dao', 'guardian', 'lift'],
  summary: 'End suspensions early',
  examples: ['dao guardian lift os-image a1a1a1'],
  arguments: { kind, ids: knownIds },
  options: { ...ownerOptions, ...appOfKind },
  reads: 'the owner of the registry',
  sends: ownerSends,
  load: () => import('./dao/guardian-lift.ts'),
})

export const setGuardian = defineCommand({
  path: ['dao', 'guardian', 'set'],
  summary: 'Set the guardian of the governor and of all registries together',
  examples: [
    'dao guardian set 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --suspension 14d',
    'dao guardian set nobody --suspension 14d',
  ],
  arguments: { guardian: { description: 'address of the guardian, or "nobody"' } },
  options: {
    ...ownerOptions,
    suspension: {
      value: 'DURATION',
      description: 'duration of a suspension, for example 14d',
      isRequired: true,
    },
  },
  reads: 'the parameters of the DAO',
  sends: ownerSends,
  load: () => import('./dao/guardian-set.ts'),
})

export const daoCommands = [
  show,
  proposals,
  showProposal,
  review,
  drill,
  propose,
  vote,
  signVote,
  submitVote,
  delegate,
  queue,
  execute,
  cancel,
  create,
  setVoting,
  approvals,
  approve,
  approveList,
  extend,
  shorten,
  withdraw,
  revoke,
  markExpired,
  showGuardian,
  suspend,
  lift,
  setGuardian,
]
