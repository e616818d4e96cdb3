/** Builds the command line from the tables of commands. Only the group that the arguments name is loaded. */
import { type CommanderError, Command as Node, Option } from 'commander'

import {
  type Command,
  type Group,
  hasValue,
  kebabCase,
  type OptionTable,
} from '../commands/command.ts'
import { folderSummaries } from '../commands/folder-summaries.ts'
import { frontDoorOptions } from '../commands/front-door-options.ts'
import { wrapText } from '../commands/output/wrap-text.ts'
import { AssentError } from '../errors/index.ts'
import { type CommandLineDoor, runFromCommandLine } from './run-from-command-line.ts'

/** Commands and settings of a program. */
export interface BuildOptions {
  readonly groups: readonly Group[]
  readonly single: readonly Command[]
  /** Opens settings, chain and account for a command. */
  readonly door: () => Promise<CommandLineDoor>
  /** Words after the program name; they choose which group is loaded. */
  readonly args: readonly string[]
  readonly version: string
}

const columns = 80

const rootHelp = `
Examples:
  assent quote verify quote.bin --collateral bundle.json
  assent dao proposals
  assent app status --app hello

Exit codes: 0 done, or yes; 1 no, or a failure; 2 wrong usage, input or
configuration; 3 no complete answer: an outage, or something was not checked.

Settings: options, then ASSENT_* variables, then a profile in assent.toml; see
assent config show. All commands with examples: docs/commands.md`

/**
 * Builds the tree of commands. Only the group that `args` name is loaded with its options, so that a start stays
 * fast.
 */
export async function buildProgram(options: BuildOptions): Promise<Node> {
  const { groups, single, door, args, version } = options
  const root = createNode('assent')
    .description('Release keys to confidential VMs that a DAO approved.')
    .version(version)
    .addHelpText('after', rootHelp)
  const wanted = args.find((arg) => !arg.startsWith('-'))
  for (const group of groups) {
    const node = createNode(group.name).description(group.summary)
    if (group.name === wanted) addCommands(node, await group.load(), door)
    root.addCommand(node)
  }
  for (const command of single) root.addCommand(commandNode(command, command.path[0], door))
  return root
}

/** Wrong usage ends with exit code 2, a suggestion and a hint, on every level. */
function createNode(name: string): Node {
  const node = new Node(name)
  return node
    .exitOverride((error) => {
      throw isHelp(error) ? error : toUsageError(error, node)
    })
    .showSuggestionAfterError()
    .helpCommand(false)
    .configureHelp({ helpWidth: columns, minWidthToWrap: 20, subcommandTerm: termOf })
    .configureOutput({
      getOutHelpWidth: () => columns,
      getErrHelpWidth: () => columns,
      // it is reported like every error
      outputError: () => undefined,
    })
}

function isHelp({ code }: CommanderError): boolean {
  return /^commander\.(?:help|helpDisplayed|version)$/.test(code)
}

/** `error: unknown option '--quik'\n(Did you mean --quick?)` */
function toUsageError({ message, code }: CommanderError, node: Node): AssentError {
  const [first = '', ...rest] = message.replace(/^error: /, '').split('\n')
  const sentence = `${first.charAt(0).toUpperCase()}${first.slice(1).replace(/\.$/, '')}.`
  return new AssentError('USAGE_INVALID', [sentence, ...rest].join(' '), {
    facts: { reason: code.replace(/^commander\./, '') },
    hint: `Run ${pathOf(node)} --help.`,
  })
}

/** `assent dao vote` */
function pathOf(node: Node): string {
  return node.parent === null ? node.name() : `${pathOf(node.parent)} ${node.name()}`
}

function addCommands(
  group: Node,
  commands: readonly Command[],
  door: () => Promise<CommandLineDoor>,
): void {
  for (const command of commands) {
    const words = command.path.slice(1)
    const parent = words
      .slice(0, -1)
      .reduce((node, word) => findOrAdd(node, word, command.path[0]), group)
    parent.addCommand(commandNode(command, words.at(-1) as string, door))
  }
}

/** A subcommand in a list: its name and its arguments. */
function termOf(node: Node): string {
  const words = node.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`
    return argument.required ? `<${name}>` : `[${name}]`
  })
  return [node.name(), ...words].join(' ')
}

function findOrAdd(node: Node, word: string, group: string): Node {
  const known = node.commands.find((each) => each.name() === word)
  if (known !== undefined) return known
  const added = createNode(word).description(folderSummaries[`${group} ${word}`] ?? '')
  node.addCommand(added)
  return added
}

/** One command with its arguments, options and help. */
function commandNode(command: Command, word: string, door: () => Promise<CommandLineDoor>): Node {
  const node = createNode(word).summary(command.summary).description(descriptionOf(command))
  for (const [name, { description, isOptional, isVariadic }] of Object.entries(command.arguments)) {
    const label = `${kebabCase(name)}${isVariadic ? '...' : ''}`
    node.argument(isOptional ? `[${label}]` : `<${label}>`, description)
  }
  addOptions(node, command.options)
  addOptions(node, frontDoorOptions(command))
  node.addHelpText('after', () => footerOf(command))
  node.action(async (...given: unknown[]) => {
    const values = given[Object.keys(command.arguments).length] as Record<string, unknown>
    const names = Object.keys(command.arguments)
    const positional = Object.fromEntries(names.map((name, i) => [name, given[i]]))
    const defaults = { ...defaultsOf(command.options), ...defaultsOf(frontDoorOptions(command)) }
    await runFromCommandLine(command, { ...defaults, ...positional, ...values }, await door())
  })
  return node
}

function addOptions(node: Node, options: OptionTable): void {
  for (const [name, option] of Object.entries(options)) {
    const flag = `--${kebabCase(name)}`
    if (!hasValue(option)) {
      node.addOption(new Option(flag, option.description))
      continue
    }
    const { value, description, isRepeatable } = option
    const built = new Option(`${flag} <${value.toLowerCase()}>`, description)
    if (isRepeatable) built.argParser(collect)
    else if (option.default !== undefined) built.default(option.default)
    node.addOption(built)
  }
}

function collect(value: string, before: unknown): string[] {
  return [...((before as string[] | undefined) ?? []), value]
}

/** Flags that are off and lists that are empty. */
function defaultsOf(options: OptionTable): Record<string, unknown> {
  const entries = Object.entries(options).flatMap(([name, option]): [string, unknown][] => {
    if (!hasValue(option)) return [[name, false]]
    return option.isRepeatable ? [[name, []]] : []
  })
  return Object.fromEntries(entries)
}

function descriptionOf({ summary, help }: Command): string {
  return help === undefined ? summary : `${summary}\n\n${help}`
}

function footerOf({ examples, reads, sends }: Command): string {
  return [
    '',
    wrapText(`Reads: ${reads}`, columns),
    wrapText(`Sends: ${sends ?? 'nothing'}`, columns),
    '',
    examples.length === 1 ? 'Example:' : 'Examples:',
    ...examples.map((example) => `  assent ${example}`),
  ].join('\n')
}
