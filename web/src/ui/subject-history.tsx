/** The events of one thing in a registry. */
import { useEvents } from '../data/context.tsx'
import { History } from './history.tsx'
import { Origin } from './origin.tsx'
import { Panel, Pending } from './parts.tsx'

/** @param of which events, such as `the host registry` */
export function SubjectHistory({
  contract,
  subject,
  of,
}: {
  contract: string
  subject?: string
  of: string
}) {
  const events = useEvents(contract, subject)
  return (
    <Panel
      title="History"
      note={
        <>
          events of {of} <Origin name="event" />
        </>
      }
    >
      {events.data === undefined ? (
        <Pending error={events.error} what="the history" />
      ) : (
        <History events={events.data.rows} />
      )}
    </Panel>
  )
}
