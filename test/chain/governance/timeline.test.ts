/** Stages of a proposal in each of its states. */
import stringWidth from 'string-width'
import { describe, expect, test } from 'vitest'

import type { ProposalState } from '../../../src/chain/governance/governance.ts'
import type { ProposalFacts } from '../../../src/chain/governance/proposals.ts'
import { type ProposalTimes, timelineOf } from '../../../src/chain/governance/timeline.ts'
import { blocksOf, legendOf, linesOf } from '../../../src/commands/output/draw-timeline.ts'

const delay = 300

/** Proposed at 1000, votes from 1060 to 1660. */
function facts(state: ProposalState, now: number, eta = 0): ProposalFacts {
  return {
    id: 1n,
    state,
    proposer: `0x${'11'.repeat(20)}`,
    calls: [],
    descriptionHash: '0x',
    votes: { for: 0n, against: 0n, abstain: 0n },
    quorum: undefined,
    voteStart: 1060,
    voteEnd: 1660,
    eta,
    earliestExecution: eta || 1660,
    notAfter: undefined,
    now,
  }
}

const proposed: ProposalTimes = { proposedAt: 1000, queuedAt: 0, executedAt: 0, canceledAt: 0 }

function stagesOf(state: ProposalFacts, times: Partial<ProposalTimes> = {}): string[] {
  const stages = timelineOf(state, { ...proposed, ...times }, delay)
  return stages.map(({ name, from, to, status }) => `${name} ${from ?? '?'}-${to ?? '?'} ${status}`)
}

describe('the timeline of a proposal', () => {
  test('shows that it waits for its vote', () => {
    expect(stagesOf(facts('pending', 1010))).toEqual([
      'review 1000-1060 current',
      'vote 1060-1660 upcoming',
      'queue 1660-? upcoming',
      'timelock ?-? upcoming',
      'execute ?-? upcoming',
    ])
  })

  test('shows the running vote and the success', () => {
    expect(stagesOf(facts('active', 1100)).slice(0, 3)).toEqual([
      'review 1000-1060 done',
      'vote 1060-1660 current',
      'queue 1660-? upcoming',
    ])
    expect(stagesOf(facts('succeeded', 1700))[2]).toBe('queue 1660-2593660 current')
  })

  test('shows that it is queued and when it can be executed', () => {
    const ofQueued = stagesOf(facts('queued', 2100, 2300), { queuedAt: 2000 })
    expect(ofQueued.slice(2)).toEqual([
      'queue 1660-2000 done',
      'timelock 2000-2300 current',
      'execute 2300-2594300 upcoming',
    ])
    expect(stagesOf(facts('queued', 2400, 2300), { queuedAt: 2000 })[4]).toBe(
      'execute 2300-2594300 current',
    )
  })

  test('shows the execution', () => {
    const ends = stagesOf(facts('executed', 9000), { queuedAt: 2000, executedAt: 2500 })
    expect(ends.slice(3)).toEqual(['timelock 2000-2300 done', 'execute 2300-2500 done'])
  })

  test('ends with the defeat or the cancellation', () => {
    expect(stagesOf(facts('defeated', 2000)).slice(1)).toEqual([
      'vote 1060-1660 done',
      'queue 1660-? skipped',
      'timelock 1660-? skipped',
      'execute 1660-? skipped',
    ])
    expect(stagesOf(facts('canceled', 2000), { canceledAt: 1200 }).slice(0, 3)).toEqual([
      'review 1000-1060 done',
      'vote 1060-1200 done',
      'queue 1200-? skipped',
    ])
    expect(stagesOf(facts('canceled', 2000), { canceledAt: 1700 }).slice(2)).toEqual([
      'queue 1660-1700 done',
      'timelock 1700-? skipped',
      'execute 1700-? skipped',
    ])
  })
})

test('the picture of a timeline fills past stages and leaves future stages empty', () => {
  const stages = timelineOf(facts('active', 1360), proposed, delay)

  const [review = '', vote = '', ...ahead] = blocksOf(stages, 1360, 48).split(' ')
  expect(review).toMatch(/^█{6,7}$/)
  expect(vote).toMatch(/^█+░+$/)
  expect(Math.abs(vote.lastIndexOf('█') + 1 - vote.length / 2)).toBeLessThanOrEqual(1)
  expect(ahead).toEqual(['░░░░░░', '░░░░░░', '░░░░░░'])
  expect(linesOf(stages)[1]).toContain(
    'current   1970-01-01 00:17:40 UTC – 1970-01-01 00:27:40 UTC',
  )
})

test.each([20, 38, 58, 78])('the picture of a timeline fits into %i columns', (width) => {
  const stages = timelineOf(facts('active', 1360), proposed, delay)
  const blocks = blocksOf(stages, 1360, width)

  expect(stringWidth(blocks)).toBeLessThanOrEqual(width)
  expect(blocks.split(' ')).toHaveLength(stages.length)
  expect(legendOf(stages)).toBe('review, vote, queue, timelock, execute; █ is past, ░ is to come')
})
