/** What the operator of a host or of a KMS does. Done in machines.actions.ts. */
import { readingTask, signingTask, text } from './task.ts'

const actions = () => import('./machines.actions.ts')

export const machineTasks = [
  readingTask('bind-host', 'Print the report data for a host’s quote, bound to the newest block')
    .addPositionalArgument({ name: 'operator', description: 'account that will register the host' })
    .setAction(async () => ({ default: (await actions()).bindHost }))
    .build(),
  signingTask(
    'register-host',
    'Prove a machine by its quote; the account that signs is its operator',
  )
    .addPositionalArgument({ name: 'quote', description: 'file with the quote, raw' })
    .addOption({
      ...text('block'),
      description: 'block that the quote is bound to, as bind-host printed it',
    })
    .addOption({ ...text('operator'), description: 'operator, if another account pays' })
    .addOption({ ...text('permit'), description: 'his signature, with --operator and --deadline' })
    .addOption({ ...text('deadline'), description: 'until when the permit holds' })
    .setAction(async () => ({ default: (await actions()).registerMachine }))
    .build(),
  signingTask(
    'prove-root-key',
    'Prove a KMS’s root keys by the quote of their making; the DAO approves them later',
  )
    .addPositionalArgument({ name: 'file', description: 'what assent kms bootstrap printed' })
    .setAction(async () => ({ default: (await actions()).proveRoot }))
    .build(),
]
