/** What waits for the connected account: votes, and steps of proposals that anyone can take. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'

import { assentGovernorAbi } from '../../../src/chain/abi.ts'
import { votesAt } from '../../../src/chain/governance/proposals.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { agreedClient } from '../data/agreed-client.ts'
import type { AgreedBlock } from '../data/chain.ts'
import { useSources } from '../data/context.tsx'
import { titleOf, useAgreedBlock, useProposalStates } from '../data/facts.ts'
import type { At, Row } from '../data/indexer.ts'
import { disconnect, useConnection, useWallets } from '../wallet/wallets.ts'
import { Origin } from './origin.tsx'
import { Hash, Panel, Pending } from './parts.tsx'
import { WalletChoice } from './wallet-choice.tsx'

interface Props {
  /** Proposals that are neither executed nor canceled. */
  readonly open: readonly Row<'proposals'>[]
  readonly at: At | undefined
}

/** Without a wallet nothing is shown. */
export function Waiting(props: Props) {
  const wallets = useWallets()
  const connection = useConnection()
  if (wallets.length === 0) return null
  return (
    <Panel
      title="Waits for you"
      aside={
        connection === undefined ? null : (
          <>
            <Hash value={connection.account} digits={4} />{' '}
            <button type="button" className="button" onClick={disconnect}>
              Disconnect
            </button>
          </>
        )
      }
    >
      {connection === undefined ? (
        <div className="body">
          <WalletChoice command="assent dao" />
        </div>
      ) : (
        <Steps key={connection.account} account={connection.account} {...props} />
      )}
    </Panel>
  )
}

function Steps({ account, open, at }: Props & { account: Hex }) {
  const { chain, settings } = useSources()
  const governor = settings.addresses.governor as Hex
  const block = useAgreedBlock(at)
  const states = useProposalStates(
    open.map(({ id }) => id),
    at,
  )
  const steps = useQuery({
    queryKey: ['waits', account, block.data?.header.hash, open.map(({ id }) => id)],
    queryFn: async () => {
      const agreed = block.data as AgreedBlock
      const client = agreedClient(chain, settings.chainId, agreed)
      const now = Number(agreed.header.timestamp)
      const canVote = async ({ id, voteStart }: Row<'proposals'>) => {
        const [weight, hasVoted] = await Promise.all([
          votesAt(client, governor, account, voteStart),
          client.readContract({
            address: governor,
            abi: assentGovernorAbi,
            functionName: 'hasVoted',
            args: [BigInt(id), account],
          }),
        ])
        return weight > 0n && !hasVoted
      }
      const found = await Promise.all(
        open.map(async (row) => {
          const state = states.data?.get(row.id)
          if (state === 'active') return (await canVote(row)) ? { row, step: 'Vote' } : undefined
          if (state === 'succeeded') return { row, step: 'Queue' }
          if (state === 'queued' && row.eta <= now) return { row, step: 'Execute' }
          return undefined
        }),
      )
      return found.filter((each) => each !== undefined)
    },
    enabled: block.data !== undefined && (open.length === 0 || states.data !== undefined),
    placeholderData: (previous) => previous,
    structuralSharing: false,
  })
  if (steps.data === undefined) {
    return <Pending error={block.error ?? states.error ?? steps.error} what="what waits for you" />
  }
  if (steps.data.length === 0) return <p className="none">Nothing waits for this account.</p>
  return (
    <div className="body">
      <ul className="upcoming">
        {steps.data.map(({ row, step }) => (
          <li key={row.id}>
            <span>
              {step} <Origin name="agreed" />
            </span>
            <Link to={`/proposals/${row.id}`}>{titleOf(row)}</Link>
          </li>
        ))}
      </ul>
    </div>
  )
}
