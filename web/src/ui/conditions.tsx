/** Conditions with their marks and next steps, in the words of `app why` and `host why`. */
import type { NextStep } from '../../../src/chain/why/describe-conditions.ts'
import type { HostConditionState } from '../../../src/chain/why/explain-host.ts'

const marks = { met: '✓', unmet: '✗', unknown: '?', 'not-checked': '–' } as const
const words = {
  met: 'met',
  unmet: 'not met',
  unknown: 'unknown',
  'not-checked': 'not checked',
} as const

/** A sign, and the word for a screen reader. */
export function Mark({ state }: { state: keyof typeof marks }) {
  return (
    <span className="mark">
      <span aria-hidden="true">{marks[state]}</span>
      <span className="hidden-text">{words[state]}: </span>
    </span>
  )
}

/** Who can do what about a condition. */
export function Next({ step: { by, command, note } }: { step: NextStep }) {
  return (
    <span className="next">
      {by}: {command === null ? null : <code>{command}</code>} {note}
    </span>
  )
}

/** Conditions of the host registry. */
export function Conditions({ conditions }: { conditions: readonly HostConditionState[] }) {
  return (
    <ul className="conditions">
      {conditions.map(({ condition, state, found, nextStep }) => (
        <li key={condition} data-state={state}>
          <Mark state={state} />
          <span>{found}</span>
          {nextStep === null ? null : <Next step={nextStep} />}
        </li>
      ))}
    </ul>
  )
}
