/** The stages of a proposal in their order, with their times. */
import { formatDeadline, formatDuration } from '../../../src/chain/governance/format-time.ts'
import type { Stage } from '../../../src/chain/governance/timeline.ts'

export function StageTimeline({ stages, now }: { stages: readonly Stage[]; now: number }) {
  return (
    <ol className="stages">
      {stages.map(({ name, from, to, status }) => (
        <li
          key={name}
          data-status={status}
          {...(status === 'current' ? { 'aria-current': 'step' as const } : {})}
        >
          <span className="stage-name">{name}</span>
          <span className="small soft">
            {status === 'skipped'
              ? 'skipped'
              : from === undefined
                ? 'after the stage before'
                : to === undefined
                  ? `since ${formatDeadline(from, now)}`
                  : status === 'done'
                    ? `took ${formatDuration(to - from)}`
                    : `${status === 'upcoming' ? `begins ${formatDeadline(from, now)}, ` : ''}ends ${formatDeadline(to, now)}`}
          </span>
        </li>
      ))}
    </ol>
  )
}
