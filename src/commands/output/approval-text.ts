/** Approvals in text output. */
import { type Approval, type State, stateAt } from '../../chain/approval.ts'
import { describeApproval } from '../../chain/why/describe-approval.ts'
import { colors as pc } from './colors.ts'

/** The state in green, yellow (pending) or red, if the output has colours. */
export function colorState(state: State): string {
  return colorOf(state)(state)
}

/** The approval as {@link describeApproval} describes it, with its state in colour. @param now unix seconds */
export function colorApproval(approval: Approval, now: number): string {
  const state = stateAt(approval, now)
  const [, word = '', rest = ''] =
    /^(never approved|\w+)(.*)$/.exec(describeApproval(approval, now)) ?? []
  return `${colorOf(state)(word)}${rest}`
}

function colorOf(state: State): (text: string) => string {
  if (state === 'active') return pc.green
  return state === 'pending' ? pc.yellow : pc.red
}
