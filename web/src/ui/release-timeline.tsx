/** Releases as bars on one axis of time: the past, now, and what is set for later. The table below has the same in words. */
import type { State } from '../../../src/chain/approval.ts'
import { useWidth } from './use-width.ts'

interface Bar {
  readonly id: string
  readonly name: string
  readonly state: State | 'superseded'
  /** Without a proof the bar has no colour. */
  readonly isProven: boolean
  /** Unix seconds. */
  readonly from: number
  /** Unix seconds; undefined: no end. */
  readonly to: number | undefined
}

const fills: Record<Bar['state'], string> = {
  active: 'var(--good)',
  pending: 'var(--wait)',
  suspended: 'var(--bad)',
  revoked: 'var(--bad)',
  expired: 'var(--line-strong)',
  withdrawn: 'var(--line-strong)',
  superseded: 'var(--line-strong)',
  none: 'var(--line)',
}

const left = 84
const rowHeight = 22
const axis = 20

export function ReleaseTimeline({ releases, now }: { releases: readonly Bar[]; now: number }) {
  const [chart, width] = useWidth<SVGSVGElement>(900)
  if (releases.length === 0) return null
  const times = releases.flatMap(({ from, to }) => [from, ...(to === undefined ? [] : [to])])
  const day = 86_400
  const first = Math.min(now - day, ...times.filter((time) => time > 0))
  // far ends would squeeze everything else
  const last = Math.max(now + day, ...times.filter((time) => time < now + 400 * day))
  const margin = (last - first) * 0.04
  const x = (time: number) =>
    left + ((Math.min(time, last + margin) - first) / (last + margin - first)) * (width - left - 8)
  const height = releases.length * rowHeight + axis
  return (
    <svg
      ref={chart}
      className="chart"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={`Timeline: ${releases.map(({ name, state }) => `${name} ${state}`).join(', ')}`}
    >
      {releases.map(({ id, name, from, to, state, isProven }, index) => {
        const y = index * rowHeight
        const end = to === undefined ? last + margin : to
        return (
          <g key={id}>
            <text x="0" y={y + 14}>
              {name}
            </text>
            <rect
              x={x(from)}
              y={y + 5}
              width={Math.max(3, x(end) - x(from))}
              height="11"
              rx="3"
              fill={isProven ? fills[state] : 'var(--raised)'}
              stroke={isProven ? 'none' : 'var(--line-strong)'}
              strokeDasharray="3 3"
            >
              <title>{`${name}: ${state}${isProven ? '' : ', not proven'}`}</title>
            </rect>
          </g>
        )
      })}
      <line
        x1={x(now)}
        y1="0"
        x2={x(now)}
        y2={height - axis + 4}
        stroke="var(--text)"
        strokeDasharray="3 3"
      />
      <text x={x(now)} y={height - 4} textAnchor="middle">
        now
      </text>
      <text x={left} y={height - 4}>
        {new Date(first * 1000).toISOString().slice(0, 10)}
      </text>
      <text x={width - 8} y={height - 4} textAnchor="end">
        {new Date(last * 1000).toISOString().slice(0, 10)}
      </text>
    </svg>
  )
}
