/** Stages of a proposal in each of its states. */
import { describe, expect, test } from 'vitest'

import type { ProposalState } from '../../src/chain/governance/governance.ts'
import type { ProposalFacts } from '../../src/chain/governance/proposals.ts'
import { type ProposalTimes, timelineOf } from '../../src/chain/governance/timeline.ts'
import { blocksOf, linesOf } from '../../tasks/draw-timeline.ts'

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
    now,
  }
}

const proposed: ProposalTimes = { proposedAt: 1000, queuedAt: 0, executedAt: 0, canceledAt: 0 }

function told(state: ProposalFacts, moments: Partial<ProposalTimes> = {}): string[] {
  const stages = timelineOf(state, { ...proposed, ...moments }, delay)
  return stages.map(({ name, from, to, is }) => `${name} ${from ?? '?'}-${to ?? '?'} ${is}`)
}

describe('a proposal', () => {
  test('that waits for its vote', () => {
    expect(told(facts('pending', 1010))).toEqual([
      'look 1000-1060 now',
      'vote 1060-1660 ahead',
      'queue 1660-? ahead',
      'wait ?-? ahead',
      'execute ?-? ahead',
    ])
  })

  test('that is voted on, and that has succeeded', () => {
    expect(told(facts('active', 1100)).slice(0, 3)).toEqual([
      'look 1000-1060 over',
      'vote 1060-1660 now',
      'queue 1660-? ahead',
    ])
    expect(told(facts('succeeded', 1700))[2]).toBe('queue 1660-2593660 now')
  })

  test('that is queued, and ready', () => {
    const ofQueued = told(facts('queued', 2100, 2300), { queuedAt: 2000 })
    expect(ofQueued.slice(2)).toEqual([
      'queue 1660-2000 over',
      'wait 2000-2300 now',
      'execute 2300-2594300 ahead',
    ])
    expect(told(facts('queued', 2400, 2300), { queuedAt: 2000 })[4]).toBe(
      'execute 2300-2594300 now',
    )
  })

  test('that was executed', () => {
    const ends = told(facts('executed', 9000), { queuedAt: 2000, executedAt: 2500 })
    expect(ends.slice(3)).toEqual(['wait 2000-2300 over', 'execute 2300-2500 over'])
  })

  test('that was defeated or cancelled has no stages after that', () => {
    expect(told(facts('defeated', 2000)).slice(1)).toEqual([
      'vote 1060-1660 over',
      'queue 1660-? never',
      'wait 1660-? never',
      'execute 1660-? never',
    ])
    expect(told(facts('canceled', 2000), { canceledAt: 1200 }).slice(0, 3)).toEqual([
      'look 1000-1060 over',
      'vote 1060-1200 over',
      'queue 1200-? never',
    ])
    expect(told(facts('canceled', 2000), { canceledAt: 1700 }).slice(2)).toEqual([
      'queue 1660-1700 over',
      'wait 1700-? never',
      'execute 1700-? never',
    ])
  })
})

test('the picture fills what is over and leaves what is ahead', () => {
  const stages = timelineOf(facts('active', 1360), proposed, delay)

  const [look = '', vote = '', ...ahead] = blocksOf(stages, 1360, 22).split(' ')
  expect(look).toBe('█'.repeat(6))
  expect(vote).toBe(`${'█'.repeat(10)}${'░'.repeat(10)}`)
  expect(ahead).toEqual(['░░░░░░', '░░░░░░', '░░░░░░'])
  expect(linesOf(stages)[1]).toContain('now    1970-01-01 00:17:40 UTC – 1970-01-01 00:27:40 UTC')
})
