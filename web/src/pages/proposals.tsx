/** All proposals, newest first. */
import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'

import { useHead, useList } from '../data/context.tsx'
import { titleOf, useProposalStates } from '../data/facts.ts'
import { Origin } from '../ui/origin.tsx'
import { Day, Hash, Heading, Panel, PendingPage, Table } from '../ui/parts.tsx'
import { ProposalState } from '../ui/proposal-state.tsx'

/** States that are read at once: the newest ones. */
const maxStates = 100

export function Page() {
  const list = useList('proposals')
  const head = useHead()
  const rows = useMemo(
    () => [...(list.data?.rows ?? [])].sort((a, b) => b.voteStart - a.voteStart),
    [list.data],
  )
  const ids = useMemo(() => rows.slice(0, maxStates).map(({ id }) => id), [rows])
  const states = useProposalStates(ids, list.data?.at)
  if (list.data === undefined)
    return <PendingPage title="Proposals" error={list.error ?? head.error} what="the proposals" />
  return (
    <>
      <Heading title="Proposals">
        <p>Decisions of the DAO, newest first.</p>
      </Heading>
      <Panel title="All proposals" note={rows.length}>
        {rows.length === 0 ? (
          <p className="none">Nothing was proposed yet.</p>
        ) : (
          <Table columns={['Title', 'State', 'Vote from', 'until', 'Proposer']}>
            {rows.map((row) => (
              <tr key={row.id}>
                <td>
                  <Link to={`/proposals/${row.id}`}>{titleOf(row)}</Link> <Origin name="claim" />
                </td>
                <td>
                  <ProposalState state={states.data?.get(row.id)} error={states.error} />
                </td>
                <td>
                  <Day at={row.voteStart} />
                </td>
                <td>
                  <Day at={row.voteEnd} />
                </td>
                <td>
                  <Hash value={row.proposer} digits={4} /> <Origin name="event" />
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Panel>
    </>
  )
}
