/** The state of one approval, also if it is unknown or cannot be read. */
import type { useApproval } from '../data/one-approval.ts'
import { ApprovalState } from './parts.tsx'

export function OneApproval({
  approval: { row, checked, error, isRead },
  now,
}: {
  approval: ReturnType<typeof useApproval>
  now: number
}) {
  if (row !== undefined) return <ApprovalState row={row} checked={checked} now={now} />
  return (
    <span className="state" data-tone="unproven" title={error?.message}>
      {isRead ? 'the indexer knows no approval' : error === null ? 'being read' : 'cannot be read'}
    </span>
  )
}
