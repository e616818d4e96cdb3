/** An upgrade that is killed at any step, from its code to its force: one code, one proposal, one true record. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Address } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inputs } from '../../scripts/test-effort.ts'
import { checkDeployment } from '../../src/chain/check/check.ts'
import { implementationOf } from '../../src/chain/check/code.ts'
import { listProposals } from '../../src/chain/governance/proposals.ts'
import { readDeployment } from '../../src/chain/record/deployments.ts'
import { compileContracts } from '../../src/deploy/compile.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { findAnvil } from '../anvil.ts'
import { daoTimes } from '../chain/dao.ts'
import { attempt, countCreations } from '../chain/deploy/crash-at-step.ts'
import type { Order, StepKind } from '../chain/deploy/crash-process.ts'
import { createTaskFixture, type TaskFixture } from './fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: upgrades that are killed are SKIPPED. ***\n')

/** What must be the same, however often it was killed. */
interface Outcome {
  readonly creations: number
  readonly proposals: number
  readonly proposalState: unknown
  readonly inForce: string
  readonly record: unknown
}

/** One task of the way, and how the chain and the record were before and after it. */
interface Stage {
  readonly task: readonly [string, Record<string, unknown>]
  snapshot: Hex
  readonly folder: string
  readonly steps: readonly StepKind[]
  readonly outcome: Outcome
}

let fixture: TaskFixture
let scratch: string
const stages: Stage[] = []

describe.skipIf(absent)('an upgrade that is killed', () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
    scratch = await mkdtemp(join(tmpdir(), 'assent-killed-'))
    await compileContracts(fixture.hre)
    const voter = { from: fixture.account('voter'), yes: true }
    const upgrade = { contract: 'kmsAuth', code: 'KmsAuthV2', ...voter }
    const { value } = await keep(['deployment upgrade', upgrade])
    const proposal = String(value.proposals[0].id)
    await fixture.advanceTime(daoTimes.votingDelay + 1)
    await keep(['dao vote', { proposal, support: 'for', ...voter }])
    await fixture.advanceTime(daoTimes.votingPeriod + 1)
    await keep(['dao queue', { proposal, ...voter }])
    await fixture.advanceTime(daoTimes.timelockDelay + 1)
    await keep(['dao execute', { proposal, ...voter }])
  }, 400_000)

  afterAll(async () => {
    await fixture?.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  /** Runs a task undisturbed, and keeps what was before it. */
  async function keep(task: Stage['task']) {
    const folder = join(scratch, task[0])
    await cp(fixture.folder, folder, { recursive: true })
    const snapshot = await fixture.anvil.client.snapshot()
    const survived = await attempt(orderOf(task))
    if (survived === undefined) throw new Error('Nothing was to kill it.')
    const { steps, value } = survived
    stages.push({ task, snapshot, folder, steps, outcome: await outcome() })
    return { value }
  }

  function orderOf(task: Stage['task'], at = 0, when: Order['when'] = 'after'): Order {
    return { url: fixture.url, folder: fixture.folder, at, when, counts: 'all', task }
  }

  async function restore(stage: Stage): Promise<void> {
    const { client } = fixture.anvil
    await client.revert({ id: stage.snapshot })
    // a snapshot serves once
    stage.snapshot = await client.snapshot()
    await rm(fixture.folder, { recursive: true })
    await cp(stage.folder, fixture.folder, { recursive: true })
  }

  async function outcome(): Promise<Outcome> {
    const { publicClient } = fixture.people.stranger
    const { governor, kmsAuth } = fixture.addresses
    const { total, ids } = await listProposals(publicClient, governor, { offset: 0, limit: 1 })
    const [proposal] = ids
    const shown =
      proposal === undefined
        ? undefined
        : await fixture.run('dao proposal', { proposal: `${proposal}` })
    // fees of the day are in a transaction's hash; that it is this one's, the check says
    const text = await readFile(join(fixture.folder, '31337.json'), 'utf8')
    return {
      creations: await countCreations(fixture.anvil),
      proposals: total,
      proposalState: shown?.value.state,
      inForce: await implementationOf(publicClient, kmsAuth as Address),
      record: JSON.parse(text, (key, value) => (key === 'transaction' ? undefined : value)),
    }
  }

  /** What the record says is true of the chain, even while something waits to be resumed. */
  async function wrong(): Promise<string[]> {
    const deployment = await readDeployment(fixture.folder, 31337)
    const findings = await checkDeployment(fixture.people.stranger.publicClient, deployment)
    return findings.filter(({ holds }) => !holds).map(({ code }) => code)
  }

  /** Runs it again, as after a crash; "already done" is a valid answer. */
  async function resume([task, args]: Stage['task']): Promise<void> {
    await fixture.run(task, args).catch((error: { code?: string }) => {
      if (error.code !== 'PROPOSAL_STATE_WRONG') throw error
    })
  }

  /** Before anything, after each step, and in the middle of what can be torn. */
  function killsOf({ steps }: Stage): { at: number; when: Order['when'] }[] {
    const each = steps.flatMap((kind, i) => [
      ...(kind === 'write' ? [{ at: i + 1, when: 'torn' as const }] : []),
      { at: i + 1, when: 'after' as const },
    ])
    return [{ at: 1, when: 'before' }, ...each]
  }

  // each of them in a night; by day after the execution, the creation and the proposal were sent, and some more
  const stride = inputs(4, 1)

  test('by kill -9 at each step reaches the same result', async () => {
    expect(stages.map(({ steps }) => steps)).toEqual([
      ['write', 'rename', 'send', 'write', 'rename', 'send'],
      ['send'],
      ['send'],
      ['send', 'write', 'rename'],
    ])
    let number = 0
    // a chain goes back only
    for (const stage of stages.toReversed()) {
      for (const { at, when } of killsOf(stage)) {
        if (number++ % stride !== 1 % stride) continue
        await restore(stage)
        expect(await attempt(orderOf(stage.task, at, when))).toBeUndefined()
        const left = (await wrong()).filter((code) => code !== 'INCOMPLETE')
        // carried out, and not yet told
        const untold = left.length > 0 && stage.task[0] === 'dao execute' ? ['IMPLEMENTATION'] : []
        expect(left).toEqual(untold)

        await resume(stage.task)

        expect(await outcome(), `${stage.task[0]}, ${when} step ${at}`).toEqual(stage.outcome)
        expect(await wrong()).toEqual([])
      }
    }
  }, 1_200_000)

  test('repeatedly, once after each of its steps, reaches the same result', async () => {
    const [stage] = stages as [Stage]
    await restore(stage)
    let kills = 0
    // some steps on each time: what was begun before is found and not counted
    const at = inputs(6, 2)
    while ((await attempt(orderOf(stage.task, at, 'after'))) === undefined) kills++

    expect(kills).toBeGreaterThan(0)
    expect(await outcome()).toEqual(stage.outcome)
  }, 600_000)

  test('after its proposal creates one proposal, also with another deadline', async () => {
    const [stage] = stages as [Stage]
    await restore(stage)
    await fixture.run(...stage.task)
    await fixture.advanceTime(3)
    const { value, text } = await fixture.run(...stage.task)

    expect(text).toContain('has already proposed these calls')
    expect(value).toMatchObject({
      outcome: 'proposed',
      created: false,
      proposals: [{ isNew: false, state: 'pending' }],
    })
    expect(await outcome()).toEqual(stage.outcome)
  })
})
