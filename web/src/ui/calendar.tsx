/** Coming changes by day, as bars. The list beside it has the same in words. */
import type { Upcoming } from '../data/upcoming.ts'
import { useWidth } from './use-width.ts'

const height = 132
const bottom = 22
const day = 86_400

const colors: Record<Upcoming['kind'], string> = {
  approval: 'var(--accent)',
  'host proof': 'var(--good)',
  'TCB status': 'var(--bad)',
  vote: 'var(--wait)',
  suspension: 'var(--bad)',
}

export function Calendar({
  changes,
  now,
  days,
}: {
  changes: readonly Upcoming[]
  now: number
  days: number
}) {
  const [figure, width] = useWidth<HTMLElement>(720)
  const shown = changes.filter(({ at }) => at < now + days * day)
  const byDay = Map.groupBy(shown, ({ at }) => Math.floor((at - now) / day))
  const most = Math.max(4, ...[...byDay.values()].map(({ length }) => length))
  const step = width / days
  const unit = (height - bottom - 8) / most
  const ticks = (width < 480 ? [0, 30, 60] : [0, 15, 30, 45, 60, 75]).filter((each) => each < days)
  return (
    <figure ref={figure}>
      <svg
        className="chart"
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${shown.length} changes in the next ${days} days`}
      >
        <line
          x1="0"
          y1={height - bottom}
          x2={width}
          y2={height - bottom}
          stroke="var(--line-strong)"
        />
        {ticks.map((each) => (
          <g key={each}>
            <line
              x1={each * step + 0.5}
              y1="4"
              x2={each * step + 0.5}
              y2={height - bottom + 4}
              stroke="var(--line)"
            />
            <text x={each * step + 3} y={height - 6}>
              {new Date((now + each * day) * 1000).toISOString().slice(5, 10)}
            </text>
          </g>
        ))}
        {[...byDay].flatMap(([place, some]) =>
          some.map((change, index) => (
            <rect
              key={`${change.at} ${change.what}`}
              x={place * step + 1}
              y={height - bottom - (index + 1) * unit + 1}
              width={Math.min(14, Math.max(3, step - 2))}
              height={Math.max(1, unit - 1)}
              rx="1.5"
              fill={colors[change.kind]}
            >
              <title>{change.what}</title>
            </rect>
          )),
        )}
      </svg>
      <figcaption className="legend">
        {(Object.keys(colors) as Upcoming['kind'][])
          .filter((kind) => shown.some((change) => change.kind === kind))
          .map((kind) => (
            <span key={kind}>
              <i style={{ background: colors[kind] }} aria-hidden="true" /> {kind}
            </span>
          ))}
        {shown.length === 0 ? <span>Nothing happens in these days.</span> : null}
      </figcaption>
    </figure>
  )
}
