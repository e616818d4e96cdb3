/**
 * The Hardhat plugin with Assent's commands as tasks: `npx hardhat assent <group> <verb> --network <name>`.
 *
 * The tasks are built from the tables in `src/commands`. Chain and accounts come from Hardhat's configuration.
 */
import { emptyTask } from 'hardhat/config'
import type { HardhatPlugin } from 'hardhat/types/plugins'

import { groups } from '../src/commands/groups.ts'
import { tasksOfGroup } from './command-tasks.ts'

const tasks = await Promise.all(
  groups.map(async (group) => tasksOfGroup(group, await group.load())),
)

const assent: HardhatPlugin = {
  id: 'assent',
  tasks: [
    emptyTask('assent', 'Govern what can boot: approvals, proposals, apps, hosts').build(),
    ...tasks.flat(),
  ],
}

export default assent
