/** A deployment on anvil over HTTP, and the commands of Assent as Hardhat tasks. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import type { Address } from 'viem'
import { vi } from 'vitest'
import { z } from 'zod'
import type { Addresses } from '../../src/chain/record/deployments.ts'
import { loadCommands } from '../../src/commands/groups.ts'
import { type CommandModule, toJson } from '../../src/commands/session/run-command.ts'
import { type AttestationRules, deploy } from '../../src/deploy/deploy.ts'
import { AssentError, type ErrorCode } from '../../src/errors/index.ts'
import { type Anvil, startAnvil } from '../anvil.ts'
import { connect, daoTimes, hardhatArtifacts, type People, testRules } from '../chain/dao.ts'
import { liveEnvironment } from './environment.ts'

/** The result of a task that succeeded. */
export interface TaskResult {
  /** The printed text. */
  readonly text: string
  // what tasks return has no common type; tests look at single fields
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly value: any
}

/** Runs tasks. */
export interface TaskRunner {
  /** Runs a task that must succeed. @throws the error of the task */
  run(task: string, args?: Record<string, unknown>): Promise<TaskResult>
  /** Runs a task that must fail, and returns the error's code. */
  refused(task: string, args?: Record<string, unknown>): Promise<ErrorCode>
  /** Runs a task that must fail, and returns its typed error. */
  failure(task: string, args?: Record<string, unknown>): Promise<AssentError>
}

/** A deployment with a DAO, whose voter has delegated its votes. */
export interface TaskFixture extends TaskRunner {
  readonly anvil: Anvil
  readonly url: string
  readonly folder: string
  readonly addresses: Addresses
  readonly people: People
  readonly hre: HardhatRuntimeEnvironment
  account(part: keyof People): Address
  /** Advances the chain's clock. */
  advanceTime(seconds: number): Promise<void>
  /** Proposes the calls of a task, votes, queues and executes. Returns the proposal id. */
  decide(task: string, args: Record<string, unknown>): Promise<string>
  stop(): Promise<void>
}

export async function createTaskFixture(attestation?: AttestationRules): Promise<TaskFixture> {
  const anvil = await startAnvil({ args: ['--chain-id', '31337'] })
  const folder = await mkdtemp(join(tmpdir(), 'assent-tasks-'))
  const hre = await liveEnvironment(anvil.url)
  const provider = (await hre.network.getOrCreate()).provider
  const people = await connect(provider as never)
  const addresses = await deploy({
    ...people.deployer,
    artifacts: hardhatArtifacts(hre),
    rules: testRules(people.voter, people.guardian),
    record: { folder, commit: 'c0ffee', compiler: { version: '0.8.35', settings: {} } },
    ...(attestation === undefined ? {} : { attestation }),
  })
  const runner = tasksOn(hre, folder)
  const advanceTime = clockOf(anvil)
  const account = (part: keyof People) => people[part].walletClient.account.address
  await runner.run('dao delegate', { to: 'self', from: account('voter'), yes: true })
  await advanceTime(2)

  return {
    anvil,
    url: anvil.url,
    folder,
    addresses,
    people,
    hre,
    account,
    ...runner,
    advanceTime,
    async decide(task, args) {
      const { value } = await runner.run(task, { from: account('voter'), yes: true, ...args })
      const proposal = String(value.proposals[0].id)
      await advanceTime(daoTimes.votingDelay + 1)
      await runner.run('dao vote', { proposal, support: 'for', from: account('voter'), yes: true })
      await advanceTime(daoTimes.votingPeriod + 1)
      await runner.run('dao queue', { proposal, from: account('stranger'), yes: true })
      await advanceTime(daoTimes.timelockDelay + 1)
      await runner.run('dao execute', { proposal, from: account('stranger'), yes: true })
      return proposal
    },
    async stop() {
      await anvil.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function clockOf({ client }: Anvil): (seconds: number) => Promise<void> {
  return async (seconds) => {
    await client.increaseTime({ seconds })
    await client.mine({ blocks: 1 })
  }
}

/** Runs tasks in this process and captures what they print. */
export function tasksOn(hre: HardhatRuntimeEnvironment, folder: string): TaskRunner {
  const start = async (task: string, args: Record<string, unknown>) => {
    const lines: string[] = []
    const capture = (text: unknown = '') => {
      lines.push(String(text))
    }
    const log = vi.spyOn(console, 'log').mockImplementation(capture)
    const error = vi.spyOn(console, 'error').mockImplementation(capture)
    try {
      const result = await hre.tasks
        .getTask(['assent', ...task.split(' ')])
        .run({ deployments: folder, ...args })
      return { result, text: lines.join('\n') }
    } finally {
      log.mockRestore()
      error.mockRestore()
    }
  }
  const failure = async (task: string, args: Record<string, unknown> = {}) => {
    const { result, text } = await start(task, args)
    if (result.success) throw new Error(`The task succeeded:\n${text}`)
    const { error } = result
    if (error instanceof AssentError && error.code !== 'UNEXPECTED') return error
    throw error
  }
  return {
    async run(task, args = {}) {
      const { result, text } = await start(task, args)
      if (!result.success) throw result.error
      await requireSchema(task, result.value)
      return { text, value: result.value }
    },
    async refused(task, args = {}) {
      return (await failure(task, args)).code
    },
    failure,
  }
}

/** What `--json` prints must be exactly what the command's schema says. */
async function requireSchema(path: string, value: unknown): Promise<void> {
  const command = (await loadCommands()).find((each) => each.path.join(' ') === path)
  const module = (await command?.load()) as CommandModule | undefined
  if (module?.schema === undefined) throw new Error(`The command ${path} has no schema.`)
  const parsed = module.schema.safeParse(JSON.parse(toJson(value)))
  if (!parsed.success)
    throw new Error(`${path}: ${z.prettifyError(parsed.error)}\n${toJson(value)}`)
}
