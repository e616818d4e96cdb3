/** How a task of Assent is described, and what all of them have in common. */
import { task as hardhatTask } from 'hardhat/config'
import { ArgumentType } from 'hardhat/types/arguments'

/** `npx hardhat assent <name> …` */
export function readTask(name: string, description: string) {
  return hardhatTask(['assent', name], description)
    .addOption({
      name: 'deployments',
      description: 'folder with the records of deployments',
      defaultValue: 'deployments',
    })
    .addFlag({ name: 'json', description: 'print one JSON object' })
}

/** A task that signs with an account of the network. */
export function transactionTask(name: string, description: string) {
  return readTask(name, description)
    .addOption({ ...text('from'), description: 'account that signs, one of the network’s' })
    .addFlag({ name: 'yes', shortName: 'y', description: 'do it without asking' })
}

/** A task that decides something: sent by its owner, proposed to a DAO, or printed for whoever decides. */
export function ownerTask(name: string, description: string) {
  return transactionTask(name, description)
    .addOption({
      name: 'via',
      description:
        'auto (send what the account may do, propose what the DAO may), send, propose, safe, timelock, calldata',
      defaultValue: 'auto',
    })
    .addOption({
      ...text('draft'),
      description: 'only add it to this file, to be proposed with more',
    })
    .addOption({ ...text('governor'), description: 'another DAO to propose to, as an app’s own' })
    .addOption({
      ...text('title'),
      description: 'headline of the proposal; made from its calls if absent',
    })
    .addOption({ ...text('reason'), description: 'reason for the voters' })
    .addOption({
      ...text('owner'),
      description: 'the Safe or the timelock, with --via safe or timelock',
    })
    .addOption({
      ...text('out'),
      description: 'file for what --via safe, timelock or calldata prints',
    })
    .addOption({
      ...text('notAfter'),
      description: 'refuse later execution; two weeks after the earliest possible if absent',
    })
    .addFlag({ name: 'dryRun', description: 'say what would be done, try it, and send nothing' })
    .addFlag({ name: 'skipSimulation', description: 'propose calls even if they would fail now' })
}

/** An option that may be left out. */
export function text<const name extends string>(name: name) {
  return { name, type: ArgumentType.STRING_WITHOUT_DEFAULT, defaultValue: undefined } as const
}

/** An argument by position that may be left out. */
export function optional<const name extends string>(name: name, description: string) {
  return { ...text(name), description } as const
}
