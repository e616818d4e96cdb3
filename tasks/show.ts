/** The state of anything, in words and times. Done in showing.actions.ts. */
import { kindList } from '../src/chain/kinds.ts'
import { optional, readTask, text } from './task.ts'

const actions = () => import('./show.actions.ts')

export const showTasks = [
  readTask(
    'show',
    'Show what is approved, of one kind or one thing; without a kind, the whole deployment',
  )
    .addPositionalArgument(optional('kind', `one of ${kindList}`))
    .addPositionalArgument(optional('id', 'one thing of that kind; all of them if absent'))
    .addOption({ ...text('app'), description: 'the app, for a release or a device' })
    .addOption({ name: 'offset', description: 'how many to leave out', defaultValue: '0' })
    .addOption({ name: 'limit', description: 'how many to show', defaultValue: '50' })
    .setAction(async () => ({ default: (await actions()).showApprovals }))
    .build(),
  readTask('show-app', 'Show an app: its owner, its rules, its releases and devices')
    .addPositionalArgument({ name: 'app', description: 'the app’s id: its address' })
    .setAction(async () => ({ default: (await actions()).showApp }))
    .build(),
  readTask('show-dao', 'Show how the DAO decides, and what an account may do in it')
    .addOption({ ...text('governor'), description: 'another DAO, as an app’s own' })
    .addOption({ ...text('account'), description: 'whose votes to show' })
    .setAction(async () => ({ default: (await actions()).showDao }))
    .build(),
  readTask('show-guardian', 'Show who may suspend and cancel, and what is suspended now')
    .setAction(async () => ({ default: (await actions()).showGuardian }))
    .build(),
]
