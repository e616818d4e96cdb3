/** A deployment on anvil, over HTTP, and the tasks of Assent as a command line runs them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import type { Address } from 'viem'
import { vi } from 'vitest'
import type { Addresses } from '../../src/chain/deployments.ts'
import { type AttestationRules, deploy } from '../../src/deploy/deploy.ts'
import { AssentError, type ErrorCode } from '../../src/errors/index.ts'
import { type Anvil, startAnvil } from '../anvil.ts'
import { connect, daoTimes, hardhatArtifacts, type People, testRules } from '../chain/dao.ts'
import { liveEnvironment } from './environment.ts'

export interface Ran {
  /** What it printed for people, or the one JSON object. */
  readonly text: string
  // what tasks return has no common type; tests look at single fields
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly value: any
}

export interface TaskFixture {
  readonly anvil: Anvil
  readonly url: string
  readonly folder: string
  readonly addresses: Addresses
  readonly people: People
  readonly hre: HardhatRuntimeEnvironment
  account(part: keyof People): Address
  /** Runs a task that must succeed. */
  run(task: string, args?: Record<string, unknown>): Promise<Ran>
  /** The code with which a task refuses. */
  refused(task: string, args?: Record<string, unknown>): Promise<ErrorCode>
  /** Lets the chain's clock run on. */
  pass(seconds: number): Promise<void>
  /** Proposes by a task, votes, queues, executes; returns the proposal's id. */
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
  const world = tasksOn(hre, folder)
  const pass = passOn(anvil)
  const account = (part: keyof People) => people[part].walletClient.account.address
  await world.run('delegate', { to: 'self', from: account('voter'), yes: true })
  await pass(2)

  return {
    anvil,
    url: anvil.url,
    folder,
    addresses,
    people,
    hre,
    account,
    ...world,
    pass,
    async decide(task, args) {
      const { value } = await world.run(task, { from: account('voter'), yes: true, ...args })
      const proposal = String(value.proposalId)
      await pass(daoTimes.votingDelay + 1)
      await world.run('vote', { proposal, support: 'for', from: account('voter'), yes: true })
      await pass(daoTimes.votingPeriod + 1)
      await world.run('queue', { proposal, from: account('stranger'), yes: true })
      await pass(daoTimes.timelockDelay + 1)
      await world.run('execute', { proposal, from: account('stranger'), yes: true })
      return proposal
    },
    async stop() {
      await anvil.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function passOn({ client }: Anvil): (seconds: number) => Promise<void> {
  return async (seconds) => {
    await client.increaseTime({ seconds })
    await client.mine({ blocks: 1 })
  }
}

/** Runs tasks in this process; what they print is caught. */
export function tasksOn(
  hre: HardhatRuntimeEnvironment,
  folder: string,
): Pick<TaskFixture, 'run' | 'refused'> {
  const start = async (task: string, args: Record<string, unknown>) => {
    const lines: string[] = []
    const catching = (text: unknown = '') => {
      lines.push(String(text))
    }
    const log = vi.spyOn(console, 'log').mockImplementation(catching)
    const error = vi.spyOn(console, 'error').mockImplementation(catching)
    try {
      const result = await hre.tasks.getTask(['assent', task]).run({ deployments: folder, ...args })
      return { result, text: lines.join('\n') }
    } finally {
      log.mockRestore()
      error.mockRestore()
    }
  }
  return {
    async run(task, args = {}) {
      const { result, text } = await start(task, args)
      if (result.success) return { text, value: result.value }
      throw result.error
    },
    async refused(task, args = {}) {
      const { result, text } = await start(task, args)
      if (result.success) throw new Error(`It was not refused:\n${text}`)
      if (result.error instanceof AssentError && result.error.code !== 'UNEXPECTED') {
        return result.error.code
      }
      throw result.error
    },
  }
}
