/** For Hardhat's config: what this project changes about building and testing contracts. */
import { overrideTask } from 'hardhat/config'
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import type { HardhatPlugin } from 'hardhat/types/plugins'
import type { TaskArguments } from 'hardhat/types/tasks'

const buildPlugin: HardhatPlugin = {
  id: 'assent-build',
  hookHandlers: {
    solidity: async () => ({
      default: async () => ({
        /** Nobody here can fix a warning about a file of a package, and ours must be seen. Errors stay. */
        async getCompilationJobErrors(context, job, output, next) {
          const found = await next(context, job, output)
          return found.filter(
            ({ severity, formattedMessage }) =>
              severity === 'error' || !/--> \S*node_modules\//.test(formattedMessage ?? ''),
          )
        },
      }),
    }),
  },
  tasks: [
    /**
     * A test file is compiled together with the contracts that it imports. So a run of some files does not wait until all
     * contracts are compiled for deployment, which takes a minute.
     */
    overrideTask(['test', 'solidity'])
      .setAction(async () => ({
        default: (args: TaskArguments, _hre: HardhatRuntimeEnvironment, runSuper) =>
          runSuper({ ...args, noCompile: args.noCompile || args.testFiles.length > 0 }),
      }))
      .build(),
  ],
}

export default buildPlugin
