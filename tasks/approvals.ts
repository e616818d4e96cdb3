/** Approvals: give, prolong, shorten, take back, for good or for a time. Done in approvals.actions.ts. */
import { kindList } from '../src/chain/kinds.ts'
import { ownerTask, text, transactionTask } from './task.ts'

const actions = () => import('./approvals.actions.ts')

const kind = { name: 'kind', description: `one of ${kindList}` }
const ids = {
  name: 'ids',
  description: '32 bytes each, in hex; an app may be given by its address',
}
const app = { ...text('app'), description: 'the app, for a release or a device' }

export const approvalTasks = [
  ownerTask(
    'approve',
    'Approve things of one kind; what is proposed says from when, until when, on what evidence',
  )
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .addOption({
      ...text('evidence'),
      description: 'JSON file: source.repository, source.commit, recipe, manifest',
    })
    .addOption({
      ...text('manifest'),
      description: 'file whose SHA-256 must be the id; becomes part of the evidence',
    })
    .addOption({
      ...text('activeFrom'),
      description: 'earliest use (2027-01-31T12:00:00Z); now if absent',
    })
    .addOption({
      ...text('expiresAt'),
      description: 'first second of no more use; never if absent',
    })
    .setAction(async () => ({ default: (await actions()).approveIds }))
    .build(),
  ownerTask(
    'approve-list',
    'Approve what a file lists, of several kinds and apps, as one decision: image, compose, devices',
  )
    .addPositionalArgument({
      name: 'file',
      description:
        'JSON: { title, reason, approve: [{ kind, id or manifestFile, app, evidence, activeFrom, expiresAt }] }',
    })
    .setAction(async () => ({ default: (await actions()).approveList }))
    .build(),
  ownerTask('extend', 'Let approvals that have an end last longer')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .addOption({ ...text('until'), description: 'the new end, or never' })
    .setAction(async () => ({ default: (await actions()).extendApprovals }))
    .build(),
  ownerTask('shorten', 'Let approvals end sooner')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .addOption({ ...text('at'), description: 'the end' })
    .setAction(async () => ({ default: (await actions()).shortenApprovals }))
    .build(),
  ownerTask('withdraw', 'Take approvals back at once; a new version can bring them back')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).withdrawApprovals }))
    .build(),
  ownerTask('revoke', 'Take things back for good, approved or not; so a suspension is ratified')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).revokeIds }))
    .build(),
  ownerTask('suspend', 'Stop things at once, for a time: the guardian’s one act')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).suspendApprovals }))
    .build(),
  transactionTask('mark-expired', 'Write down that things have expired; anyone may')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).markApprovalsExpired }))
    .build(),
  ownerTask('lift', 'End suspensions')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).liftSuspensions }))
    .build(),
]
