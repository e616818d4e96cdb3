/** Tasks for operators of hosts and KMS nodes. `hosts.actions.ts` executes them. */
import { readTask, text, transactionTask } from './task.ts'

const actions = () => import('./hosts.actions.ts')

export const hostTasks = [
  transactionTask(
    'upload-collateral',
    'Upload Intel’s collateral to the quote verifier; anyone can do this',
  )
    .addPositionalArgument({
      name: 'file',
      description: 'collateral (JSON in the format of dcap-qvl)',
    })
    .setAction(async () => ({ default: (await actions()).uploadCollateral }))
    .build(),
  readTask(
    'host-report-data',
    'Print the report data for the quote of a host, bound to a recent block',
  )
    .addPositionalArgument({
      name: 'operator',
      description: 'operator: the account that will register the host',
    })
    .setAction(async () => ({ default: (await actions()).printHostReportData }))
    .build(),
  transactionTask(
    'register-host',
    'Register a host with its quote; the account that signs becomes its operator',
  )
    .addPositionalArgument({ name: 'quote', description: 'file with the raw quote' })
    .addOption({
      ...text('block'),
      description: 'block number from host-report-data',
    })
    .addOption({
      ...text('operator'),
      description: 'operator, if another account sends the transaction',
    })
    .addOption({
      ...text('permit'),
      description: 'permit: the operator’s signature; needs --operator and --deadline',
    })
    .addOption({ ...text('deadline'), description: 'time until which the permit is valid' })
    .setAction(async () => ({ default: (await actions()).registerHostByQuote }))
    .build(),
  transactionTask(
    'end-host-proof',
    'End a host proof whose certificate is revoked or expired or whose TCB status is not accepted',
  )
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({
      name: 'quote',
      description: 'file with the raw quote of the host proof',
    })
    .setAction(async () => ({ default: (await actions()).endHostProof }))
    .build(),
  transactionTask(
    'sign-continuity',
    'Sign that a host has a new device id after a BIOS update; sends no transaction',
  )
    .addPositionalArgument({ name: 'old', description: 'old device id' })
    .addPositionalArgument({ name: 'next', description: 'new device id' })
    .addOption({ ...text('deadline'), description: 'time until which the signature is valid' })
    .addOption({ ...text('out'), description: 'output file for the signed statement' })
    .setAction(async () => ({ default: (await actions()).signHostContinuity }))
    .build(),
  transactionTask('continue-host', 'Carry the approval of a host over to its new device id')
    .addPositionalArgument({
      name: 'file',
      description: 'signed statement, written by sign-continuity',
    })
    .setAction(async () => ({ default: (await actions()).continueHost }))
    .build(),
  transactionTask(
    'bond',
    'Deposit a bond for a host; only the bond of its operator counts for admission',
  )
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({ name: 'amount', description: 'amount in smallest token units' })
    .setAction(async () => ({ default: (await actions()).depositHostBond }))
    .build(),
  transactionTask('unbond', 'Unbond a deposit; it can be paid out after the unbonding time')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({ name: 'amount', description: 'amount in smallest token units' })
    .setAction(async () => ({ default: (await actions()).unbondHost }))
    .build(),
  transactionTask('withdraw-bond', 'Pay out an unbonded deposit after the unbonding time')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .setAction(async () => ({ default: (await actions()).withdrawHostBond }))
    .build(),
  transactionTask(
    'register-root-key',
    'Register the root keys of a KMS with its bootstrap quote; the DAO approves them later',
  )
    .addPositionalArgument({ name: 'file', description: 'output of assent kms bootstrap' })
    .setAction(async () => ({ default: (await actions()).registerRootKey }))
    .build(),
]
