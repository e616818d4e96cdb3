/** One proposal: its calls in plain words, its times, its votes, and what happens when it is executed. */
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { formatUnits, keccak256, toBytes } from 'viem'

import type { Call } from '../../../src/chain/call.ts'
import { addressBook, describeCall } from '../../../src/chain/governance/describe-call.ts'
import { formatDeadline } from '../../../src/chain/governance/format-time.ts'
import { timelockDelay } from '../../../src/chain/governance/governance.ts'
import {
  nextStep,
  type ProposalFacts,
  readProposal,
} from '../../../src/chain/governance/proposals.ts'
import { timelineOf } from '../../../src/chain/governance/timeline.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { escapeLines } from '../../../src/lib/printable.ts'
import { agreedClient } from '../data/agreed-client.ts'
import { useHead, useSources } from '../data/context.tsx'
import { titleOf, useAgreedBlock } from '../data/facts.ts'
import type { HistoryEvent } from '../data/indexer.ts'
import { isOwnApp, readPinned } from '../data/pinned.ts'
import { Decide } from '../ui/decide.tsx'
import { Origin } from '../ui/origin.tsx'
import { Hash, Heading, Panel, PendingPage } from '../ui/parts.tsx'
import { ProposalState } from '../ui/proposal-state.tsx'
import { Review } from '../ui/review.tsx'
import { StageTimeline } from '../ui/stage-timeline.tsx'

export function Page() {
  const { id } = useParams({ strict: false }) as { id: string }
  if (!/^\d{1,78}$/.test(id)) return <p role="alert">{id} is not the number of a proposal.</p>
  return <Proposal key={id} id={id} />
}

/** What the page knows of the proposal: read from the governor, on which the endpoints agree. */
function useProposal(id: string) {
  const { chain, settings, indexer } = useSources()
  const head = useHead()
  const block = useAgreedBlock(head.data)
  const { addresses, chainId } = settings
  const governor = addresses.governor as Hex
  return useQuery({
    queryKey: ['proposal', id, block.data?.header.hash, block.error?.message],
    queryFn: async () => {
      if (block.data === undefined) throw block.error ?? new Error('There is no agreed block.')
      const client = agreedClient(chain, chainId, block.data)
      const facts = await readProposal(client, governor, BigInt(id))
      const [delay, row, history, book] = await Promise.all([
        timelockDelay(client, addresses.timelock as Hex),
        indexer.one('proposals', id),
        indexer.events(governor, id),
        bookOf(facts.calls),
      ])
      const told = row?.row.description
      // the text is only in an event; its hash is in storage
      const text =
        told !== undefined && keccak256(toBytes(told)) === facts.descriptionHash ? told : undefined
      return { facts, delay, text, book, history: history.rows, client, block: block.data }
    },
    enabled: block.data !== undefined || block.error !== null,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })

  /** Calls to an app are described only if the app has the code of Assent’s apps. */
  async function bookOf(calls: readonly Call[]) {
    const reader = (block.data as NonNullable<typeof block.data>).state.read()
    const known = new Set(Object.values(addresses).map((each) => each?.toLowerCase()))
    const others = [...new Set(calls.map(({ to }) => to.toLowerCase() as Hex))].filter(
      (to) => !known.has(to),
    )
    const pinned = await readPinned(reader, addresses.kmsAuth as Hex)
    const own = await Promise.all(others.map((to) => isOwnApp(reader, pinned, to)))
    return addressBook(addresses, { apps: others.filter((_, i) => own[i]) })
  }
}

