/** One machine: its approval, its host proof, every condition of its admission, and its history. */
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { useMemo } from 'react'

import { kinds } from '../../../src/chain/approval.ts'
import { onChainStatuses } from '../../../src/chain/governance/call-descriptions/kms.ts'
import { explainHost } from '../../../src/chain/why/explain-boot.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { approvalClaims, hostClaims, provenHost } from '../data/checks.ts'
import { useChecks, useHead, useSources } from '../data/context.tsx'
import { useAgreedBlock, useNames } from '../data/facts.ts'
import { readPinned } from '../data/pinned.ts'
import { Conditions } from '../ui/conditions.tsx'
import { CheckOrigin, Origin } from '../ui/origin.tsx'
import { ApprovalState, Hash, Heading, Panel, PendingPage, Time } from '../ui/parts.tsx'
import { SubjectHistory } from '../ui/subject-history.tsx'

export function Page() {
  const { id: given } = useParams({ strict: false }) as { id: string }
  const id = given.toLowerCase() as Hex
  if (!/^0x[0-9a-f]{64}$/.test(id)) return <p role="alert">{given} is not a device id.</p>
  return <Machine key={id} id={id} />
}

function Machine({ id }: { id: Hex }) {
  const { settings, indexer } = useSources()
  const hosts = settings.addresses.hosts as Hex
  const head = useHead()
  const now = head.data?.time ?? 0
  const nameOf = useNames()
  const found = useQuery({
    queryKey: ['machine', id, head.data?.block, head.data?.hash],
    queryFn: async () => {
      const [host, approval] = await Promise.all([
        indexer.one('hosts', id),
        indexer.one('approvals', `${hosts}:${kinds.host}:${id}`),
      ])
      return { host, approval }
    },
    enabled: head.data !== undefined && hosts !== undefined,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
  })
  const { host, approval } = found.data ?? {}
  const checkedHost = useChecks(
    `host ${id}`,
    host?.at,
    useMemo(() => (host === undefined ? [] : hostClaims(hosts, [host.row])), [host, hosts]),
  )
  const checkedApproval = useChecks(
    `approval of ${id}`,
    approval?.at,
    useMemo(() => (approval === undefined ? [] : approvalClaims([approval.row])), [approval]),
  )
  const block = useAgreedBlock(head.data)
  const admission = useQuery({
    queryKey: ['admission', id, block.data?.header.hash],
    queryFn: async () => {
      const { state, header } = block.data as NonNullable<typeof block.data>
      const reader = state.read()
      const pinned = await readPinned(reader, settings.addresses.kmsAuth as Hex)
      return explainHost(reader, pinned, id, header.timestamp)
    },
    enabled: block.data !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })
  if (found.data === undefined)
    return <PendingPage title="Machine" error={found.error ?? head.error} what="the machine" />
  const proof = host === undefined ? undefined : provenHost(hosts, host.row, checkedHost)
  return (
    <>
      <Heading title={nameOf(id) ?? 'Machine'}>
        <Hash value={id} digits={16} />
        {approval === undefined ? (
          <span className="state" data-tone="unproven">
            the indexer knows no approval
          </span>
        ) : (
          <ApprovalState row={approval.row} checked={checkedApproval} now={now} />
        )}
      </Heading>
      <div className="grid">
        <Panel title="Would it be admitted?" span="span-7" note="by the conditions of the registry">
          <div className="body">
            {admission.data === undefined ? (
              <p role="status">
                {(admission.error ?? block.error)?.message ?? 'Reading storage proofs …'}
              </p>
            ) : admission.data.length === 0 ? (
              <p>
                KmsAuth asks no host registry, so every machine is admitted. <Origin name="proof" />
              </p>
            ) : (
              <>
                <p className="answer" role="status">
                  <span
                    className="state"
                    data-tone={
                      admission.data.every(({ state }) => state === 'met') ? 'good' : 'bad'
                    }
                  >
                    {admission.data.every(({ state }) => state === 'met')
                      ? 'Admitted'
                      : 'Not admitted'}
                  </span>
                  <Origin name="proof" />
                </p>
                <Conditions conditions={admission.data} />
              </>
            )}
          </div>
        </Panel>
        <Panel
          title="Host proof"
          span="span-5"
          aside={proof === undefined ? null : <CheckOrigin id={id} checked={checkedHost} />}
        >
          {proof === undefined || (proof.attestedAt ?? 0) === 0 ? (
            <p className="none">This machine has no host proof.</p>
          ) : (
            <dl className="body facts">
              <dt>TCB status</dt>
              <dd>{onChainStatuses[proof.status ?? 0]}</dd>
              <dt>Proven</dt>
              <dd>
                <Time at={proof.attestedAt ?? 0} now={now} />
              </dd>
              <dt>Valid until</dt>
              <dd>
                <Time at={proof.expiresAt ?? 0} now={now} />
              </dd>
              <dt>Operator</dt>
              <dd>{proof.operator === null ? '–' : <Hash value={proof.operator} digits={10} />}</dd>
              <dt>Approval version</dt>
              <dd>{proof.approvalVersion}</dd>
              <dt>Platform (FMSPC)</dt>
              <dd>
                <code>{proof.fmspc}</code> <Origin name="event" />
              </dd>
              <dt>Quote</dt>
              <dd>
                {proof.quoteDigest === null ? (
                  '–'
                ) : (
                  <>
                    <Hash value={proof.quoteDigest} /> <Origin name="event" />{' '}
                    <Link to="/quote">verify a quote</Link>
                  </>
                )}
              </dd>
              <dt>First id</dt>
              <dd>
                {proof.firstId === null ? (
                  'this one'
                ) : (
                  <Hash value={proof.firstId} to={`/machines/${proof.firstId}`} />
                )}
              </dd>
            </dl>
          )}
        </Panel>
        <SubjectHistory contract={hosts} subject={id} of="the host registry" />
      </div>
    </>
  )
}
