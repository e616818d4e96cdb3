/** One base image: its approval, and the measurement sets that a closed image needs. */
import { useParams } from '@tanstack/react-router'
import { useMemo } from 'react'

import { formatVariants } from '../../../src/chain/governance/call-descriptions/kms.ts'
import { describeApproval } from '../../../src/chain/why/describe-approval.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { escapeText } from '../../../src/lib/printable.ts'
import { useApprovals } from '../data/approvals.ts'
import { useHead, useList, useSources } from '../data/context.tsx'
import { useNames } from '../data/facts.ts'
import { useApproval } from '../data/one-approval.ts'
import { OneApproval } from '../ui/one-approval.tsx'
import { Origin } from '../ui/origin.tsx'
import {
  ApprovalState,
  Hash,
  Heading,
  Panel,
  Pending,
  provenApproval,
  Table,
} from '../ui/parts.tsx'
import { SubjectHistory } from '../ui/subject-history.tsx'

export function Page() {
  const { id: given } = useParams({ strict: false }) as { id: string }
  const id = given.toLowerCase() as Hex
  if (!/^0x[0-9a-f]{64}$/.test(id)) return <p role="alert">{given} is not the hash of an image.</p>
  return <Image key={id} id={id} />
}

function Image({ id }: { id: Hex }) {
  const { settings } = useSources()
  const { kmsAuth, images } = settings.addresses
  const now = useHead().data?.time ?? 0
  const nameOf = useNames()
  const approval = useApproval(kmsAuth, 'osImage', id)
  const named = useList('images')
  const image = named.data?.rows.find((row) => row.id === id)
  return (
    <>
      <Heading title={nameOf(id) ?? (escapeText(image?.name ?? '') || 'Image')}>
        <Hash value={id} digits={16} />
        <OneApproval approval={approval} now={now} />
      </Heading>
      <div className="grid">
        <Panel title="Approval" span="span-5">
          <dl className="body facts">
            <dt>In words</dt>
            <dd>
              {approval.row === undefined
                ? approval.isRead
                  ? 'no approval is known'
                  : (approval.error?.message ?? 'being read')
                : describeApproval(provenApproval(approval.row, approval.checked), now)}
            </dd>
            <dt>Name</dt>
            <dd>
              {escapeText(image?.name ?? '') || 'not named'} <Origin name="event" />
            </dd>
            <dt>Measurements</dt>
            <dd>
              {named.data === undefined
                ? (named.error?.message ?? 'being read')
                : image?.isClosed === true
                  ? 'closed: only with an approved measurement set'
                  : 'open: any'}{' '}
              <Origin name="event" />
            </dd>
            <dt>Evidence</dt>
            <dd>{approval.row === undefined ? '–' : <Hash value={approval.row.evidence} />}</dd>
          </dl>
        </Panel>
        <Sets id={id} registry={images} now={now} />
        <SubjectHistory contract={kmsAuth as Hex} subject={id} of="KmsAuth" />
      </div>
    </>
  )
}

function Sets({ id, registry, now }: { id: Hex; registry: string | undefined; now: number }) {
  const sets = useList('measurement-sets')
  const { rows, checked, error, isRead } = useApprovals(registry, 'measurements')
  const own = useMemo(
    () => (sets.data?.rows ?? []).filter(({ osImageHash }) => osImageHash === id),
    [sets.data, id],
  )
  return (
    <Panel
      title="Measurement sets"
      span="span-7"
      note="hardware settings with which it was measured"
    >
      {sets.data === undefined || !isRead ? (
        <Pending error={sets.error ?? error} what="the measurement sets" />
      ) : own.length === 0 ? (
        <p className="none">The image has no measurement set.</p>
      ) : (
        <Table columns={['Id', 'Hardware', 'mr_system', 'State']}>
          {own.map((set) => {
            const row = rows.find(({ subject }) => subject === set.id)
            return (
              <tr key={set.id}>
                <td>
                  <Hash value={set.id} />
                </td>
                <td>{formatVariants(1 << set.variant)}</td>
                <td>
                  <Hash value={set.mrSystem} /> <Origin name="event" />
                </td>
                <td>
                  {row === undefined ? (
                    <span className="zero">never approved</span>
                  ) : (
                    <ApprovalState row={row} checked={checked} now={now} />
                  )}
                </td>
              </tr>
            )
          })}
        </Table>
      )}
    </Panel>
  )
}
