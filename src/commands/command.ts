/**
 * The description of a command. The command line (`src/cli`), the Hardhat tasks (`tasks`), the page `docs/commands.md` and
 * the shell completion are built from it.
 *
 * Descriptions load at every start, so this file and the tables next to it import nothing large: no viem, no zod.
 */

/** A positional argument. The order of the arguments is the order of the members. */
export interface ArgumentDescription {
  readonly description: string
  readonly isOptional?: true
  /** Takes all remaining words, at least one. Only the last argument can be variadic. */
  readonly isVariadic?: true
  /** The only accepted values. */
  readonly choices?: readonly string[]
}

/** An option that is on or off. */
export interface FlagDescription {
  readonly description: string
}

/** An option with a value. */
export interface ValueDescription {
  readonly description: string
  /** What the value is, in capitals, for the usage line: `TIME`, `ADDRESS`, `FILE`. */
  readonly value: string
  readonly default?: string
  readonly isRequired?: true
  /** It can be given several times. */
  readonly isRepeatable?: true
  readonly choices?: readonly string[]
}

export type OptionDescription = FlagDescription | ValueDescription

export type ArgumentTable = Readonly<Record<string, ArgumentDescription>>

/** Options by their names in camel case: `notAfter` is `--not-after`. */
export type OptionTable = Readonly<Record<string, OptionDescription>>

/** The things that are opened before a command runs. */
export type Need =
  /** neither a chain nor a deployment */
  | 'nothing'
  /** a chain */
  | 'chain'
  /** a chain, and the record of a deployment on it */
  | 'deployment'
  /** a deployment, but only if the arguments ask for something of it: the command opens it then */
  | 'on-demand'

/** A command as both front doors see it. */
export interface Command {
  /** The words after `assent`: a group and one or two more, or one word (`completion`). */
  readonly path: readonly [group: string, ...words: string[]]
  /** One line. */
  readonly summary: string
  /** More lines, printed by `--help` below the summary. */
  readonly help?: string
  /** Complete commands without the word `assent`. */
  readonly examples: readonly string[]
  readonly arguments: ArgumentTable
  readonly options: OptionTable
  readonly needs: Need
  /** The data that it reads, in words. */
  readonly reads: string
  /** The calls that it sends or signs, in words. The command then has the options `--from` and `--yes`. */
  readonly sends?: string
  /** A service prints log lines and no JSON value. */
  readonly isService?: true
  /** Its `run` is an async generator: with `--json`, each item is one line. */
  readonly hasLines?: true
  /** Loads the module that executes it: a {@link CommandModule}. */
  readonly load: () => Promise<unknown>
}

/** The types of one command's arguments, which its `run` function gets. */
export interface TypedCommand<A extends ArgumentTable, O extends OptionTable> extends Command {
  readonly arguments: A
  readonly options: O
}

/** The members that can be left out of a description. */
type Optional = 'arguments' | 'options' | 'needs' | 'examples'

/**
 * Describes a command.
 *
 * @example
 * export const vote = defineCommand({
 *   path: ['dao', 'vote'],
 *   summary: 'Vote on a proposal',
 *   examples: ['dao vote 123 for'],
 *   arguments: { proposal: { description: 'id of the proposal' } },
 *   reads: 'the proposal',
 *   sends: 'the vote',
 *   load: () => import('./dao/vote.ts'),
 * })
 */
export function defineCommand<
  const A extends ArgumentTable = Record<never, never>,
  const O extends OptionTable = Record<never, never>,
>(
  description: Omit<Command, Optional> & {
    readonly arguments?: A
    readonly options?: O
    /** Default: `deployment`. */
    readonly needs?: Need
    readonly examples: readonly [string, ...string[]]
  },
): TypedCommand<A, O> {
  return {
    needs: 'deployment',
    ...description,
    arguments: description.arguments ?? ({} as A),
    options: description.options ?? ({} as O),
  }
}

/** The same command under another path. */
export function aliasOf<C extends Command>(command: C, path: Command['path']): C {
  const examples = command.examples.map((example) =>
    example.replace(command.path.join(' '), path.join(' ')),
  )
  return { ...command, path, examples }
}

type ArgumentValue<A> = A extends { isVariadic: true; isOptional: true }
  ? readonly string[] | undefined
  : A extends { isVariadic: true }
    ? readonly string[]
    : A extends { isOptional: true }
      ? string | undefined
      : string

type OptionValue<O> = O extends { value: string }
  ? O extends { isRepeatable: true }
    ? readonly string[]
    : O extends { default: string } | { isRequired: true }
      ? string
      : string | undefined
  : boolean

/** The values of an option table. */
export type OptionsOf<O extends OptionTable> = { readonly [name in keyof O]: OptionValue<O[name]> }

/** The argument of the `run` function of a command: the values of its arguments and options, as text. */
export type ArgumentsOf<C> =
  C extends TypedCommand<infer A, infer O>
    ? { readonly [name in keyof A]: ArgumentValue<A[name]> } & OptionsOf<O>
    : never

export function hasValue(option: OptionDescription): option is ValueDescription {
  return 'value' in option
}

/** `notAfter` → `not-after` */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** `assent dao vote` */
export function nameOfCommand({ path }: Pick<Command, 'path'>): string {
  return ['assent', ...path].join(' ')
}

/** A group, of which only name and summary are loaded at the start. */
export interface Group {
  /** First word after `assent`. */
  readonly name: string
  /** One line for `assent --help`. */
  readonly summary: string
  /** Imports the table of the group. */
  readonly load: () => Promise<readonly Command[]>
}
