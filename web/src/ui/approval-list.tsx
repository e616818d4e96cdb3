/** A table of the approvals of one kind. */
import type { ReactNode } from 'react'

import type { Kind } from '../../../src/chain/approval.ts'
import { describeApproval } from '../../../src/chain/why/describe-approval.ts'
import { useApprovals } from '../data/approvals.ts'
import { useHead } from '../data/context.tsx'
import { useNames } from '../data/facts.ts'
import type { Row } from '../data/indexer.ts'
import { CheckOrigin } from './origin.tsx'
import { ApprovalState, Hash, Panel, Pending, provenApproval, Table } from './parts.tsx'

export function ApprovalList({
  title,
  registry,
  kind,
  nameOf,
  columns = [],
  span = '',
  pathOf,
}: {
  title: string
  registry: string | undefined
  kind: Kind
  /** A name that is better than the hash. */
  nameOf?: (id: string) => string | undefined
  /** More columns: their heading, and the cell of a row. */
  columns?: readonly (readonly [string, (row: Row<'approvals'>) => ReactNode])[]
  span?: string
  /** Path of the page of one id. */
  pathOf?: (id: string) => string
}) {
  const { rows, checked, error, isRead, countId } = useApprovals(registry, kind)
  const head = useHead()
  const ownName = useNames()
  const now = head.data?.time ?? 0
  return (
    <Panel
      title={title}
      span={span}
      note={
        registry === undefined ? (
          'This deployment has no such registry.'
        ) : (
          <>
            {rows.length} <CheckOrigin id={countId} checked={checked} />
          </>
        )
      }
    >
      {!isRead ? (
        <Pending error={error} what="the approvals" />
      ) : rows.length === 0 ? (
        <p className="none">Nothing was approved yet.</p>
      ) : (
        <Table columns={['Id', ...columns.map(([name]) => name), 'State', 'In words']}>
          {rows.map((row) => (
            <tr key={row.id}>
              <td>
                <Hash
                  value={row.subject}
                  name={nameOf?.(row.subject) ?? ownName(row.subject)}
                  to={pathOf?.(row.subject)}
                />
              </td>
              {columns.map(([name, cell]) => (
                <td key={name}>{cell(row)}</td>
              ))}
              <td>
                <ApprovalState row={row} checked={checked} now={now} />
              </td>
              <td className="soft words">{describeApproval(provenApproval(row, checked), now)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  )
}
