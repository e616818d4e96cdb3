/**
 * Everything that people do with a deployment, as Hardhat tasks: `npx hardhat assent <task> --network <name>`.
 *
 * Each file describes the tasks of one job; the file beside it with `.actions` does them, and is loaded
 * only then. What they do lies in src/chain.
 */
import { emptyTask } from 'hardhat/config'
import type { HardhatPlugin } from 'hardhat/types/plugins'
import { approvalTasks } from './approvals.ts'
import { appTasks } from './apps.ts'
import { deploymentTasks } from './deployment.ts'
import { hostTasks } from './hosts.ts'
import { settingTasks } from './settings.ts'
import { showTasks } from './show.ts'
import { voteTasks } from './voting.ts'

const assent: HardhatPlugin = {
  id: 'assent',
  tasks: [
    emptyTask(
      'assent',
      'Decide, and see what is decided: what may boot, since when, until when',
    ).build(),
    ...showTasks,
    ...voteTasks,
    ...approvalTasks,
    ...appTasks,
    ...hostTasks,
    ...settingTasks,
    ...deploymentTasks,
  ],
}

export default assent
