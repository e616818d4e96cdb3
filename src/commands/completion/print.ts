/**
 * `assent completion`: prints the completion script of a shell. It contains all words of the command table, so that a
 * completion starts no program.
 */
import { z } from 'zod'
import type { ArgumentsOf } from '../command.ts'
import type { completion } from '../completion.ts'
import type { Context } from '../session/context.ts'
import { bashScript, fishScript, zshScript } from './scripts.ts'
import { listWords } from './words.ts'

export const schema = z.strictObject({ script: z.string() })

const writers: Readonly<Record<string, typeof bashScript>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
}

export async function run(args: ArgumentsOf<typeof completion>, { output }: Context) {
  const write = writers[args.shell] as typeof bashScript
  const script = write(await listWords())
  output.exact(script)
  return { script }
}
