import { groups, singleCommands } from '../commands/groups.ts'
import { runProgram } from './program.ts'

/**
 * The whole command line.
 *
 * @returns the exit code: 0 done or yes, 1 no or failed, 2 wrong usage or configuration, 3 no complete answer
 */
export function main(args: readonly string[]): Promise<number> {
  return runProgram(
    { groups, single: singleCommands, door: async () => (await import('./door.ts')).door },
    args,
  )
}
