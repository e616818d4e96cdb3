/** The group `app`: what app owners do. */
import { teeVariants } from '../chain/tee-variants.ts'
import { defineCommand } from './command.ts'
import { appOption, ownerOptions, ownerSends, timeOptions } from './options.ts'

const releases = {
  description: 'releases: compose hash or its first digits',
  isVariadic: true,
} as const

export const create = defineCommand({
  path: ['app', 'create'],
  summary: 'Create an app and print its app id',
  help: 'With --name, the app id is written into the profile under this name, for --app NAME.',
  examples: [
    'app create --name shop --any-device',
    'app create --any-device --guardian 0x… --suspension 14d',
  ],
  options: {
    name: { value: 'NAME', description: 'name of the app in the profile of assent.toml' },
    owner: { value: 'ADDRESS', description: 'owner of the app (default: the account that signs)' },
    release: { value: 'HASH', description: 'compose hash of the first release' },
    device: { value: 'ID', description: 'device id of the first device' },
    anyDevice: { description: 'allow the app on any device' },
    requireTcbUpToDate: { description: 'boot the app only on hosts with TCB status UpToDate' },
    renounceUpgrades: {
      description: 'give up the right to replace the app’s code, permanently',
    },
    guardian: { value: 'ADDRESS', description: 'account that can suspend releases immediately' },
    suspension: { value: 'DURATION', description: 'duration of a suspension, for example 14d' },
  },
  reads: 'the deployment',
  sends: 'deployAndRegisterApp to KmsAuth; with --guardian also setGuardian to the app',
  load: () => import('./app/create.ts'),
})

export const register = defineCommand({
  path: ['app', 'register'],
  summary: 'Register an existing contract as an app',
  examples: ['app register 0x5FbDB2315678afecb367f032d93F642f64180aa3'],
  arguments: { contract: { description: 'address of the app contract' } },
  reads: 'whether there is a contract at the address',
  sends: 'registerApp to KmsAuth',
  load: () => import('./app/register.ts'),
})

export const status = defineCommand({
  path: ['app', 'status'],
  summary: 'Show an app: owner, rules, releases and devices',
  examples: ['app status --app hello'],
  options: appOption,
  reads: 'the app contract, and its registration in KmsAuth',
  load: () => import('./app/status.ts'),
})

export const release = defineCommand({
  path: ['app', 'release'],
  summary: 'Approve a release of an app; the contract checks the hash of its app-compose.json',
  examples: ['app release app-compose.json --app hello'],
  arguments: {
    manifest: {
      description: 'app-compose.json with exactly the bytes that are deployed; it becomes public',
    },
  },
  options: { ...ownerOptions, ...appOption, ...timeOptions },
  reads: 'the file, and the owner of the app',
  sends: ownerSends,
  load: () => import('./app/release.ts'),
})

export const withdraw = defineCommand({
  path: ['app', 'withdraw'],
  summary: 'End releases immediately; they can be approved again as a new version',
  examples: ['app withdraw c1c1c1 --app hello'],
  arguments: { releases },
  options: { ...ownerOptions, ...appOption },
  reads: 'the releases and the owner of the app',
  sends: ownerSends,
  load: () => import('./app/withdraw.ts'),
})

const oldest = { description: 'number of the oldest release that stays valid' }

const supersedeOptions = {
  endsAt: { value: 'TIME', description: 'time at which they end (default: immediately)' },
} as const

export const supersede = defineCommand({
  path: ['app', 'supersede'],
  summary: 'End all releases of an app below a number',
  examples: ['app supersede 7 --app hello --ends-at 2027-02-01T00:00:00Z'],
  arguments: { oldest },
  options: { ...ownerOptions, ...appOption, ...supersedeOptions },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/supersede.ts'),
})

export const epoch = defineCommand({
  path: ['app', 'epoch'],
  summary: 'End all releases below a number, and open a new key epoch, whose keys they never get',
  examples: ['app epoch 7 --app hello'],
  arguments: { oldest },
  options: { ...ownerOptions, ...appOption, ...supersedeOptions },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/epoch.ts'),
})

export const notice = defineCommand({
  path: ['app', 'notice'],
  summary: 'Set the notice period for calls that loosen the app’s rules; it can only increase',
  examples: ['app notice 7d --app hello'],
  arguments: { notice: { description: 'notice period, for example 7d' } },
  options: { ...ownerOptions, ...appOption },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/notice.ts'),
})

export const announce = defineCommand({
  path: ['app', 'announce'],
  summary: 'Announce the call in a draft, so that it can be executed after the notice period',
  examples: ['app announce draft.json --app hello'],
  arguments: { file: { description: 'draft with exactly one call, written with --draft' } },
  options: { ...ownerOptions, ...appOption },
  reads: 'the draft, and the owner of the app',
  sends: ownerSends,
  load: () => import('./app/announce.ts'),
})

