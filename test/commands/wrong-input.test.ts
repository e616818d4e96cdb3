/**
 * Wrong input of every kind, for every command of the table: each answer is a typed error with a next step and the right exit
 * code, without a stack trace, and nothing is sent.
 */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { sendCall } from '../../src/chain/call.ts'
import { deployAndRegisterApp, deployedApp } from '../../src/chain/registries/registry.ts'
import { type Command, hasValue, kebabCase } from '../../src/commands/command.ts'
import { exitCodeOfError } from '../../src/commands/exit-code.ts'
import { frontDoorOptions } from '../../src/commands/front-door-options.ts'
import { loadCommands, singleCommands } from '../../src/commands/groups.ts'
import { type ErrorCode, errorCatalogue } from '../../src/errors/index.ts'
import { maxFileBytes } from '../../src/lib/files.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../anvil.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'
import { assent } from './run-command.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: wrong input of commands is SKIPPED. ***\n')

const commands = [...(await loadCommands()), ...singleCommands]
const named = (some: readonly Command[]) =>
  some.map((command) => [command.path.join(' '), command] as const)
const withChain = named(commands.filter(({ needs }) => ['chain', 'deployment'].includes(needs)))
const withDeployment = named(commands.filter(({ needs }) => needs === 'deployment'))
const sending = named(commands.filter(({ sends }) => sends !== undefined))

const secret = 'hunter2-of-a-keystore'
const nobody = `0x${'12'.repeat(20)}`
const nonsense = '???'

let fixture: TaskFixture
const folder = await mkdtemp(join(tmpdir(), 'assent-wrong-'))

/** Options that only other values of the arguments use. */
const unread = new Set(['simulate agent image'])

/** The words of its first example, with whole ids in place of shortened ones, and without what the shell reads. */
function exampleOf({ examples }: Command): string[] {
  const line = (examples[0] as string).replace(/ > \S+/, '')
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) =>
    inFolder((quoted ?? word ?? '').replace(/^0x…$/, nobody).replaceAll('…', '')),
  )
}

/** Paths of the example are in the folder of this test. */
function inFolder(word: string): string {
  return isFileName(word) || /^\.\/|^\.assent\//.test(word) ? join(folder, word) : word
}

const outputOptions = ['--out', '--draft']
const fileName = /(?:^|\/)(?:[\w.-]+\.(?:json|bin|yml|der)|\.env)$/

function isFileName(word: string): boolean {
  return fileName.test(word)
}

/** The places of the files that the example reads. */
function filesIn(words: readonly string[]): number[] {
  return words.flatMap((word, i) =>
    isFileName(word) && !outputOptions.includes(words[i - 1] ?? '') ? [i] : [],
  )
}

interface Refusal {
  readonly code: ErrorCode
  readonly exitCode: number
  readonly text: string
}

/** Runs a command that must fail, and checks what holds for each failure. */
async function refusal(command: Command, words: readonly string[]): Promise<Refusal> {
  const silent = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const isJson = command.isService !== true
  const { exitCode, text } = await assent(...words, ...(isJson ? ['--json'] : []))
  silent.mockRestore()
  const line = words.join(' ')
  expect(exitCode, `${line}\n${text}`).not.toBe(0)
  expect(text).not.toContain(secret)
  const { code, hint } = isJson ? JSON.parse(text).error : parseText(text)
  expect(Object.keys(errorCatalogue), line).toContain(code)
  expect(code, `${line}\n${text}`).not.toBe('UNEXPECTED')
  expect(hint, line).toMatch(/\w/)
  expect(exitCode, line).toBe(exitCodeOfError(code))
  return { code, exitCode, text }
}

/** `CODE message`, facts, and the next step in the last line. */
function parseText(text: string): { code: string; hint: string } {
  expect(text).not.toMatch(/\n {4}at /)
  return { code: /^[A-Z_]+/.exec(text)?.[0] ?? '', hint: text.split('\n').at(-1) ?? '' }
}

