/**
 * `assent deployment show`: lists the contracts of the deployment with address and block, and counts approvals by
 * kind and state. Reads the record and the chain.
 */
import { z } from 'zod'
import { stateAt } from '../../chain/approval.ts'
import { listProposals } from '../../chain/governance/proposals.ts'
import { kindName } from '../../chain/kinds.ts'
import { type Listed, listApprovals } from '../../chain/registries/registry.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import type { ArgumentsOf } from '../command.ts'
import type { show } from '../deployment.ts'
import { deployedRegistries } from '../input/deployed.ts'
import { address } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  chainId: z.int(),
  commit: z.string(),
  addresses: z.record(z.string(), address),
  approvals: z
    .record(z.string(), z.record(z.string(), z.int()))
    .describe('number of approvals by kind and state'),
  proposals: z.int(),
})

export async function run(_: ArgumentsOf<typeof show>, session: Session) {
  const { output, name, chainId, deployment, addresses, publicClient } = session
  output.heading(`Assent on ${name} (chain ${chainId}), commit ${deployment.commit}`)
  for (const [contract, { address: at, block }] of Object.entries(deployment.contracts)) {
    output.line(`  ${contract.padEnd(24)} ${at}  block ${block}`)
  }
  output.line()
  output.heading('Approvals, ever')
  const approvals: Record<string, Record<string, number>> = {}
  const registries = deployedRegistries(session)
  const lists = await mapWithConcurrency(registries, ({ kind, registry }) =>
    listApprovals(publicClient, registry, kind),
  )
  for (const [i, { kind }] of registries.entries()) {
    const counts = countStates(lists[i] ?? [], session.now)
    approvals[kindName(kind)] = counts
    const words = Object.entries(counts).map(([state, count]) => `${count} ${state}`)
    output.line(`  ${kindName(kind).padEnd(24)} ${words.join(', ') || 'none'}`)
  }
  const { total } = await listProposals(publicClient, addresses.governor, { offset: 0, limit: 0 })
  output.line(`  ${'proposals'.padEnd(24)} ${total}`)
  return { chainId, commit: deployment.commit, addresses, approvals, proposals: total }
}

function countStates(listed: readonly Listed[], now: number): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { approval } of listed) {
    const state = stateAt(approval, now)
    counts[state] = (counts[state] ?? 0) + 1
  }
  return counts
}
