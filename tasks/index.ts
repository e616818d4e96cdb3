/**
 * The Hardhat plugin with Assent's tasks: `npx hardhat assent <task> --network <name>`.
 *
 * Each file describes the tasks of one area. Its neighbour with `.actions` executes them and is loaded only then. The
 * work itself is in `src/chain`.
 */
import { emptyTask } from 'hardhat/config'
import type { HardhatPlugin } from 'hardhat/types/plugins'
import { groups, loadCommands } from '../src/commands/groups.ts'
import { approvalTasks } from './approvals.ts'
import { appTasks } from './apps.ts'
import { tasksOfGroup } from './command-tasks.ts'
import { deploymentTasks } from './deployment.ts'
import { hostTasks } from './hosts.ts'
import { settingTasks } from './settings.ts'
import { showTasks } from './show.ts'
import { voteTasks } from './voting.ts'

const commands = await loadCommands()

const assent: HardhatPlugin = {
  id: 'assent',
  tasks: [
    emptyTask(
      'assent',
      'Govern what can boot: approvals, proposals, apps, hosts, settings',
    ).build(),
    ...showTasks,
    ...voteTasks,
    ...approvalTasks,
    ...appTasks,
    ...hostTasks,
    ...settingTasks,
    ...deploymentTasks,
    ...groups.flatMap((group) =>
      tasksOfGroup(
        group,
        commands.filter(({ path }) => path[0] === group.name),
      ),
    ),
  ],
}

export default assent