// commands that need the compiled contracts compile them if they changed
describe.skipIf(absent)('with wrong input,', { timeout: 300_000 }, () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
    vi.spyOn(process, 'cwd').mockReturnValue(folder)
    vi.stubEnv('ASSENT_KEYSTORE_PASSWORD', secret)
    const owner = fixture.account('voter')
    const create = deployAndRegisterApp(fixture.addresses.kmsAuth, { owner })
    const app = deployedApp(await sendCall(fixture.people.voter, create))
    await writeProfiles(app, owner)
    // no first byte of JSON, hexadecimal text, DER or MessagePack: another answer would depend on the run
    await writeFile(join(folder, 'binary.bin'), randomBytes(1_000).fill(0xff, 0, 1))
    const large = await open(join(folder, 'large.bin'), 'w')
    await large.truncate(maxFileBytes + 1)
    await large.close()
    await writeEmptyRecord()
  }, 120_000)
  afterAll(async () => {
    vi.restoreAllMocks()
    vi.unstubAllEnvs()
    await fixture?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function writeProfiles(app: string, owner: string): Promise<void> {
    const profile = (name: string, chainId: number) => `
[profiles.${name}]
rpcUrls = ["${fixture.url}"]
chainId = ${chainId}
deployments = "${fixture.folder}"
account = { node = "${owner}" }
names = { hello = "${app}" }
`
    const text = `profile = "local"\n${profile('local', 31_337)}${profile('other', 1)}`
    await writeFile(join(folder, 'assent.toml'), text)
  }

  /** A record whose contracts do not exist. */
  async function writeEmptyRecord(): Promise<void> {
    const record = await readFile(join(fixture.folder, '31337.json'), 'utf8')
    const moved = record.replaceAll(/"address": "0x[0-9a-f]{40}"/g, `"address": "${nobody}"`)
    await writeFile(join(folder, '31337.json'), moved)
  }

  describe.each(named(commands))('assent %s', (_, command) => {
    const example = exampleOf(command)

    test('refuses an unknown option and a missing argument', async () => {
      expect(await refusal(command, [...example, '--no-such-option'])).toMatchObject({
        code: 'USAGE_INVALID',
      })
      const needed = Object.values(command.arguments).some(({ isOptional }) => !isOptional)
      if (needed) expect(await refusal(command, command.path)).toMatchObject({ exitCode: 2 })
    })

    const isVariadic = Object.values(command.arguments).some((argument) => argument.isVariadic)
    test.runIf(!isVariadic)('refuses an argument too many', async () => {
      const places = Object.keys(command.arguments).map(() => 'x')

      expect(await refusal(command, [...command.path, ...places, 'x'])).toMatchObject({
        code: 'USAGE_INVALID',
      })
    })

    const options = { ...command.options, ...frontDoorOptions(command) }
    const free = [
      'title',
      'reason',
      'name',
      'out',
      'draft',
      'env',
      'osVersion',
      'sealed',
      'host',
      'socket',
      'deployments',
    ]
    const strict = Object.entries(options).filter(
      ([name, option]) =>
        hasValue(option) &&
        !free.includes(name) &&
        !unread.has(`${command.path.join(' ')} ${name}`),
    )
    test.runIf(strict.length > 0)('refuses malformed values of its options', async () => {
      for (const [name] of strict) {
        const words = withOption(example, `--${kebabCase(name)}`, nonsense)
        expect((await refusal(command, words)).exitCode, words.join(' ')).toBeLessThan(4)
      }
    })

    const files = filesIn(example)
    test.runIf(files.length > 0)(
      'refuses files that are absent, too large, or binary',
      async () => {
        const first = await refusal(command, example)
        expect(first.exitCode, first.text).toBeLessThan(3)
        for (const i of files) {
          const large = await refusal(command, example.with(i, join(folder, 'large.bin')))
          // others are refused before they read the file
          if (first.code === 'FILE_UNREADABLE') {
            expect(['INPUT_TOO_LARGE', 'FILE_UNREADABLE']).toContain(large.code)
          }
          expect(
            (await refusal(command, example.with(i, join(folder, 'binary.bin')))).exitCode,
          ).toBeLessThan(3)
        }
      },
    )
  })

  test.each(withChain)('assent %s refuses another chain than that of the profile', async (_, c) => {
    expect(await refusal(c, [...exampleOf(c), '--profile', 'other'])).toMatchObject({
      code: 'CHAIN_ID_WRONG',
      exitCode: 2,
    })
  })

  test.each(withChain)('assent %s says that no endpoint answers', async (_, c) => {
    expect(await refusal(c, [...exampleOf(c), '--rpc-url', 'http://127.0.0.1:1'])).toMatchObject({
      code: 'CHAIN_UNREACHABLE',
      exitCode: 3,
    })
  })

  test.each(withDeployment)(
    'assent %s needs a record, and contracts at its addresses',
    async (_, c) => {
      const from = (place: string) => refusal(c, [...exampleOf(c), '--deployments', place])

      expect(await from(join(folder, 'absent'))).toMatchObject({ code: 'FILE_UNREADABLE' })
      expect(await from(folder)).toMatchObject({ code: 'CONTRACT_MISSING', exitCode: 2 })
    },
  )

  test.each(sending)(
    'assent %s sends nothing without a terminal or a known account',
    async (_, c) => {
      const before = await fixture.anvil.client.getBlockNumber()

      await refusalOrDry(c, exampleOf(c))
      await refusalOrDry(c, [...exampleOf(c), '--from', nobody, '--yes'])

      expect(await fixture.anvil.client.getBlockNumber()).toBe(before)
    },
  )

  /** Some examples only print (`--dry-run`). */
  async function refusalOrDry(command: Command, words: readonly string[]): Promise<void> {
    const given = words.filter((word) => word !== '--dry-run')
    await refusal(command, given)
  }

  test('a command whose account has no money says so, and sends nothing', async () => {
    const poor = fixture.account('voter')
    await fixture.anvil.client.setBalance({ address: poor, value: 0n })
    const command = commands.find(({ path }) => path.join(' ') === 'dao delegate') as Command

    const { code, text } = await refusal(command, [
      'dao',
      'delegate',
      'self',
      '--from',
      poor,
      '--yes',
    ])

    expect(code).not.toBe('CHAIN_UNREACHABLE')
    expect(text).toMatch(/fund|money|balance|pay/i)
  })

  test('no command left a file behind', async () => {
    expect((await readdir(folder)).sort()).toEqual([
      // made if it does not exist, as its help says
      '.assent',
      '31337.json',
      'assent.toml',
      'binary.bin',
      'large.bin',
    ])
  })
})

