/** What the owner of an app does. Done in apps.actions.ts. */
import { ownerTask, text, transactionTask } from './task.ts'

const actions = () => import('./apps.actions.ts')

const app = { name: 'app', description: 'the app’s id: its address' }

export const appTasks = [
  transactionTask('create-app', 'Create an app of your own; its id is printed')
    .addOption({
      ...text('owner'),
      description: 'who decides about it; the account that signs if absent',
    })
    .addOption({ ...text('release'), description: 'compose hash of a first release' })
    .addOption({ ...text('device'), description: 'id of a first device' })
    .addFlag({ name: 'anyDevice', description: 'boot it on any device' })
    .addFlag({
      name: 'requireTcbUpToDate',
      description: 'boot the app only on hosts with TCB status UpToDate',
    })
    .addFlag({
      name: 'renounceUpgrades',
      description: 'give up the right to replace the app’s code, permanently',
    })
    .addOption({ ...text('guardian'), description: 'who may suspend its releases at once' })
    .addOption({ ...text('suspension'), description: 'how long a suspension lasts (14d)' })
    .setAction(async () => ({ default: (await actions()).createApp }))
    .build(),
  transactionTask('register-app', 'Let a contract that exists already answer for its own app')
    .addPositionalArgument(app)
    .setAction(async () => ({ default: (await actions()).registerExistingApp }))
    .build(),
  ownerTask(
    'approve-release',
    'Approve a release by its app-compose.json, whose hash the contract checks',
  )
    .addPositionalArgument(app)
    .addPositionalArgument({
      name: 'manifest',
      description: 'app-compose.json, byte for byte as it is deployed',
    })
    .addOption({ ...text('activeFrom'), description: 'earliest use; now if absent' })
    .addOption({
      ...text('expiresAt'),
      description: 'first second of no more use; never if absent',
    })
    .setAction(async () => ({ default: (await actions()).approveRelease }))
    .build(),
  ownerTask('supersede', 'End all releases below a number')
    .addPositionalArgument(app)
    .addPositionalArgument({
      name: 'oldest',
      description: 'number of the oldest release that stays',
    })
    .addOption({ ...text('at'), description: 'when; at once if absent' })
    .addFlag({
      name: 'nextEpoch',
      description: 'open a new key epoch: the older releases never get its keys',
    })
    .setAction(async () => ({ default: (await actions()).supersedeReleases }))
    .build(),
  ownerTask(
    'set-notice-period',
    'Bind yourself to announce what loosens the rules; it can only grow',
  )
    .addPositionalArgument(app)
    .addPositionalArgument({ name: 'notice', description: 'how long before (7d)' })
    .setAction(async () => ({ default: (await actions()).changeNotice }))
    .build(),
  ownerTask(
    'announce',
    'Announce one call of a draft, so that it may be made when the notice is over',
  )
    .addPositionalArgument(app)
    .addPositionalArgument({
      name: 'file',
      description: 'draft with exactly one call, written with --draft',
    })
    .setAction(async () => ({ default: (await actions()).announceCall }))
    .build(),
  ownerTask('set-allow-any-device', 'Boot the app on any device, or on approved ones only')
    .addPositionalArgument(app)
    .addPositionalArgument({ name: 'any', description: 'yes or no' })
    .setAction(async () => ({ default: (await actions()).changeAnyDevice }))
    .build(),
  ownerTask(
    'set-require-tcb-up-to-date',
    'Boot the app only where the TCB is up to date, or anywhere',
  )
    .addPositionalArgument(app)
    .addPositionalArgument({ name: 'required', description: 'yes or no' })
    .setAction(async () => ({ default: (await actions()).changeTcbRequired }))
    .build(),
  ownerTask('set-variants', 'Name the hardware that may vouch for boots of the app')
    .addPositionalArgument(app)
    .addVariadicArgument({
      name: 'variants',
      description: 'tdx always; gcp-tdx, nitro-enclave, amd-sev-snp, aws-nitro-tpm',
    })
    .setAction(async () => ({ default: (await actions()).changeVariants }))
    .build(),
  ownerTask('create-dao', 'Make a DAO; with --app, give the app to it in the same transaction')
    .addPositionalArgument({
      name: 'file',
      description: 'JSON: token, votingDelay, votingPeriod, … as docs/governance.md shows',
    })
    .addOption({ ...text('app'), description: 'the app that it gets' })
    .setAction(async () => ({ default: (await actions()).createAppDao }))
    .build(),
]
