/** Keeps the deployment record equal to the chain after an upgrade. */
import { recordUpgrades } from '../../deploy/upgrade.ts'
import type { Session } from '../session/session.ts'

/** Writes the current implementations into the deployment record. Returns the names of the changed ones. */
export async function updateRecord({
  publicClient,
  deployment,
  deployments,
  output,
}: Session): Promise<string[]> {
  const changed = await recordUpgrades(publicClient, deployment, deployments)
  for (const each of changed)
    output.line(`${each}: the deployment record has the current implementation now`)
  return changed
}
