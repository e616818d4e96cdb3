/** The words that can follow each beginning of a command line. */
import { type Command, kebabCase } from '../command.ts'
import { frontDoorOptions } from '../front-door-options.ts'
import { groups, loadCommands, singleCommands } from '../groups.ts'

/** A word and its description. */
export interface Word {
  /** A group, command, option or choice, as it is typed. */
  readonly word: string
  /** One line; empty for choices. */
  readonly description: string
}

/** Words by the words before them, for example `dao guardian` → `show`, `suspend`, … */
export type Words = ReadonlyMap<string, readonly Word[]>

/** All words of the command line, by the words before them. Loads every group. */
export async function listWords(): Promise<Words> {
  const words = new Map<string, Word[]>()
  const add = (before: string, word: string, description: string) => {
    const known = words.get(before) ?? []
    if (known.every((each) => each.word !== word)) known.push({ word, description })
    words.set(before, known)
  }
  for (const { name, summary } of groups) add('', name, summary)
  const commands = [...(await loadCommands()), ...singleCommands]
  for (const command of commands) {
    const { path } = command
    for (const [i, word] of path.entries()) {
      const isLast = i === path.length - 1
      if (i > 0 || isLast) add(path.slice(0, i).join(' '), word, isLast ? command.summary : '')
    }
    for (const { word, description } of wordsOf(command)) add(path.join(' '), word, description)
  }
  return words
}

/** Values of the arguments, and options. */
function wordsOf(command: Command): Word[] {
  const choices = Object.values(command.arguments).flatMap(
    (each) => each.choices?.map((word) => ({ word, description: each.description })) ?? [],
  )
  const options = { ...command.options, ...frontDoorOptions(command) }
  return [
    ...choices,
    ...Object.entries(options).map(([name, { description }]) => ({
      word: `--${kebabCase(name)}`,
      description,
    })),
    { word: '--help', description: 'explain the command' },
  ]
}
