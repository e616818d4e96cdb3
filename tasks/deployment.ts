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
      description: 'whose quotes must count: intel, or a file with another root certificate (DER)',
    })
    .addOption({
      ...text('expectedSettings'),
      description: 'how the DAO must decide now, as for deploy; as it was deployed if absent',
    })
    .addFlag({ name: 'withoutCode', description: 'do not compare the code with these sources' })
    .setAction(async () => ({ default: (await actions()).checkAssent }))
    .build(),
  readTask('advance-time', 'Let the clock of a development chain run on; no other chain can')
    .addPositionalArgument({ name: 'time', description: 'how long (11m)' })
    .setAction(async () => ({ default: (await actions()).advanceTime }))
    .build(),
]
