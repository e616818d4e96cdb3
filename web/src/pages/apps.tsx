/** All registered apps. */
import { useMemo } from 'react'

import { kinds } from '../../../src/chain/approval.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { approvalClaims, countClaim } from '../data/checks.ts'
import { useChecks, useHead, useList, useSources } from '../data/context.tsx'
import { useNames } from '../data/facts.ts'
import { CheckOrigin } from '../ui/origin.tsx'
import {
  ApprovalState,
  Hash,
  Heading,
  Panel,
  PendingPage,
  provenApproval,
  Table,
  Time,
} from '../ui/parts.tsx'

export function Page() {
  const head = useHead()
  const { settings } = useSources()
  const kmsAuth = settings.addresses.kmsAuth as Hex
  const filters = useMemo(() => ({ registry: kmsAuth, kind: String(kinds.app) }), [kmsAuth])
  const approvals = useList('approvals', filters)
  const nameOf = useNames()
  const rows = useMemo(
    () => [...(approvals.data?.rows ?? [])].sort((a, b) => a.position - b.position),
    [approvals.data],
  )
  const checked = useChecks(
    'apps',
    approvals.data?.at,
    useMemo(
      () => [countClaim(kmsAuth, 'app', rows.length), ...approvalClaims(rows.slice(0, 500))],
      [rows, kmsAuth],
    ),
  )
  const now = head.data?.time ?? 0
  if (approvals.data === undefined)
    return <PendingPage title="Apps" error={approvals.error} what="the apps" />
  return (
    <>
      <Heading title="Apps">
        <p>
          {rows.length} registered <CheckOrigin id={`${kmsAuth}:${kinds.app}`} checked={checked} />
        </p>
      </Heading>
      <Panel title="Registered apps">
        {rows.length === 0 ? (
          <p className="none">No app is registered.</p>
        ) : (
          <Table columns={['App', 'Registration', 'Since', 'Until']}>
            {rows.map((row) => {
              const id = `0x${row.subject.slice(26)}`
              const approval = provenApproval(row, checked)
              return (
                <tr key={row.id}>
                  <td>
                    <Hash value={id} name={nameOf(id)} to={`/apps/${id}`} />
                  </td>
                  <td>
                    <ApprovalState row={row} checked={checked} now={now} />
                  </td>
                  <td>
                    <Time at={approval.activeFrom} />
                  </td>
                  <td>
                    {approval.expiresAt === 0 ? (
                      <span className="soft">no end</span>
                    ) : (
                      <Time at={approval.expiresAt} now={now} />
                    )}
                  </td>
                </tr>
              )
            })}
          </Table>
        )}
      </Panel>
    </>
  )
}
