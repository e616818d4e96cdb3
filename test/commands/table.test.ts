/** Rules for every command description and its help text. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { buildProgram } from '../../src/cli/build-program.ts'
import { type Command, hasValue, nameOfCommand } from '../../src/commands/command.ts'
import { frontDoorOptions } from '../../src/commands/front-door-options.ts'
import { groups, loadCommands, singleCommands } from '../../src/commands/groups.ts'
import { type CommandModule, runCommand } from '../../src/commands/session/run-command.ts'

const commands = [...(await loadCommands()), ...singleCommands]
const named = commands.map((command) => [command.path.join(' '), command] as const)

/** Runs a command line until the command would open its chain, and returns what was read from it. */
async function parse(args: readonly string[]) {
  const reached: { command?: Command; help: string; error: string } = { help: '', error: '' }
  const program = await buildProgram({
    groups,
    single: singleCommands,
    args,
    version: '0.0.0',
    door: async () => ({
      open: async (command) => {
        reached.command = command
        throw new Error('opened')
      },
    }),
  })
  const nodes = [program]
  for (const node of nodes) {
    nodes.push(...node.commands)
    node.configureOutput({
      writeOut: (text) => {
        reached.help += text
      },
      writeErr: (text) => {
        reached.error += text
      },
    })
  }
  await program.parseAsync(args, { from: 'user' }).catch((error: Error) => {
    reached.error += error.message
  })
  return reached
}

/** Words as a shell reads them: quotes keep spaces together. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '')
}

describe.each(named)('assent %s', (path, command) => {
  test('has a help text that begins with its usage and fits into 80 columns', async () => {
    const { help } = await parse([...command.path, '--help'])

    expect(help.split('\n')[0]).toMatch(new RegExp(`^Usage: ${nameOfCommand(command)}( |$)`))
    const long = help.split('\n').filter((line) => line.length > 80)
    expect(long.filter((line) => !/^ {2}assent |\S{60}/.test(line))).toEqual([])
    expect(help).toContain('\nReads: ')
  })

  test('has a help text whose lines end with a sentence, so that paragraphs wrap at words', () => {
    const lines = (command.help ?? '').split('\n').slice(0, -1)

    expect(lines.filter((line) => line !== '' && !/[.)]$/.test(line))).toEqual([])
  })

  test('has a module with a function and a schema', async () => {
    const module = (await command.load()) as CommandModule

    expect(module.run).toBeTypeOf('function')
    expect(module.schema === undefined).toBe(command.isService === true)
  })

  test('has examples that the command line accepts', async () => {
    for (const example of command.examples) {
      expect(example.startsWith(path)).toBe(true)
      const line = example.replace(/ [<>] \S+/g, '').replaceAll('…', '')
      const { error } = await parse(shellWords(line))
      expect(error).toBe('')
    }
  })

  test('refuses an unknown option', async () => {
    const { error } = await parse([...command.path, '--no-such-option'])

    expect(error).toContain('Unknown option')
  })

  test('has options that do not collide with those of the front door', () => {
    const shared = Object.keys(frontDoorOptions(command))
    expect(Object.keys(command.options).filter((name) => shared.includes(name))).toEqual([])
  })

  test('refuses missing arguments, options and wrong choices before anything is opened', async () => {
    const door = { open: async () => Promise.reject(new Error('opened')) }
    const common = { json: false, yes: false, from: undefined, deployments: undefined }
    const required = Object.entries(command.options).filter(
      ([, option]) => hasValue(option) && option.isRequired,
    )
    const choosing = Object.entries(command.arguments).find(([, { choices }]) => choices)
    if (required.length > 0) {
      await expect(runCommand(command, {}, common, door)).rejects.toMatchObject({
        code: 'USAGE_INVALID',
      })
    }
    if (choosing !== undefined) {
      const given = Object.fromEntries(required.map(([name]) => [name, 'x']))
      const wrong = { ...given, [choosing[0]]: 'no-such-choice' }
      await expect(runCommand(command, wrong, common, door)).rejects.toMatchObject({
        code: 'USAGE_INVALID',
        facts: { argument: choosing[0] },
      })
    }
    const needed = Object.values(command.arguments).filter(({ isOptional }) => !isOptional)
    if (needed.length > 0) {
      expect((await parse([...command.path])).error).toContain('Missing required argument')
    }
  })
})

test('no two commands have the same path', () => {
  const paths = commands.map(({ path }) => path.join(' '))
  expect(paths.filter((path, i) => paths.indexOf(path) !== i)).toEqual([])
})

test('an unknown command gets a suggestion', async () => {
  expect((await parse(['dao', 'proposal-s'])).error).toContain('Did you mean proposals?')
  expect((await parse(['doa'])).error).toContain('Did you mean dao?')
})

test('assent help with a command prints what --help prints', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, '../../bin/assent.js'), ...args], {
      encoding: 'utf8',
    })
  const { status, stdout } = run('help', 'dao', 'vote')

  expect(status).toBe(0)
  expect(stdout).toBe(run('dao', 'vote', '--help').stdout)
  expect(stdout).toMatch(/^Usage: assent dao vote/)
})
