/** The group `simulate`: parts for trying things out without hardware. */
import { defineCommand } from './command.ts'
import { appOption } from './options.ts'

export const advanceTime = defineCommand({
  path: ['simulate', 'advance-time'],
  summary: 'Advance the clock of a development chain; fails on other chains',
  examples: ['simulate advance-time 11m'],
  arguments: { time: { description: 'duration, for example 11m' } },
  needs: 'chain',
  reads: 'the newest block',
  load: () => import('./simulate/advance-time.ts'),
})

export const machine = defineCommand({
  path: ['simulate', 'machine'],
  summary:
    'Make a machine whose quotes no hardware signs, with its root certificate and collateral',
  help: `The folder gets root.der, to deploy with, and collateral.json; with report data, quote.bin as well. The
secret of the machine stays in the folder, so it is the same machine each time.`,
  examples: [
    'simulate machine .assent/machine',
    'simulate machine .assent/machine --report-data 64-bytes-in-hex',
  ],
  arguments: { folder: { description: 'folder for the machine' } },
  options: { reportData: { value: 'HEX', description: 'report data of a quote, 64 bytes' } },
  needs: 'nothing',
  reads: 'the folder',
  load: () => import('./simulate/machine.ts'),
})

export const boot = defineCommand({
  path: ['simulate', 'boot'],
  summary:
    'Boot a release on a simulated machine: get its keys from the KMS, and open its environment',
  help: `The KMS must accept quotes of the simulator, as that of npm start does. The machine shows the KMS a quote of the base image and of the manifest. The keys are verified with the root key that the chain records, and are not printed. Then the guest's check follows: a pinned environment must be the one in the file.
Exit code: 0 the keys are there, 1 the KMS denies them.`,
  examples: ['simulate boot app-compose.json --app shop'],
  arguments: { manifest: { description: 'the manifest: app-compose.json' } },
  options: {
    ...appOption,
    machine: {
      value: 'FOLDER',
      description: 'folder of simulate machine (default: of the profile)',
    },
    kmsUrl: { value: 'URL', description: 'a KMS node (default: of the profile)' },
    sealed: {
      value: 'FILE',
      description: 'the sealed environment; read if the manifest pins one',
      default: 'env.sealed',
    },
  },
  reads: 'the root keys on-chain, the folder of the machine, and the KMS',
  load: () => import('./simulate/boot.ts'),
})

export const simulateCommands = [machine, boot, advanceTime]
