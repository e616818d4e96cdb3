/** The review of a proposal, executed in this browser on a copy of the agreed state: the text of `assent dao review`. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { PublicClient } from 'viem'

import type { AddressBook } from '../../../src/chain/governance/describe-call.ts'
import type { ProposalFacts } from '../../../src/chain/governance/proposals.ts'
import { useSources } from '../data/context.tsx'
import { Origin } from './origin.tsx'
import { Panel } from './parts.tsx'

interface Props {
  readonly facts: ProposalFacts
  readonly text: string | undefined
  readonly book: AddressBook
  readonly client: PublicClient
  readonly blockNumber: bigint
}

const open = ['pending', 'active', 'succeeded', 'queued']

export function Review({ facts, text, book, client, blockNumber }: Props) {
  const { settings } = useSources()
  const { governor, timelock } = settings.addresses
  const [progress, setProgress] = useState('')
  const isOpen = open.includes(facts.state)
  const review = useQuery({
    queryKey: ['review', facts.id.toString(), facts.state],
    queryFn: async () => {
      const [{ reviewProposal, reviewDigest }, { describeReview }] = await Promise.all([
        import('../../../src/review/review-proposal.ts'),
        import('../../../src/review/describe-review.ts'),
      ])
      const contracts = {
        governor,
        timelock,
        addresses: settings.addresses,
        book,
        fromBlock: BigInt(settings.fromBlock),
      }
      const made = await reviewProposal(
        client,
        contracts,
        { facts, text: text ?? '' },
        {
          blockNumber,
          onProgress: (step, done, total) =>
            setProgress(total > 1 ? `${step}: ${done} of ${total}` : step),
        },
      )
      return { sections: describeReview(made), digest: reviewDigest(made) }
    },
    enabled: isOpen,
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })
  if (!isOpen) return null
  return (
    <Panel
      title="What happens when it is executed"
      note={
        <>
          executed in this browser on a copy of block {blockNumber.toString()}{' '}
          <Origin name="agreed" />
        </>
      }
    >
      {review.error !== null ? (
        <p className="none" role="alert">
          The review failed: {review.error.message}
        </p>
      ) : review.data === undefined ? (
        <p className="none" role="status">
          {progress === '' ? 'Loading the simulator …' : `${progress} …`}
        </p>
      ) : (
        <div className="body">
          {review.data.sections
            .filter(({ points, title }) => points.length > 0 && title !== 'Calls')
            .map(({ title, points }) => (
              <section key={title} className={title === 'Warnings' ? 'notice' : 'review-part'}>
                <h3>{title}</h3>
                <ul>
                  {points.map(([first, ...rest], index) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: the points never change their order
                    <li key={index}>
                      {first}
                      {rest.map((line) => (
                        <p key={line} className="small soft">
                          {line}
                        </p>
                      ))}
                    </li>
                  ))}
                </ul>
              </section>
            ))}
          <p className="small soft">
            SHA-256 of the review: <code>{review.data.digest}</code>
          </p>
        </div>
      )}
    </Panel>
  )
}
