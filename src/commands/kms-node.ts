/**
 * Commands of a KMS node. The KMS image has these and no others, so this file imports only
 * `command.ts` and, when a command runs, its module.
 */
import { defineCommand, type OptionTable } from './command.ts'

const configOption = {
  config: {
    value: 'FILE',
    description: 'JSON file with the settings; ASSENT_KMS_* variables override it',
  },
} as const satisfies OptionTable

export const run = defineCommand({
  path: ['kms', 'run'],
  summary: 'Serve until SIGTERM; never creates root keys',
  examples: ['kms run --config kms.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings, its keys, its release log, and the chain through the configured endpoints',
  isService: true,
  load: () => import('./kms/run.ts'),
})

export const start = defineCommand({
  path: ['kms', 'start'],
  summary: 'Serve; without root keys, first wait for dstack’s Onboard calls',
  examples: ['kms start --config kms.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'as kms run',
  isService: true,
  load: () => import('./kms/start.ts'),
})

export const bootstrap = defineCommand({
  path: ['kms', 'bootstrap'],
  summary: 'Create the root keys, once, and print what the chain registers about them',
  examples: ['kms bootstrap --config kms.json > bootstrap.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings, and a quote from the agent of this CVM',
  load: () => import('./kms/bootstrap.ts'),
})

export const onboard = defineCommand({
  path: ['kms', 'onboard'],
  summary: 'Get the root keys of a running KMS node, as its replica',
  examples: ['kms onboard --from https://kms-1.example:8000 --config kms.json'],
  options: {
    from: { value: 'URL', description: 'the running KMS node', isRequired: true },
    caPublicKey: {
      value: 'HEX',
      description: 'expected public key of the root CA (SPKI, DER)',
    },
    ...configOption,
  },
  needs: 'nothing',
  reads: 'the settings, and the running node',
  load: () => import('./kms/onboard.ts'),
})

export const onboardService = defineCommand({
  path: ['kms', 'onboard-service'],
  summary: 'Wait for dstack’s Onboard calls over plain HTTP, until Finish or SIGTERM',
  examples: ['kms onboard-service --config kms.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings',
  isService: true,
  load: () => import('./kms/onboard-service.ts'),
})

export const doctor = defineCommand({
  path: ['kms', 'doctor'],
  summary: 'Check everything that a key release needs; exit code 1 if a check fails',
  examples: ['kms doctor --config kms.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings and everything that they name; it changes nothing',
  load: () => import('./kms/doctor.ts'),
})

export const initCheckpoint = defineCommand({
  path: ['kms', 'init-checkpoint'],
  summary: 'Create the trusted checkpoint of a node that has keys but no checkpoint',
  examples: ['kms init-checkpoint --config kms.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings, and the newest accepted block',
  load: () => import('./kms/init-checkpoint.ts'),
})

export const createLog = defineCommand({
  path: ['kms', 'log', 'create'],
  summary: 'Create the release log of a node that has root keys, and print its key',
  examples: ['kms log create --config kms.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings and the root keys',
  load: () => import('./kms/log-create.ts'),
})

export const kmsNodeCommands = [
  run,
  start,
  bootstrap,
  onboard,
  onboardService,
  doctor,
  initCheckpoint,
  createLog,
]