/** The words with this value of the option, in place of another one. */
function withOption(words: readonly string[], option: string, value: string): string[] {
  const at = words.indexOf(option)
  return at < 0 ? [...words, option, value] : words.with(at + 1, value)
}

const program = join(import.meta.dirname, '../../bin/assent.js')

describe('the process', { timeout: 60_000 }, () => {
  test('ends quietly when the reader of its output stops', async () => {
    const script = `node ${program} completion bash | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', script])

    expect(stdout.trim()).toBe('0')
    expect(stderr).toBe('')
  })

  test('ends by the signal when it is interrupted, without output and files', async () => {
    const place = await mkdtemp(join(tmpdir(), 'assent-signal-'))
    const silent = await silentServer()
    const { port } = silent.address() as AddressInfo
    const args = [
      program,
      'dao',
      'review',
      'x',
      '--out',
      'review',
      '--rpc-url',
      `http://127.0.0.1:${port}`,
    ]
    const child = spawn(process.execPath, args, { cwd: place })
    let printed = ''
    child.stdout.on('data', (text) => (printed += text))
    child.stderr.on('data', (text) => (printed += text))
    await new Promise((resolve) => silent.once('connection', resolve))

    child.kill('SIGINT')
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.once('close', (...ended) => resolve(ended)),
    )

    expect([code, signal, printed]).toEqual([null, 'SIGINT', ''])
    expect(await readdir(place)).toEqual([])
    silent.close()
    await rm(place, { recursive: true })
  })
})

describe('a server that accepts connections and never answers', { timeout: 180_000 }, () => {
  let silent: Server
  let place: string
  let port: number

  beforeAll(async () => {
    silent = await silentServer()
    port = (silent.address() as AddressInfo).port
    place = await mkdtemp(join(tmpdir(), 'assent-silent-'))
    await writeFile(join(place, 'quote.bin'), createSimulator().createPlatform().quote())
    await writeFile(join(place, 'app-compose.json'), '{}')
  })
  afterAll(async () => {
    silent.close()
    await rm(place, { recursive: true, force: true })
  })

  test.concurrent.each([
    'dao proposals --rpc-url http://HOST',
    'deployment check --rpc-url http://HOST',
    'quote show HOST',
    'quote verify quote.bin --pccs http://HOST',
    'quote fetch-collateral quote.bin --pccs http://HOST',
    'relayer status --relayer-url http://HOST',
    'log list https://HOST',
    'simulate agent machine --port 0 --kms https://HOST',
    'app diff HOST app-compose.json',
  ])('ends assent %s with exit code 3 in bounded time', async (line) => {
    const words = line.replaceAll('HOST', `127.0.0.1:${port}`).split(' ')
    const limits = { cwd: place, timeout: 90_000 }
    const ended = await promisify(execFile)(process.execPath, [program, ...words, '--json'], limits)
      .then(() => ({ code: 0, killed: false, stdout: '' }))
      .catch((error) => error)

    expect(ended.killed, `${line} did not end`).toBe(false)
    expect(ended.code, `${line}\n${ended.stdout}`).toBe(3)
  })
})

/** Accepts connections and never answers. */
async function silentServer(): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
