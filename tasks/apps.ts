/** Tasks for app owners. `apps.actions.ts` executes them. */
import { ownerTask, text, transactionTask } from './task.ts'

const actions = () => import('./apps.actions.ts')

const app = { name: 'app', description: 'app id: the address of the app contract' }

export const appTasks = [
  transactionTask('create-app', 'Create an app and print its app id')
    .addOption({
      ...text('owner'),
      description: 'owner of the app (default: the account that signs)',
    })
    .addOption({ ...text('release'), description: 'compose hash of the first release' })
    .addOption({ ...text('device'), description: 'device id of the first device' })
    .addFlag({ name: 'anyDevice', description: 'allow the app on any device' })
    .addFlag({
      name: 'requireTcbUpToDate',
      description: 'boot the app only on hosts with TCB status UpToDate',
    })
    .addFlag({
      name: 'renounceUpgrades',
      description: 'give up the right to replace the app’s code, permanently',
    })
    .addOption({
      ...text('guardian'),
      description: 'account that can suspend releases immediately',
    })
    .addOption({ ...text('suspension'), description: 'duration of a suspension, for example 14d' })
    .setAction(async () => ({ default: (await actions()).createApp }))
    .build(),
  transactionTask('register-app', 'Register an existing contract as an app')
    .addPositionalArgument(app)
    .setAction(async () => ({ default: (await actions()).registerExistingApp }))
    .build(),
  ownerTask(
    'approve-release',
    'Approve a release of an app; the contract checks the hash of its app-compose.json',
  )
    .addPositionalArgument(app)
    .addPositionalArgument({
      name: 'manifest',
      description: 'app-compose.json, with exactly the bytes that are deployed',
    })
    .addOption({ ...text('activeFrom'), description: 'start time (default: immediately)' })
    .addOption({
      ...text('expiresAt'),
      description:
        'end time: the first second in which the approval is not valid (default: no end)',
    })
    .setAction(async () => ({ default: (await actions()).approveRelease }))
    .build(),
  ownerTask('supersede', 'End all releases of an app below a number')
    .addPositionalArgument(app)
    .addPositionalArgument({
      name: 'oldest',
      description: 'number of the oldest release that stays valid',
    })
    .addOption({ ...text('at'), description: 'time at which they end (default: immediately)' })
    .addFlag({
      name: 'nextEpoch',
      description: 'open a new key epoch, whose keys the older releases never get',
    })
    .setAction(async () => ({ default: (await actions()).supersedeReleases }))
    .build(),
  ownerTask(
    'set-notice-period',
    'Set the notice period for calls that loosen the app’s rules; it can only increase',
  )
    .addPositionalArgument(app)
    .addPositionalArgument({ name: 'notice', description: 'notice period, for example 7d' })
    .setAction(async () => ({ default: (await actions()).changeNotice }))
    .build(),
  ownerTask(
    'announce',
    'Announce the call in a draft, so that it can be executed after the notice period',
  )
    .addPositionalArgument(app)
    .addPositionalArgument({
      name: 'file',
      description: 'draft with exactly one call, written with --draft',
    })
    .setAction(async () => ({ default: (await actions()).announceCall }))
    .build(),
  ownerTask('set-allow-any-device', 'Allow the app on any device, or on approved devices only')
    .addPositionalArgument(app)
    .addPositionalArgument({ name: 'any', description: 'yes or no' })
    .setAction(async () => ({ default: (await actions()).changeAnyDevice }))
    .build(),
  ownerTask(
    'set-require-tcb-up-to-date',
    'Require TCB status UpToDate for the app, or do not require it',
  )
    .addPositionalArgument(app)
    .addPositionalArgument({ name: 'required', description: 'yes or no' })
    .setAction(async () => ({ default: (await actions()).changeTcbRequired }))
    .build(),
  ownerTask('set-variants', 'Set the TEE variants that the app accepts')
    .addPositionalArgument(app)
    .addVariadicArgument({
      name: 'variants',
      description: 'tdx (required), gcp-tdx, nitro-enclave, amd-sev-snp, aws-nitro-tpm',
    })
    .setAction(async () => ({ default: (await actions()).changeVariants }))
    .build(),
  ownerTask(
    'create-dao',
    'Create a DAO; with --app, transfer the app to it in the same transaction',
  )
    .addPositionalArgument({
      name: 'file',
      description:
        'parameters of the DAO (JSON: token, votingDelay, votingPeriod, …; see docs/governance.md)',
    })
    .addOption({ ...text('app'), description: 'the app that it gets' })
    .setAction(async () => ({ default: (await actions()).createAppDao }))
    .build(),
]