function Proposal({ id }: { id: string }) {
  const found = useProposal(id)
  if (found.data === undefined)
    return <PendingPage title="Proposal" error={found.error} what="the proposal" />
  const { facts, delay, text, book, history, client, block } = found.data
  const stages = timelineOf(facts, timesOf(history), delay)
  return (
    <>
      <Heading title={text === undefined ? 'Proposal' : titleOf({ description: text, id })}>
        <ProposalState state={facts.state} error={null} />
        <p>{nextStep(facts)}</p>
      </Heading>
      <div className="grid">
        <Panel title="Stages" span="span-7">
          <div className="body">
            <StageTimeline stages={stages} now={facts.now} />
          </div>
        </Panel>
        <Votes facts={facts} />
        <Panel
          title="What it does"
          note={
            <>
              made from the calldata that the governor stores <Origin name="agreed" />
            </>
          }
        >
          <ol className="body calls">
            {facts.calls.map((call, index) => {
              const { contract, functionName, effects, irreversible } = describeCall(book, call)
              return (
                // biome-ignore lint/suspicious/noArrayIndexKey: the place of a call is its name
                <li key={index}>
                  <p>
                    <span className="soft">
                      {index + 1}. {contract ?? 'unknown contract'}
                      {functionName === undefined ? '' : `, ${functionName}`}
                    </span>{' '}
                    <Hash value={call.to} digits={4} />
                  </p>
                  {effects.map((effect) => (
                    <p key={effect} className="effect">
                      {effect}
                    </p>
                  ))}
                  {irreversible === undefined ? null : (
                    <p className="notice">Cannot be undone: {irreversible}</p>
                  )}
                  <details className="small soft">
                    <summary>Calldata</summary>
                    <code className="bytes">{call.data}</code>
                  </details>
                </li>
              )
            })}
          </ol>
        </Panel>
        <Decide facts={facts} block={block} />
        <Review
          facts={facts}
          text={text}
          book={book}
          client={client}
          blockNumber={block.header.number}
        />
        <Panel
          title="Text of the proposer"
          note={
            <>
              The hash of this text is on the chain; whether it is true, nothing checks.{' '}
              <Origin name="claim" />
            </>
          }
        >
          {text === undefined ? (
            <p className="none" role="alert">
              The indexer gave another text than the one that was proposed, or none.
            </p>
          ) : (
            <pre className="body foreign">{escapeLines(text)}</pre>
          )}
        </Panel>
      </div>
    </>
  )
}

/** Times that are only in events. */
function timesOf(events: readonly HistoryEvent[]) {
  const timeOf = (name: string) => events.find((event) => event.name === name)?.time ?? 0
  return {
    proposedAt: timeOf('ProposalCreated'),
    queuedAt: timeOf('ProposalQueued'),
    executedAt: timeOf('ProposalExecuted'),
    canceledAt: timeOf('ProposalCanceled'),
  }
}

const choices = [
  ['for', 'For', 'var(--good)'],
  ['against', 'Against', 'var(--bad)'],
  ['abstain', 'Abstain', 'var(--line-strong)'],
] as const

function Votes({ facts }: { facts: ProposalFacts }) {
  const { votes, quorum, voteEnd, now } = facts
  const total = votes.for + votes.against + votes.abstain
  const most = total > (quorum ?? 0n) ? total : (quorum ?? 1n)
  const share = (amount: bigint) => (most === 0n ? 0 : Number((amount * 1000n) / most) / 10)
  return (
    <Panel title="Votes" span="span-5" aside={<Origin name="agreed" />}>
      <div className="body bars">
        {choices.map(([name, label, color]) => (
          <div className="bar" key={name}>
            <span>{label}</span>
            <div className="track" aria-hidden="true">
              <div
                className="fill"
                style={{ width: `${share(votes[name])}%`, background: color }}
              />
            </div>
            <span>{formatUnits(votes[name], 18)}</span>
          </div>
        ))}
        <p className="small soft">
          {quorum === undefined
            ? 'The quorum is known when voting begins.'
            : `Quorum: ${formatUnits(quorum, 18)}, ${votes.for + votes.abstain >= quorum ? 'reached' : 'not reached'}.`}{' '}
          {voteEnd > now ? `Voting ends ${formatDeadline(voteEnd, now)}.` : ''}
        </p>
      </div>
    </Panel>
  )
}