export const devices = defineCommand({
  path: ['app', 'devices'],
  summary: 'Allow the app on any device, or on approved devices only; add and remove devices',
  examples: ['app devices any --app hello', 'app devices add 0xd1… --app hello'],
  arguments: {
    rule: {
      description: 'any: any device; approved: only approved devices; add or remove: these devices',
      choices: ['any', 'approved', 'add', 'remove'],
    },
    devices: {
      description: 'device ids, after add or remove; their first digits after remove',
      isOptional: true,
      isVariadic: true,
    },
  },
  options: { ...ownerOptions, ...appOption },
  reads: 'the devices and the owner of the app',
  sends: ownerSends,
  load: () => import('./app/devices.ts'),
})

export const tcb = defineCommand({
  path: ['app', 'tcb'],
  summary: 'Require TCB status UpToDate for the app, or do not require it',
  examples: ['app tcb up-to-date --app hello'],
  arguments: { rule: { description: 'up-to-date or any', choices: ['up-to-date', 'any'] } },
  options: { ...ownerOptions, ...appOption },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/tcb.ts'),
})

export const variants = defineCommand({
  path: ['app', 'variants'],
  summary: 'Set the TEE variants that the app accepts',
  examples: ['app variants tdx gcp-tdx --app hello'],
  arguments: {
    variants: {
      description: 'tdx (required), gcp-tdx, nitro-enclave, amd-sev-snp, aws-nitro-tpm',
      choices: teeVariants,
      isVariadic: true,
    },
  },
  options: { ...ownerOptions, ...appOption },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/variants.ts'),
})

export const guardian = defineCommand({
  path: ['app', 'guardian'],
  summary: 'Set the guardian of an app, who can suspend its releases immediately',
  examples: ['app guardian 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --suspension 14d'],
  arguments: { guardian: { description: 'address of the guardian, or "nobody"' } },
  options: {
    ...ownerOptions,
    ...appOption,
    suspension: {
      value: 'DURATION',
      description: 'duration of a suspension, for example 14d',
      isRequired: true,
    },
  },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/guardian.ts'),
})

export const transferOwnership = defineCommand({
  path: ['app', 'transfer-ownership'],
  summary: 'Offer an app to a new owner, who must accept it',
  examples: ['app transfer-ownership 0x… --app hello'],
  arguments: { to: { description: 'address of the new owner; for a DAO its timelock' } },
  options: { ...ownerOptions, ...appOption },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/transfer-ownership.ts'),
})

export const acceptOwnership = defineCommand({
  path: ['app', 'accept-ownership'],
  summary: 'Accept the ownership of an offered app',
  examples: ['app accept-ownership --app hello'],
  options: { ...ownerOptions, ...appOption },
  reads: 'the owner and the offered owner of the app',
  sends: ownerSends,
  load: () => import('./app/accept-ownership.ts'),
})

export const renounceOwnership = defineCommand({
  path: ['app', 'renounce-ownership'],
  summary: 'Give up the ownership of an app, permanently',
  examples: ['app renounce-ownership --app hello'],
  options: { ...ownerOptions, ...appOption },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/renounce-ownership.ts'),
})

export const renounceUpgrades = defineCommand({
  path: ['app', 'renounce-upgrades'],
  summary: 'Give up the right to replace the app’s code, permanently',
  examples: ['app renounce-upgrades --app hello'],
  options: { ...ownerOptions, ...appOption },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/renounce-upgrades.ts'),
})

export const upgrade = defineCommand({
  path: ['app', 'upgrade'],
  summary: 'Replace the code of an app with the code of these sources; it can be repeated',
  examples: ['app upgrade --app hello --dry-run'],
  arguments: {
    implementation: {
      description:
        'address of deployed code (default: the code of these sources, which is deployed if necessary)',
      isOptional: true,
    },
  },
  options: {
    ...ownerOptions,
    ...appOption,
    code: {
      value: 'CONTRACT',
      description:
        'contract in these sources that becomes the new implementation (default: the current one)',
    },
    call: {
      value: 'HEX',
      description: 'calldata that the new code executes in the same transaction',
    },
  },
  reads: 'the current code, and the compiled contracts of this version',
  sends: `the creation of the code if necessary; then ${ownerSends}`,
  load: () => import('./app/upgrade.ts'),
})

export const appCommands = [
  create,
  register,
  status,
  release,
  withdraw,
  supersede,
  epoch,
  notice,
  announce,
  devices,
  tcb,
  variants,
  guardian,
  transferOwnership,
  acceptOwnership,
  renounceOwnership,
  renounceUpgrades,
  upgrade,
]
