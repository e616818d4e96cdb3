/** The KMS: which nodes may serve, and the root keys with their proofs. */
import { onChainStatuses } from '../../../src/chain/governance/call-descriptions/kms.ts'
import { useList, useSources } from '../data/context.tsx'
import { ApprovalList } from '../ui/approval-list.tsx'
import { Origin } from '../ui/origin.tsx'
import { Day, Hash, Heading } from '../ui/parts.tsx'

export function Page() {
  const { settings } = useSources()
  const { kmsAuth, rootKeys } = settings.addresses
  const proofs = useList('root-keys')
  const proofOf = (id: string) => proofs.data?.rows.find((row) => row.id === id)
  return (
    <>
      <Heading title="KMS">
        <p>A node serves if its measurement, its device and its base image are approved.</p>
      </Heading>
      <div className="grid">
        <ApprovalList
          title="Root keys"
          registry={rootKeys}
          kind="rootKey"
          pathOf={(id) => `/kms/root-keys/${id}`}
          columns={[
            [
              'Made on',
              ({ subject }) => {
                const proof = proofOf(subject)
                if (proof === undefined) return <span className="zero">no proof</span>
                return (
                  <>
                    <Hash value={proof.deviceId} to={`/machines/${proof.deviceId}`} />{' '}
                    <Day at={proof.provenAt} />, TCB {onChainStatuses[proof.status] ?? proof.status}{' '}
                    <Origin name="event" />
                  </>
                )
              },
            ],
            [
              'Epoch',
              ({ subject }) => {
                const epoch = proofOf(subject)?.epoch ?? 0
                return epoch === 0 ? <span className="zero">none</span> : epoch
              },
            ],
          ]}
        />
        <ApprovalList
          title="KMS measurements"
          span="half"
          registry={kmsAuth}
          kind="kmsMeasurement"
        />
        <ApprovalList
          title="KMS devices"
          span="half"
          registry={kmsAuth}
          kind="kmsDevice"
          pathOf={(id) => `/machines/${id}`}
        />
      </div>
    </>
  )
}
