/**
 * `assent image status`: shows one base image with its approval and measurement sets. Reads the chain only; warns if
 * the image is closed and has no active set.
 */
import { z } from 'zod'

import { stateAt } from '../../chain/approval.ts'
import { listMeasurementSets, readRegisteredImage } from '../../chain/registries/images.ts'
import { readApproval } from '../../chain/registries/registry.ts'
import { teeVariants } from '../../chain/tee-variants.ts'
import type { ArgumentsOf } from '../command.ts'
import type { status } from '../image.ts'
import { resolveImage } from '../input/names.ts'
import { colorApproval } from '../output/approval-text.ts'
import { approvalSchema, approvalToJson, bytes32 } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = approvalSchema({
  osImageHash: bytes32,
  name: z.string().describe('on the chain; empty: it has none'),
  isClosed: z.boolean().describe('apps boot only with an active measurement set'),
  measurementSets: z.array(approvalSchema({ id: bytes32, variant: z.string(), mrSystem: bytes32 })),
})

export async function run(args: ArgumentsOf<typeof status>, session: Session) {
  const { publicClient, addresses, output, now } = session
  const { kmsAuth, images } = addresses
  const osImageHash = await resolveImage(session, args.image)
  const approval = await readApproval(publicClient, kmsAuth, 'osImage', osImageHash)
  const { name, isClosed } =
    images === undefined
      ? { name: '', isClosed: false }
      : await readRegisteredImage(publicClient, images, osImageHash)
  const all = images === undefined ? [] : await listMeasurementSets(publicClient, images)
  const sets = all.filter((set) => set.osImageHash === osImageHash)
  const active = sets.filter((set) => stateAt(set.approval, now) === 'active').length

  output.heading(`Image ${osImageHash}${name === '' ? '' : `, ${name}`}`)
  output.line(`  ${colorApproval(approval, now)}`)
  if (!isClosed) output.line('  open: the KMS checks the measurements of its CVMs')
  else if (active > 0) output.line(`  closed: boots need one of ${active} measurement sets`)
  else output.warning('  closed, and no measurement set is active: no app boots with it')
  for (const set of sets) {
    output.line(`  ${set.id}  ${teeVariants[set.variant] ?? set.variant}`)
    output.line(`    ${colorApproval(set.approval, now)}; mr_system ${set.mrSystem}`)
  }
  return {
    osImageHash,
    name,
    isClosed,
    ...approvalToJson(approval, now),
    measurementSets: sets.map((set) => ({
      id: set.id,
      variant: teeVariants[set.variant] ?? String(set.variant),
      mrSystem: set.mrSystem,
      ...approvalToJson(set.approval, now),
    })),
  }
}
