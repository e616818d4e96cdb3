/** Commands about attested instances of an app: which keys speak for it. */
import { defineCommand } from './command.ts'
import { appOption, ownerOptions, ownerSends } from './options.ts'

export const instances = defineCommand({
  path: ['app', 'instances'],
  summary: 'List the keys that were registered for an app, and if they speak for it now',
  examples: ['app instances --app hello'],
  options: appOption,
  reads: 'events of Instances, and what decides about each key',
  load: () => import('./app/instances.ts'),
})

export const registerInstance = defineCommand({
  path: ['app', 'register-instance'],
  summary: 'Register the key of an instance with the proof that the instance made',
  help: 'Records the boot and the root key first, if they are not known.',
  examples: ['app register-instance proof.json'],
  arguments: { proof: { description: 'file with the proof, or - for standard input' } },
  reads: 'the file, and what is registered already',
  sends: 'recordBoot, addRootKey if needed, then register or registerIssued to Instances',
  load: () => import('./app/register-instance.ts'),
})

export const endInstance = defineCommand({
  path: ['app', 'end-instance'],
  summary: 'End the key of an instance permanently',
  help: 'The account must be the owner of the app, or the key itself.',
  examples: ['app end-instance 0x5FbDB2315678afecb367f032d93F642f64180aa3'],
  arguments: { key: { description: 'address of the key' } },
  reads: 'the record of the key',
  sends: 'end to Instances',
  load: () => import('./app/end-instance.ts'),
})

export const createSigner = defineCommand({
  path: ['app', 'create-signer'],
  summary: 'Create the ERC-1271 signer of an app, which a Safe can have as an owner',
  examples: ['app create-signer --app hello'],
  options: appOption,
  reads: 'the app',
  sends: 'create to AppSigners',
  load: () => import('./app/create-signer.ts'),
})

export const requests = defineCommand({
  path: ['app', 'requests'],
  summary: 'List the newest requests of an app, its terms and how many workers it has',
  examples: ['app requests --app oracle'],
  options: {
    ...appOption,
    limit: { value: 'N', description: 'number of requests to show', default: '20' },
  },
  reads: 'terms, workers and requests in Requests',
  load: () => import('./app/requests.ts'),
})

export const setRequestTerms = defineCommand({
  path: ['app', 'set-request-terms'],
  summary: 'Set what requests of an app cost, and how long each worker has',
  help: 'Requests that exist keep their terms. With --answer-time 0 the app takes no further requests.',
  examples: ['app set-request-terms --app oracle --min-fee 1000000000000000 --answer-time 10m'],
  options: {
    ...ownerOptions,
    ...appOption,
    payee: { value: 'ADDRESS', description: 'receives the owner’s share (default: the owner)' },
    minFee: { value: 'WEI', description: 'least fee of a request', default: '0' },
    ownerShare: {
      value: 'N',
      description: 'the owner’s share in hundredths of a percent, at most 5000',
      default: '0',
    },
    answerTime: {
      value: 'DURATION',
      description: 'time for each worker, from 1m to 1d; 0: no requests',
      isRequired: true,
    },
  },
  reads: 'the owner of the app',
  sends: ownerSends,
  load: () => import('./app/set-request-terms.ts'),
})

export const instanceCommands = [
  instances,
  registerInstance,
  endInstance,
  createSigner,
  requests,
  setRequestTerms,
]
