/**
 * `assent app instances`: lists the keys that were registered for an app, with what was proven and if they count now. Reads
 * events since `Instances` was deployed; sends nothing.
 */
import { z } from 'zod'

import { formatTime } from '../../chain/governance/format-time.ts'
import { listInstances, standings } from '../../chain/registries/instances.ts'
import type { instances as command } from '../app-instance.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import { requireDeployed } from '../input/deployed.ts'
import { address, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  app: address,
  instances: z.array(
    z.strictObject({
      key: address,
      way: z.enum(['quote', 'key-chain']).describe('how the key was proven'),
      standing: z.enum(standings).describe('live: it speaks for the app now'),
      provenAt: unixTime,
      endsAt: unixTime.describe(
        'when it stops to count at the latest, without another transaction',
      ),
    }),
  ),
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { publicClient, addresses, deployment, output } = session
  const app = await requireApp(session, args.app)
  const instances = requireDeployed(session, 'instances')
  const rootKeys = requireDeployed(session, 'rootKeys')
  const images = requireDeployed(session, 'images')
  const contracts = { instances, rootKeys, images, kmsAuth: addresses.kmsAuth }
  const fromBlock = BigInt(deployment.contracts.instances?.block ?? 0)
  const found = await listInstances(publicClient, contracts, app, { fromBlock, at: session.now })
  output.heading(`App ${app}`)
  if (found.length === 0) output.line('  no registered key')
  for (const { key, way, standing, endsAt } of found) {
    const until = standing === 'live' ? ` until ${formatTime(endsAt)}` : ''
    output.line(
      `  ${key}  ${standing}${until}, proven by ${way === 'quote' ? 'quote' : 'key chain'}`,
    )
  }
  return { app, instances: found }
}
