/** Vote, queue or execute with a wallet in the browser. What was sent is compared through the page's own endpoints. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useId, useState } from 'react'
import { formatUnits } from 'viem'

import { assentGovernorAbi } from '../../../src/chain/abi.ts'
import type { Call } from '../../../src/chain/call.ts'
import {
  executeCall,
  queueCall,
  type VoteChoice,
  voteCall,
} from '../../../src/chain/governance/governance.ts'
import { type ProposalFacts, votesAt } from '../../../src/chain/governance/proposals.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { agreedClient } from '../data/agreed-client.ts'
import type { AgreedBlock } from '../data/chain.ts'
import { useSources } from '../data/context.tsx'
import { follow, type Status } from '../wallet/follow.ts'
import {
  type Connection,
  describeWalletError,
  disconnect,
  send,
  useConnection,
} from '../wallet/wallets.ts'
import { Origin } from './origin.tsx'
import { Hash, Panel } from './parts.tsx'
import { WalletChoice } from './wallet-choice.tsx'

export function Decide({ facts, block }: { facts: ProposalFacts; block: AgreedBlock }) {
  const connection = useConnection()
  if (!['active', 'succeeded', 'queued'].includes(facts.state)) return null
  return (
    <Panel
      title="Decide"
      note={
        facts.state === 'active'
          ? 'a vote cannot be changed'
          : 'anyone can do this and pays the gas'
      }
    >
      <div className="body">
        {connection === undefined ? (
          <WalletChoice command="assent dao" />
        ) : (
          <Actions facts={facts} block={block} connection={connection} />
        )}
      </div>
    </Panel>
  )
}

function Actions({
  facts,
  block,
  connection,
}: {
  facts: ProposalFacts
  block: AgreedBlock
  connection: Connection
}) {
  const { chain, settings } = useSources()
  const governor = settings.addresses.governor as Hex
  const queries = useQueryClient()
  const [status, setStatus] = useState<Status>()
  const [reason, setReason] = useState('')
  const reasonId = useId()
  const { account } = connection
  const voter = useQuery({
    queryKey: ['voter', account, facts.id.toString(), block.header.hash],
    queryFn: async () => {
      const client = agreedClient(chain, settings.chainId, block)
      const [weight, hasVoted] = await Promise.all([
        votesAt(client, governor, account, facts.voteStart),
        client.readContract({
          address: governor,
          abi: assentGovernorAbi,
          functionName: 'hasVoted',
          args: [facts.id, account],
        }),
      ])
      return { weight, hasVoted }
    },
    enabled: facts.state === 'active',
    structuralSharing: false,
  })
  const run = async (call: Call) => {
    try {
      setStatus({ text: 'Confirm it in the wallet …', isProblem: false })
      const hash = await send(connection, settings.chainId, call)
      setStatus({ text: `Sent: ${hash}. Waiting for a block …`, isProblem: false })
      setStatus(await follow(chain, hash, account, call))
      await queries.invalidateQueries({ queryKey: ['head'] })
    } catch (error) {
      setStatus({ text: describeWalletError(error), isProblem: true })
    }
  }
  const vote = (choice: VoteChoice) => run(voteCall(governor, facts.id, choice, reason))
  const canVote = voter.data !== undefined && !voter.data.hasVoted && voter.data.weight > 0n
  return (
    <>
      <p>
        {connection.wallet.name}: <Hash value={account} />{' '}
        <button type="button" className="button" onClick={disconnect}>
          Disconnect
        </button>
      </p>
      {facts.state === 'active' ? (
        <>
          <p className="small soft">
            {voter.error !== null
              ? `Your votes cannot be read: ${voter.error.message}`
              : voter.data === undefined
                ? 'Reading your votes …'
                : voter.data.hasVoted
                  ? 'This account has voted.'
                  : `${formatUnits(voter.data.weight, 18)} votes when voting began `}
            {voter.data === undefined ? null : <Origin name="agreed" />}
          </p>
          <label className="field" htmlFor={reasonId}>
            Reason, which everybody can read (optional)
            <input
              id={reasonId}
              value={reason}
              maxLength={500}
              onChange={(event) => setReason(event.target.value)}
            />
          </label>
          <p className="buttons">
            {(['for', 'against', 'abstain'] as const).map((choice) => (
              <button
                type="button"
                className={choice === 'for' ? 'button main' : 'button'}
                key={choice}
                disabled={!canVote}
                onClick={() => vote(choice)}
              >
                Vote {choice}
              </button>
            ))}
          </p>
        </>
      ) : (
        <p className="buttons">
          {facts.state === 'succeeded' ? (
            <button
              type="button"
              className="button main"
              onClick={() => run(queueCall(governor, facts.id))}
            >
              Queue
            </button>
          ) : (
            <button
              type="button"
              className="button main"
              disabled={facts.eta > facts.now}
              onClick={() => run(executeCall(governor, facts.id))}
            >
              Execute
            </button>
          )}
        </p>
      )}
      {status === undefined ? null : (
        <p role={status.isProblem ? 'alert' : 'status'}>{status.text}</p>
      )}
    </>
  )
}
