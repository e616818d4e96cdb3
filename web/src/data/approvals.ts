/** Approvals of one kind in one registry, with their checks. */
import { useMemo } from 'react'

import { type Kind, kinds } from '../../../src/chain/approval.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { approvalClaims, countClaim } from './checks.ts'
import { useChecks, useList } from './context.tsx'

/** Rows that are checked at once. A longer list checks the rows that it shows. */
const maxChecked = 500

/** @param registry undefined: the deployment has no such registry */
export function useApprovals(registry: string | undefined, kind: Kind) {
  const filters = useMemo(
    () => ({ registry: registry ?? '0x', kind: String(kinds[kind]) }),
    [registry, kind],
  )
  const list = useList('approvals', filters)
  const rows = useMemo(
    () => [...(list.data?.rows ?? [])].sort((a, b) => b.position - a.position),
    [list.data],
  )
  const claims = useMemo(
    () =>
      registry === undefined || list.data === undefined
        ? []
        : [
            countClaim(registry as Hex, kind, rows.length),
            ...(rows.length <= maxChecked ? approvalClaims(rows) : []),
          ],
    [registry, kind, rows, list.data],
  )
  const checked = useChecks(`${registry} ${kind}`, list.data?.at, claims)
  return {
    rows,
    checked,
    error: list.error,
    isRead: list.data !== undefined || registry === undefined,
    countId: `${registry}:${kinds[kind]}`,
  }
}
