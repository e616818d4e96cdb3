/** The state of a proposal, as the governor answers it. */
import type { ProposalState as Name } from '../../../src/chain/governance/governance.ts'
import { Origin } from './origin.tsx'

const tones: Record<Name, string> = {
  pending: 'wait',
  active: 'wait',
  canceled: 'quiet',
  defeated: 'quiet',
  succeeded: 'good',
  queued: 'wait',
  expired: 'quiet',
  executed: 'good',
}

export function ProposalState({ state, error }: { state: Name | undefined; error: Error | null }) {
  if (state === undefined) {
    return (
      <span className="hash">
        <span className="state" data-tone="unproven">
          {error === null ? 'reading …' : 'unknown'}
        </span>
        <Origin name="unchecked" details={error?.message ?? 'The endpoints are being asked.'} />
      </span>
    )
  }
  return (
    <span className="hash">
      <span className="state" data-tone={tones[state]}>
        {state}
      </span>
      <Origin name="agreed" />
    </span>
  )
}
