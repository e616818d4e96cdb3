/** Tasks that show state. `show.actions.ts` executes them. */
import { kindList } from '../src/chain/kinds.ts'
import { optional, readTask, text } from './task.ts'

const actions = () => import('./show.actions.ts')

export const showTasks = [
  readTask(
    'show',
    'Show the approvals of a kind, or one approval; without a kind, the whole deployment',
  )
    .addPositionalArgument(optional('kind', `one of ${kindList}`))
    .addPositionalArgument(optional('id', 'one id of that kind (default: all)'))
    .addOption({
      ...text('app'),
      description: 'address of the app; needed for the kinds release and device',
    })
    .addOption({ name: 'offset', description: 'number of entries to skip', defaultValue: '0' })
    .addOption({ name: 'limit', description: 'number of entries to show', defaultValue: '50' })
    .setAction(async () => ({ default: (await actions()).showApprovals }))
    .build(),
  readTask('show-app', 'Show an app: owner, rules, releases and devices')
    .addPositionalArgument({ name: 'app', description: 'app id: the address of the app contract' })
    .setAction(async () => ({ default: (await actions()).showApp }))
    .build(),
  readTask('show-dao', 'Show the parameters of the DAO, and the votes of an account')
    .addOption({
      ...text('governor'),
      description: 'governor of another DAO, for example the DAO of an app',
    })
    .addOption({ ...text('account'), description: 'account whose votes are shown' })
    .setAction(async () => ({ default: (await actions()).showDao }))
    .build(),
  readTask('show-guardian', 'Show the guardian and the current suspensions')
    .setAction(async () => ({ default: (await actions()).showGuardian }))
    .build(),
]
