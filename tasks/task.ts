/** Builders of task descriptions, with the options that tasks share. */
import { task as hardhatTask } from 'hardhat/config'
import { ArgumentType } from 'hardhat/types/arguments'

/** A task that only reads: `npx hardhat assent <name> …`. */
export function readTask(name: string, description: string) {
  return hardhatTask(['assent', name], description)
    .addOption({
      name: 'deployments',
      description: 'folder of the deployment records',
      defaultValue: 'deployments',
    })
    .addFlag({ name: 'json', description: 'print one JSON object instead of text' })
}

/** A task that signs a transaction or a message with an account of the network. */
export function transactionTask(name: string, description: string) {
  return readTask(name, description)
    .addOption({ ...text('from'), description: 'account of the network that signs' })
    .addFlag({ name: 'yes', shortName: 'y', description: 'do not ask for confirmation' })
}

/** A task whose calls only an owner can make: sent by the owner, proposed to a DAO, or exported for another owner. */
export function ownerTask(name: string, description: string) {
  return transactionTask(name, description)
    .addOption({
      name: 'via',
      description:
        'auto (send if the account is the owner, propose if the DAO is), send, propose, safe, timelock or calldata',
      defaultValue: 'auto',
    })
    .addOption({
      ...text('draft'),
      description: 'only add the calls to this draft',
    })
    .addOption({
      ...text('governor'),
      description: 'governor of another DAO, for example the DAO of an app',
    })
    .addOption({
      ...text('title'),
      description: 'title of the proposal (default: generated from its calls)',
    })
    .addOption({ ...text('reason'), description: 'reason that voters read in the proposal' })
    .addOption({
      ...text('owner'),
      description: 'address of the Safe or timelock, for --via safe or --via timelock',
    })
    .addOption({
      ...text('out'),
      description: 'output file for --via safe, timelock or calldata',
    })
    .addOption({
      ...text('notAfter'),
      description: 'execution deadline (default: two weeks after the earliest execution)',
    })
    .addFlag({ name: 'dryRun', description: 'print and simulate the calls, and send nothing' })
    .addFlag({ name: 'skipSimulation', description: 'propose calls even if they would fail now' })
}

/** An optional string option. */
export function text<const name extends string>(name: name) {
  return { name, type: ArgumentType.STRING_WITHOUT_DEFAULT, defaultValue: undefined } as const
}

/** An optional positional argument. */
export function optional<const name extends string>(name: name, description: string) {
  return { ...text(name), description } as const
}
