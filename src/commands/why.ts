/** The commands that explain a decision: `app why`, `kms why` and `host why`. */
import { defineCommand } from './command.ts'
import { appOption, governorOption } from './options.ts'

const bootOptions = {
  quote: {
    value: 'FILE',
    description: 'answer of the guest agent to GetQuote (JSON): names the whole boot',
  },
  collateral: {
    value: 'FILE',
    description: 'collateral bundle: verifies the quote and gives its TCB status',
  },
  image: { value: 'IMAGE', description: 'base image: hash, first digits or name' },
  device: { value: 'DEVICE', description: 'device id of the host, or first digits' },
  tcb: { value: 'STATUS', description: 'TCB status, for example UpToDate' },
  after: {
    value: 'PROPOSAL',
    description: 'answer for the state after this proposal; "queued": after all that are queued',
  },
  at: { value: 'TIME', description: 'answer for this time (default: now)' },
  pinnedCode: {
    value: 'FILE',
    description: 'pinnedCode of a KMS (default: the code that the chain has now)',
  },
  ...governorOption,
} as const

const whyHelp = `Every condition is listed in the order of the KMS: met, unmet, or unknown if a value that it needs is not given; until when it holds, and the command that fixes it. The first unmet one is the reason that the KMS gives. It runs the rules of the KMS on the answers of one endpoint, without proofs.
Exit code: 0 allowed, 1 denied, 3 a value is not given.`

export const why = defineCommand({
  path: ['app', 'why'],
  summary: 'Explain if a release may boot: every condition, until when it holds, and what fixes it',
  help: whyHelp,
  examples: [
    'app why app-compose.json --image dstack-0.6.0 --device 3f1c2a',
    'app why --quote quote.json',
    'app why app-compose.json --after 582113',
  ],
  arguments: { manifest: { description: 'the manifest: app-compose.json', isOptional: true } },
  options: { ...appOption, ...bootOptions },
  reads: 'the registries, as a KMS reads them',
  load: () => import('./app/why.ts'),
})

export const kmsWhy = defineCommand({
  path: ['kms', 'why'],
  summary:
    'Explain if a KMS node may boot: every condition, until when it holds, and what fixes it',
  help: whyHelp,
  examples: ['kms why --quote quote.json', 'kms why --measurement 8d2f01 --device 3f1c2a'],
  options: {
    measurement: { value: 'MR', description: 'aggregated measurement, or first digits' },
    ...bootOptions,
  },
  reads: 'the registries, as a KMS reads them',
  load: () => import('./kms/why.ts'),
})

export const hostWhy = defineCommand({
  path: ['host', 'why'],
  summary: 'Explain if a host is admitted: every condition, until when it holds, and what fixes it',
  help: 'Exit code: 0 admitted, 1 not admitted.',
  examples: ['host why 3f1c2a'],
  arguments: { device: { description: 'device id of the host, or first digits' } },
  options: {
    after: bootOptions.after,
    at: bootOptions.at,
    pinnedCode: bootOptions.pinnedCode,
    ...governorOption,
  },
  reads: 'the host registry, as a KMS reads it',
  load: () => import('./host/why.ts'),
})
