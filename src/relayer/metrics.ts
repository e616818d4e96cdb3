/** Prometheus metrics of the relayer. Times are unix seconds, amounts are ether. */
import { Counter, Gauge, Registry } from 'prom-client'

import type { AccountOutbox, OutboxAction } from './outbox/outbox.ts'
import { isLive } from './outbox/outbox.ts'
import type { Heads } from './outbox/submit.ts'
import type { Changes } from './outbox/transitions.ts'

/** All metrics with their registry. */
export type Metrics = ReturnType<typeof createMetrics>

/** Creates the metrics in a registry of their own, so that several relayers can run in one process. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `assent_relayer_${name}`, help, labelNames, registers })
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `assent_relayer_${name}`, help, labelNames, registers })
  return {
    registry,
    quotes: counter('quotes_total', 'Quotes by purpose and outcome of intake', [
      'purpose',
      'outcome',
    ]),
    intents: gauge('intents', 'Intents that are not final yet, by state', ['state']),
    oldestIntent: gauge('oldest_unfinal_intent_age_seconds', 'Age of the oldest unfinished intent'),
    lastSuccess: gauge('last_success_timestamp_seconds', 'Time of the last final intent', ['kind']),
    slots: gauge('slots', 'Nonces in use, by state', ['state']),
    nonceGap: gauge('nonce_gap', 'Nonces below the highest one in use that no node has accepted'),
    answers: counter('node_answers_total', 'Answers of nodes to sent transactions', ['answer']),
    spent: counter('spent_ether_total', 'Fees of transactions that became final'),
    balance: gauge('balance_ether', 'Balance of the account'),
    runway: gauge(
      'balance_runway_seconds',
      'How long the balance lasts at the rate of the last day',
    ),
    disagreements: counter(
      'endpoint_disagreements_total',
      'Requests that the RPC endpoints answered differently',
      ['question'],
    ),
    late: gauge(
      'endpoint_late',
      '1 while an RPC endpoint (number in rpcUrls, from 0) is too slow and not waited for',
      ['endpoint'],
    ),
    polls: counter('polls_total', 'Polls by outcome', ['outcome']),
    lastPoll: gauge('last_poll_timestamp_seconds', 'Time of the last poll that read the chain'),
    isLeader: gauge('lease_held', '1 while this replica holds the lease'),
    hosts: gauge('hosts', 'Hosts with a configured agent, by the state of their host proof', [
      'state',
    ]),
    nextExpiry: gauge('next_expiry_timestamp_seconds', 'End of the host proof that ends first'),
    renewals: counter('renewals_total', 'Renewals of host proofs by outcome', ['outcome']),
    demoted: gauge(
      'demoted_hosts',
      'Hosts that lose their TCB status under the early TCB evaluation number',
    ),
    collateralUntil: gauge(
      'collateral_until_timestamp_seconds',
      'End of the collateral in the on-chain store',
      ['document'],
    ),
    serviceFailures: counter(
      'collateral_service_failures_total',
      'Failures of PCS and PCCS by error code',
      ['service', 'code'],
    ),
    standardNumber: gauge('standard_evaluation_number', "Intel's standard TCB evaluation number"),
    nextStandard: gauge(
      'next_standard_timestamp_seconds',
      'When the standard TCB evaluation number changes',
    ),
    upkeepDue: gauge('upkeep_due', 'Upkeep tasks that are due, by task', ['task']),
    jobRuns: counter('job_runs_total', 'Runs of the background jobs by outcome', [
      'job_name',
      'outcome',
    ]),
    jobSuccess: gauge('job_last_success_timestamp_seconds', 'Time of the last successful run', [
      'job_name',
    ]),
  }
}

/** After each poll: nonce slots by state, and the nonce gap. */
export function recordAccount(metrics: Metrics, outbox: AccountOutbox, heads: Heads): void {
  const live = outbox.slots.filter(isLive)
  for (const state of ['reserved', 'signed', 'broadcast', 'mined'] as const) {
    const awaitingFinality = state === 'mined' ? outbox.awaitingFinality.length : 0
    metrics.slots.set(
      { state },
      awaitingFinality + live.filter((slot) => slot.state === state).length,
    )
  }
  const highest = live.at(-1)?.nonce ?? -1
  const untaken = live.filter(({ nonce, state }) => {
    return (
      nonce >= heads.latest.count && nonce < highest && (state === 'reserved' || state === 'signed')
    )
  })
  metrics.nonceGap.set(untaken.length)
}

/** After each performed action. `at` is unix seconds. */
export function recordDecision(
  metrics: Metrics,
  decision: OutboxAction,
  changes: Changes,
  at: number,
): void {
  if (decision.action === 'send') {
    const answer = changes.slots[0]?.attempts.find(
      ({ hash }) => hash === decision.attempt.hash,
    )?.answer
    metrics.answers.inc({ answer: answer ?? 'unknown' })
  }
  if (decision.action === 'settle') metrics.spent.inc(toEther(decision.receipt.cost))
  for (const { state, kind } of changes.intents) {
    if (state === 'final') metrics.lastSuccess.set({ kind }, at)
  }
}

/** After the lease is lost: another replica reports the slots now. */
export function forgetAccount(metrics: Metrics): void {
  for (const state of ['reserved', 'signed', 'broadcast', 'mined'] as const) {
    metrics.slots.set({ state }, 0)
  }
  metrics.nonceGap.set(0)
}

/** Wei as ether, for display only: a gauge is a double. */
export function toEther(wei: bigint): number {
  return Number(wei) / 1e18
}
