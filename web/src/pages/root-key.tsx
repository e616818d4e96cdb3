/** One root key of the KMS: what vouches for it, and its keys. */
import { useParams } from '@tanstack/react-router'

import { onChainStatuses } from '../../../src/chain/governance/call-descriptions/kms.ts'
import { describeApproval } from '../../../src/chain/why/describe-approval.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { useHead, useList, useSources } from '../data/context.tsx'
import type { Row } from '../data/indexer.ts'
import { useApproval } from '../data/one-approval.ts'
import { OneApproval } from '../ui/one-approval.tsx'
import { Origin } from '../ui/origin.tsx'
import { Hash, Heading, Panel, Pending, provenApproval, Time } from '../ui/parts.tsx'
import { SubjectHistory } from '../ui/subject-history.tsx'

export function Page() {
  const { id: given } = useParams({ strict: false }) as { id: string }
  const id = given.toLowerCase() as Hex
  if (!/^0x[0-9a-f]{64}$/.test(id)) return <p role="alert">{given} is not the id of a root key.</p>
  return <RootKey key={id} id={id} />
}

function RootKey({ id }: { id: Hex }) {
  const { rootKeys } = useSources().settings.addresses
  const now = useHead().data?.time ?? 0
  const approval = useApproval(rootKeys, 'rootKey', id)
  const proofs = useList('root-keys')
  const proof = proofs.data?.rows.find((row) => row.id === id)
  if (rootKeys === undefined)
    return <p role="alert">This deployment has no registry of root keys.</p>
  return (
    <>
      <Heading title="Root key">
        <Hash value={id} digits={16} />
        <OneApproval approval={approval} now={now} />
      </Heading>
      <div className="grid">
        {proofs.data === undefined ? (
          <Panel title="Proof">
            <Pending error={proofs.error} what="the proof" />
          </Panel>
        ) : proof === undefined ? (
          <Panel title="Proof">
            <p className="none">Nobody has proven where this key was made.</p>
          </Panel>
        ) : (
          <>
            <Vouchers proof={proof} approval={approval} now={now} />
            <Facts proof={proof} now={now} />
          </>
        )}
        <SubjectHistory contract={rootKeys} subject={id} of="the registry of root keys" />
      </div>
    </>
  )
}

/** The measurement and the device are approved apart from the key. */
function Vouchers({
  proof,
  approval,
  now,
}: {
  proof: Row<'root-keys'>
  approval: ReturnType<typeof useApproval>
  now: number
}) {
  const { kmsAuth } = useSources().settings.addresses
  const measurement = useApproval(kmsAuth, 'kmsMeasurement', proof.mrAggregated)
  const device = useApproval(kmsAuth, 'kmsDevice', proof.deviceId)
  const steps = [
    [
      'The machine',
      <Hash key="id" value={proof.deviceId} to={`/machines/${proof.deviceId}`} />,
      device,
      'signs a quote of',
    ],
    [
      'The code of the KMS',
      <Hash key="id" value={proof.mrAggregated} />,
      measurement,
      'made, as the quote says,',
    ],
    ['This root key', <Hash key="id" value={proof.id} />, approval, ''],
  ] as const
  return (
    <Panel
      title="What vouches for what"
      span="span-6"
      note={
        <>
          each approval has its own mark; the links are from an event <Origin name="event" />
        </>
      }
    >
      <ol className="body vouch">
        {steps.map(([name, value, state, verb]) => (
          <li key={name}>
            <div className="vouch-box">
              <b>{name}</b>
              <span>
                {value} <OneApproval approval={state} now={now} />
              </span>
            </div>
            {verb === '' ? null : <span className="small soft vouch-verb">↓ {verb}</span>}
          </li>
        ))}
      </ol>
      {approval.row === undefined ? null : (
        <p className="body soft">
          {describeApproval(provenApproval(approval.row, approval.checked), now)}
        </p>
      )}
    </Panel>
  )
}

function Facts({ proof, now }: { proof: Row<'root-keys'>; now: number }) {
  return (
    <Panel title="Proof" span="span-6" aside={<Origin name="event" />}>
      <dl className="body facts">
        <dt>Proven</dt>
        <dd>
          <Time at={proof.provenAt} now={now} />
        </dd>
        <dt>TCB status</dt>
        <dd>{onChainStatuses[proof.status] ?? proof.status}</dd>
        <dt>Epoch</dt>
        <dd>{proof.epoch === 0 ? 'without' : proof.epoch}</dd>
        <dt>CA key (P-256)</dt>
        <dd>
          <Hash value={proof.caPublicKey} digits={12} />
        </dd>
        <dt>Signing key (secp256k1)</dt>
        <dd>
          <Hash value={proof.k256PublicKey} digits={12} />
        </dd>
      </dl>
    </Panel>
  )
}
