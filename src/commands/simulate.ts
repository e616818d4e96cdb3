/** The group `simulate`: parts for trying things out without hardware. */
import { defineCommand } from './command.ts'

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

export const simulateCommands = [machine, advanceTime]
