/**
 * `assent dao guardian show`: shows the guardian, the suspension time of each registry, and what is suspended now.
 * Warns if a registry has another guardian than the governor. Reads the chain only.
 */
import { type Address, zeroAddress } from 'viem'
import { z } from 'zod'
import { type Approval, stateAt } from '../../chain/approval.ts'
import { formatDuration } from '../../chain/governance/format-time.ts'
import { readDaoSettings } from '../../chain/governance/proposals.ts'
import { type Kind, kindName, kindsByName } from '../../chain/kinds.ts'
import { listApprovals, readGuardian } from '../../chain/registries/registry.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { ArgumentsOf } from '../command.ts'
import type { showGuardian } from '../dao.ts'
import { requireGovernor } from '../input/contracts.ts'
import { deployedRegistries } from '../input/deployed.ts'
import { colorApproval } from '../output/approval-text.ts'
import { address, approvalSchema, approvalToJson, bytes32, seconds } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  guardian: address.nullable(),
  registries: z.record(z.string(), z.strictObject({ guardian: address, suspension: seconds })),
  suspended: z.array(approvalSchema({ kind: z.enum([...kindsByName.keys()]), id: bytes32 })),
})

export async function run(_: ArgumentsOf<typeof showGuardian>, session: Session) {
  const { publicClient, addresses, output, now } = session
  const governor = await requireGovernor(session, undefined)
  const { guardian } = await readDaoSettings(publicClient, governor)
  output.heading(guardian === undefined ? 'There is no proposal guardian' : `Guardian ${guardian}`)
  output.line(
    '  can cancel any proposal except one that only sets guardians, and can suspend for a limited time:',
  )
  const registries: Record<string, { guardian: Address; suspension: number }> = {}
  for (const name of ['kmsAuth', 'images', 'hosts', 'rootKeys'] as const) {
    const registry = addresses[name]
    if (registry === undefined) continue
    const found = await readGuardian(publicClient, registry)
    const isSame = found.guardian.toLowerCase() === (guardian ?? zeroAddress).toLowerCase()
    const who = found.guardian === zeroAddress ? 'nobody' : found.guardian
    output.line(
      `  ${name.padEnd(10)} ${formatDuration(found.suspension)}${isSame ? '' : `, by ${who}`}`,
    )
    if (!isSame)
      output.warning(
        '    Not the proposal guardian. assent dao guardian set sets all guardians together.',
      )
    registries[name] = found
  }
  output.line()
  const suspended = await listSuspended(session)
  output.heading(`${suspended.length} suspended now`)
  for (const { kind, id, approval } of suspended) {
    output.line(`  ${kindName(kind)} ${id}  ${colorApproval(approval, now)}`)
  }
  return {
    guardian: guardian ?? null,
    registries,
    suspended: suspended.map(({ kind, id, approval }) => ({
      kind: kindName(kind),
      id,
      ...approvalToJson(approval, now),
    })),
  }
}

/** Suspensions in the DAO's registries; `assent app status` shows those of an app. */
async function listSuspended(session: Session) {
  const found: { kind: Kind; id: Hex; approval: Approval }[] = []
  for (const { kind, registry } of deployedRegistries(session)) {
    const listed = await listApprovals(session.publicClient, registry, kind)
    for (const { id, approval } of listed) {
      if (stateAt(approval, session.now) === 'suspended') found.push({ kind, id, approval })
    }
  }
  return found
}
