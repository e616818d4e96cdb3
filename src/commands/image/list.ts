/**
 * `assent image list`: lists base images in the order of first approval, with name, state and the number of active
 * measurement sets. Reads the chain only.
 */
import { z } from 'zod'

import { stateAt } from '../../chain/approval.ts'
import { listMeasurementSets, readRegisteredImage } from '../../chain/registries/images.ts'
import { countApprovals, pageOfApprovals } from '../../chain/registries/registry.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import type { ArgumentsOf } from '../command.ts'
import type { list } from '../image.ts'
import { readCount } from '../input/arguments.ts'
import { colorApproval } from '../output/approval-text.ts'
import { approvalSchema, approvalToJson, bytes32 } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  total: z.int().nonnegative(),
  offset: z.int().nonnegative(),
  images: z.array(
    approvalSchema({
      osImageHash: bytes32,
      name: z.string().describe('on the chain; empty: it has none'),
      isClosed: z.boolean().describe('apps boot only with an active measurement set'),
      activeSets: z.int().nonnegative().describe('number of active measurement sets'),
    }),
  ),
})

export async function run(args: ArgumentsOf<typeof list>, session: Session) {
  const { publicClient, addresses, output, now } = session
  const { kmsAuth, images: registry } = addresses
  const offset = readCount(args.offset, '--offset')
  const limit = readCount(args.limit, '--limit')
  const total = await countApprovals(publicClient, kmsAuth, 'osImage')
  const listed = await pageOfApprovals(publicClient, kmsAuth, 'osImage', { offset, limit })
  const sets = registry === undefined ? [] : await listMeasurementSets(publicClient, registry)
  const images = await mapWithConcurrency(listed, async ({ id, approval }) => {
    const registered =
      registry === undefined
        ? { name: '', isClosed: false }
        : await readRegisteredImage(publicClient, registry, id)
    const active = sets.filter(
      (set) => set.osImageHash === id && stateAt(set.approval, now) === 'active',
    )
    return { osImageHash: id, ...registered, activeSets: active.length, approval }
  })
  output.heading(`${total} ${total === 1 ? 'image' : 'images'}, in order of first approval`)
  for (const { osImageHash, name, isClosed, activeSets, approval } of images) {
    const rule = isClosed ? `, closed: ${activeSets} active measurement sets` : ''
    output.line(`  ${osImageHash}  ${name || '(no name)'}`)
    output.line(`    ${colorApproval(approval, now)}${rule}`)
  }
  return {
    total,
    offset,
    images: images.map(({ approval, ...image }) => ({
      ...image,
      ...approvalToJson(approval, now),
    })),
  }
}
