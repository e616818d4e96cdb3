/** Events of a contract, newest first. */
import { kindOf } from '../data/checks.ts'
import type { HistoryEvent } from '../data/indexer.ts'
import { Hash, Time } from './parts.tsx'

const maxShown = 100

export function History({ events }: { events: readonly HistoryEvent[] }) {
  if (events.length === 0) return <p className="none">Nothing happened yet.</p>
  const newest = [...events].reverse().slice(0, maxShown)
  return (
    <div className="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Event</th>
            <th scope="col">Subject</th>
            <th scope="col">Transaction</th>
          </tr>
        </thead>
        <tbody>
          {newest.map(({ eventBlock, logIndex, time, name, kind, subject, transaction }) => (
            <tr key={`${eventBlock}-${logIndex}`}>
              <td>
                <Time at={time} />
              </td>
              <td>
                {name}
                {kind === null ? null : <span className="soft"> {kindOf(kind) ?? kind}</span>}
              </td>
              <td>
                {subject === null ? <span className="zero">–</span> : <Hash value={subject} />}
              </td>
              <td>
                <Hash value={transaction} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {events.length > maxShown ? (
        <p className="none">and {events.length - maxShown} older events</p>
      ) : null}
    </div>
  )
}
