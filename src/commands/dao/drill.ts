/**
 * `assent dao drill`: tries the suspension and the revocation of an approval of each kind on a local copy of the
 * chain, and shows how long a bad approval would stay active. Sends nothing.
 */
import { z } from 'zod'

import { kindLabel } from '../../chain/governance/call-descriptions/types.ts'
import { formatDuration } from '../../chain/governance/format-time.ts'
import { type Kind, kinds } from '../../chain/kinds.ts'
import { type ApprovalDrill, runDrill } from '../../review/run-drill.ts'
import { readReviewContracts } from '../calls/review-contracts.ts'
import type { ArgumentsOf } from '../command.ts'
import type { drill } from '../dao.ts'
import { requireApp, requireGovernor } from '../input/contracts.ts'
import { address, bytes32, decimal, seconds, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'

const refused = z.strictObject({ refused: z.string() })

export const schema = z.strictObject({
  block: z.strictObject({ number: decimal, hash: bytes32, timestamp: unixTime }),
  approvals: z.array(
    z.strictObject({
      kind: z.enum(Object.keys(kinds) as [Kind, ...Kind[]]),
      registry: address,
      id: bytes32,
      suspension: z.union([
        z.strictObject({
          by: address,
          at: seconds.describe('seconds from the start of the emergency'),
          until: seconds.describe(
            'seconds from the start of the emergency; then the suspension ends',
          ),
        }),
        refused,
      ]),
      revocation: z.union([
        z.strictObject({
          by: z.enum(['vote', 'owner']),
          account: address,
          at: seconds.describe('seconds from the start of the emergency'),
        }),
        refused,
      ]),
      exposedSeconds: seconds
        .nullable()
        .describe(
          'seconds after the start of the emergency in which boots stay allowed; null: without end',
        ),
    }),
  ),
})

export async function run(args: ArgumentsOf<typeof drill>, session: Session) {
  const { publicClient, output } = session
  const governor = await requireGovernor(session, args.governor)
  const app =
    args.app === undefined && session.profile.app === undefined
      ? undefined
      : await requireApp(session, args.app)
  const contracts = await readReviewContracts(session, governor, app === undefined ? [] : [app])
  const found = await runDrill(publicClient, contracts, {
    ...(app === undefined ? {} : { app }),
    onProgress: (done, total) => output.progress(`Drill: ${done} of ${total} kinds`),
  })
  output.heading(
    'Emergency drill on a local copy, times from the start of the emergency; nothing was sent',
  )
  for (const drilled of found.approvals) {
    output.line(`${kindLabel(kinds[drilled.kind])} ${drilled.id}`)
    for (const line of linesOf(drilled)) output.line(`  ${line}`)
    if (isGap(drilled)) {
      output.warning('  The suspension ends before the vote can revoke: boots are allowed again.')
    }
  }
  if (found.approvals.length === 0) output.line('There is no active approval for a drill.')
  return found
}

function linesOf({ suspension, revocation, exposedSeconds }: ApprovalDrill): string[] {
  const suspend =
    'refused' in suspension
      ? `suspension: not possible (${suspension.refused})`
      : `suspension by ${suspension.by}: after ${formatDuration(suspension.at)}, until ${formatDuration(suspension.until)}`
  const revoke =
    'refused' in revocation
      ? `revocation: not possible (${revocation.refused})`
      : `revocation by ${revocation.by === 'vote' ? 'vote' : `the owner ${revocation.account}`}: after ${formatDuration(revocation.at)}`
  const exposed = exposedSeconds === null ? 'without end' : `for ${formatDuration(exposedSeconds)}`
  return [suspend, revoke, `boots stay allowed ${exposed}`]
}

function isGap({ suspension, revocation }: ApprovalDrill): boolean {
  return 'at' in suspension && 'at' in revocation && suspension.until < revocation.at
}
