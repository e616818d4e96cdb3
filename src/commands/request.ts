/** The group `request`: work that anyone asks an app for and pays. */
import { defineCommand } from './command.ts'
import { appOption, outOption } from './options.ts'

const id = { description: 'id of the request, 64 hexadecimal digits' }

export const send = defineCommand({
  path: ['request', 'send'],
  summary: 'Ask an app for work and pay the fee',
  help: `With --key, the input is encrypted to the app, and the result to a new key in the file --reply-key. The request key is published by the workers of the app. Without --key, input and result are public.`,
  examples: [
    'request send question.json --app oracle --fee 1000000000000000 --public',
    'request send question.json --app oracle --fee 1000000000000000 --key request-key.json --reply-key reply.key',
  ],
  arguments: { input: { description: 'file with the input' } },
  options: {
    ...appOption,
    fee: { value: 'WEI', description: 'what is paid for the result', isRequired: true },
    within: {
      value: 'DURATION',
      description: 'time for the result, at most 30 days',
      default: '1h',
    },
    key: { value: 'FILE', description: 'request key of the app, as a worker publishes it' },
    replyKey: { value: 'FILE', description: 'new file for the private key that opens the result' },
    public: { description: 'send the input without encryption: anyone can read it' },
  },
  reads: 'the files, the terms of the app, and with --key its key epoch and the root key on-chain',
  sends: 'request to Requests, with the fee',
  load: () => import('./request/send.ts'),
})

export const show = defineCommand({
  path: ['request', 'show'],
  summary: 'Show a request and its result',
  help: 'With --reply-key, a result that was encrypted is opened.',
  examples: ['request show 5f1c…', 'request show 5f1c… --reply-key reply.key --out answer.json'],
  arguments: { id },
  options: {
    ...outOption,
    replyKey: { value: 'FILE', description: 'the file that request send wrote' },
  },
  reads: 'the request, and the event with its result',
  load: () => import('./request/show.ts'),
})

export const assign = defineCommand({
  path: ['request', 'assign'],
  summary: 'Assign a worker to a request that waits, or whose worker is late',
  examples: ['request assign 5f1c…'],
  arguments: { id },
  reads: 'the request',
  sends: 'assign to Requests',
  load: () => import('./request/assign.ts'),
})

export const refund = defineCommand({
  path: ['request', 'refund'],
  summary:
    'Return the fee of a request that nobody can answer any more, and record a missed answer',
  examples: ['request refund 5f1c…'],
  arguments: { id },
  reads: 'the request',
  sends: 'refund to Requests, and recordMissed if a worker was late',
  load: () => import('./request/refund.ts'),
})

export const withdraw = defineCommand({
  path: ['request', 'withdraw'],
  summary: 'Pay out the balance of an account: refunds, or shares of fees',
  examples: ['request withdraw', 'request withdraw 0x5FbDB2315678afecb367f032d93F642f64180aa3'],
  arguments: {
    account: {
      description: 'account that is paid (default: the one that signs)',
      isOptional: true,
    },
  },
  reads: 'the balance',
  sends: 'withdraw to Requests',
  load: () => import('./request/withdraw.ts'),
})

export const requestCommands = [send, show, assign, refund, withdraw]
