/**
 * `assent image approve-measurements`: approves a measurement set of a base image: MRTD and RTMR0 to RTMR2 on one
 * machine shape. Reads the registers from the arguments and submits one call to the image registry.
 */
import { encodeEvidence, parseEvidence } from '../../chain/governance/approval-evidence.ts'
import { approveMeasurementSets } from '../../chain/governance/settings.ts'
import { fromHex, to0x } from '../../lib/bytes.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { measurements } from '../image.ts'
import { readJson, readTime } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveImage } from '../input/names.ts'
import { readNotAfter } from '../input/not-after.ts'
import { readVariant } from '../input/variants.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof measurements>, session: Session) {
  const variant = readVariant(args.variant, 'variant')
  const osImageHash = await resolveImage(session, args.image)
  const evidence =
    args.evidence === undefined
      ? '0x'
      : encodeEvidence(parseEvidence(await readJson(args.evidence)), 'measurements', osImageHash)
  const set = {
    osImageHash,
    variant,
    registers: to0x(fromHex(args.registers, 'registers')),
    activeFrom: args.activeFrom ? readTime(args.activeFrom, '--active-from') : 0,
    expiresAt: args.expiresAt ? readTime(args.expiresAt, '--expires-at') : 0,
    evidence,
  } as const
  const registry = requireDeployed(session, 'images')
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [approveMeasurementSets(registry, [set], notAfter)], args)
}
