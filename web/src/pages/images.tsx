/** Base images and their measurement sets. */
import { escapeText } from '../../../src/lib/printable.ts'
import { useList, useSources } from '../data/context.tsx'
import { ApprovalList } from '../ui/approval-list.tsx'
import { Origin } from '../ui/origin.tsx'
import { Hash, Heading } from '../ui/parts.tsx'

export function Page() {
  const { settings } = useSources()
  const { kmsAuth, images } = settings.addresses
  const named = useList('images')
  const sets = useList('measurement-sets')
  const imageOf = (id: string) => named.data?.rows.find((row) => row.id === id)
  return (
    <>
      <Heading title="Images">
        <p>Base images that may boot, and the measurements that closed images need.</p>
      </Heading>
      <div className="grid">
        <ApprovalList
          title="Base images"
          span="half"
          registry={kmsAuth}
          kind="osImage"
          pathOf={(id) => `/images/${id}`}
          nameOf={(id) => escapeText(imageOf(id)?.name ?? '') || undefined}
          columns={[
            [
              'Measurements',
              ({ subject }) => (
                <>
                  {imageOf(subject)?.isClosed === true ? 'closed: approved sets only' : 'open: any'}{' '}
                  <Origin name="event" />
                </>
              ),
            ],
          ]}
        />
        <ApprovalList
          title="Measurement sets"
          span="half"
          registry={images}
          kind="measurements"
          columns={[
            [
              'Image',
              ({ subject }) => {
                const set = sets.data?.rows.find((row) => row.id === subject)
                if (set === undefined) return <span className="zero">–</span>
                const name = escapeText(imageOf(set.osImageHash)?.name ?? '') || undefined
                return (
                  <Hash value={set.osImageHash} name={name} to={`/images/${set.osImageHash}`} />
                )
              },
            ],
          ]}
        />
      </div>
    </>
  )
}
