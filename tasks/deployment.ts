/** Deploying Assent, and proving that a deployment is as it must be. Done in deployment.actions.ts. */
import { readTask, text, transactionTask } from './task.ts'

const actions = () => import('./deployment.actions.ts')

export const deploymentTasks = [
  transactionTask('deploy', 'Deploy Assent and hand it to its DAO; after a crash, run it again')
    .addPositionalArgument({
      name: 'rules',
      description:
        'JSON file: the DAO, whose quotes count, what is asked of hosts (docs/governance.md)',
    })
    .setAction(async () => ({ default: (await actions()).deployAssent }))
    .build(),
  readTask(
    'check',
    'Prove that a deployment is as it must be; ends with 0 only if everything holds',
  )
    .addOption({
      ...text('root'),
      description: 'expected root of trust: intel, or a file with another root certificate (DER)',
    })
    .addOption({
      ...text('expectedSettings'),
      description: 'expected DAO parameters, in the format of deploy (default: as deployed)',
    })
    .addFlag({
      name: 'withoutCode',
      description: 'do not compare the deployed code with these sources',
    })
    .setAction(async () => ({ default: (await actions()).checkAssent }))
    .build(),
  readTask('advance-time', 'Advance the clock of a development chain; fails on other chains')
    .addPositionalArgument({ name: 'time', description: 'duration, for example 11m' })
    .setAction(async () => ({ default: (await actions()).advanceTime }))
    .build(),
]
