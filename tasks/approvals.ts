/** Tasks for approvals: approve, extend, shorten, withdraw, revoke, suspend. `approvals.actions.ts` executes them. */
import { kindList } from '../src/chain/kinds.ts'
import { ownerTask, text, transactionTask } from './task.ts'

const actions = () => import('./approvals.actions.ts')

const kind = { name: 'kind', description: `one of ${kindList}` }
const ids = {
  name: 'ids',
  description: 'ids, 32 bytes in hex each; for an app also its address',
}
const app = {
  ...text('app'),
  description: 'address of the app; needed for the kinds release and device',
}

export const approvalTasks = [
  ownerTask('approve', 'Approve ids of one kind, with optional start, end and evidence')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .addOption({
      ...text('evidence'),
      description: 'evidence document (JSON: source.repository, source.commit, recipe, manifest)',
    })
    .addOption({
      ...text('manifest'),
      description: 'file whose SHA-256 is the id; it becomes part of the evidence',
    })
    .addOption({
      ...text('activeFrom'),
      description: 'start time, for example 2027-01-31T12:00:00Z (default: immediately)',
    })
    .addOption({
      ...text('expiresAt'),
      description:
        'end time: the first second in which the approval is not valid (default: no end)',
    })
    .setAction(async () => ({ default: (await actions()).approveIds }))
    .build(),
  ownerTask('approve-list', 'Approve ids of several kinds and apps from one file, in one proposal')
    .addPositionalArgument({
      name: 'file',
      description:
        'JSON: { title, reason, approve: [{ kind, id or manifestFile, app, evidence, activeFrom, expiresAt }] }',
    })
    .setAction(async () => ({ default: (await actions()).approveList }))
    .build(),
  ownerTask('extend', 'Move the end of approvals to a later time')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .addOption({ ...text('until'), description: 'new end time, or never' })
    .setAction(async () => ({ default: (await actions()).extendApprovals }))
    .build(),
  ownerTask('shorten', 'Move the end of approvals to an earlier time')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .addOption({ ...text('at'), description: 'new end time' })
    .setAction(async () => ({ default: (await actions()).shortenApprovals }))
    .build(),
  ownerTask('withdraw', 'End approvals immediately; they can be approved again as a new version')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).withdrawApprovals }))
    .build(),
  ownerTask('revoke', 'Revoke ids permanently, approved or not; this also ratifies a suspension')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).revokeIds }))
    .build(),
  ownerTask(
    'suspend',
    'Suspend approvals immediately, for a limited time; the guardian can do this alone',
  )
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).suspendApprovals }))
    .build(),
  transactionTask('mark-expired', 'Mark expired approvals as withdrawn; anyone can do this')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).markApprovalsExpired }))
    .build(),
  ownerTask('lift', 'End suspensions early')
    .addPositionalArgument(kind)
    .addVariadicArgument(ids)
    .addOption(app)
    .setAction(async () => ({ default: (await actions()).liftSuspensions }))
    .build(),
]
