/** What the operator of a host or of a KMS does. Done in machines.actions.ts. */
import { readTask, text, transactionTask } from './task.ts'

const actions = () => import('./hosts.actions.ts')

export const hostTasks = [
  transactionTask(
    'upload-collateral',
    'Bring Intel’s collateral to the quote verifier; anyone may, only signatures decide',
  )
    .addPositionalArgument({
      name: 'file',
      description: 'JSON with certificates, CRLs, TCB info and QE identity, as dcap-qvl writes it',
    })
    .setAction(async () => ({ default: (await actions()).uploadCollateral }))
    .build(),
  readTask('host-report-data', 'Print the report data for a host’s quote, bound to a block of now')
    .addPositionalArgument({ name: 'operator', description: 'account that will register the host' })
    .setAction(async () => ({ default: (await actions()).printHostReportData }))
    .build(),
  transactionTask(
    'register-host',
    'Prove a machine by its quote; the account that signs is its operator',
  )
    .addPositionalArgument({ name: 'quote', description: 'file with the quote, raw' })
    .addOption({
      ...text('block'),
      description: 'block that the quote is bound to, as host-report-data printed it',
    })
    .addOption({ ...text('operator'), description: 'operator, if another account pays' })
    .addOption({ ...text('permit'), description: 'his signature, with --operator and --deadline' })
    .addOption({ ...text('deadline'), description: 'until when the permit holds' })
    .setAction(async () => ({ default: (await actions()).registerHostByQuote }))
    .build(),
  transactionTask(
    'end-host-proof',
    'End a proof whose quote is provably dead: revoked, expired, or of a TCB that no longer passes',
  )
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({
      name: 'quote',
      description: 'file with the quote by which it was proven, raw',
    })
    .setAction(async () => ({ default: (await actions()).endHostProof }))
    .build(),
  transactionTask(
    'sign-continuity',
    'Sign that a machine has another id since a BIOS update; sends nothing',
  )
    .addPositionalArgument({ name: 'old', description: 'device id until now' })
    .addPositionalArgument({ name: 'next', description: 'device id from now on' })
    .addOption({ ...text('deadline'), description: 'until when the signature holds' })
    .addOption({ ...text('out'), description: 'file for the signed word' })
    .setAction(async () => ({ default: (await actions()).signHostContinuity }))
    .build(),
  transactionTask(
    'continue-host',
    'Carry a machine’s approval over to its new id, by its operator’s signed word',
  )
    .addPositionalArgument({ name: 'file', description: 'what sign-continuity wrote' })
    .setAction(async () => ({ default: (await actions()).continueHost }))
    .build(),
  transactionTask('bond', 'Deposit for a machine; only what its operator deposits admits it')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({ name: 'amount', description: 'in the token’s smallest units' })
    .setAction(async () => ({ default: (await actions()).depositHostBond }))
    .build(),
  transactionTask('unbond', 'Take from a deposit; it is paid out after the unbonding time')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({ name: 'amount', description: 'in the token’s smallest units' })
    .setAction(async () => ({ default: (await actions()).unbondHost }))
    .build(),
  transactionTask('withdraw-bond', 'Pay out what has waited for the unbonding time')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .setAction(async () => ({ default: (await actions()).withdrawHostBond }))
    .build(),
  transactionTask(
    'register-root-key',
    'Prove a KMS’s root keys by the quote of their making; the DAO approves them later',
  )
    .addPositionalArgument({ name: 'file', description: 'what assent kms bootstrap printed' })
    .setAction(async () => ({ default: (await actions()).registerRootKey }))
    .build(),
]
