/**
 * `assent image approve`: approves a base image with its name and measurement sets, and closes it, in one proposal.
 * Reads the hash or the folder of the image, a quote for the registers, and the evidence.
 */
import { hash } from 'node:crypto'
import { join } from 'node:path'

import {
  type ApprovalEvidence,
  encodeEvidence,
  parseEvidence,
} from '../../chain/governance/approval-evidence.ts'
import {
  approveMeasurementSets,
  closeImages,
  setImageName,
} from '../../chain/governance/settings.ts'
import { approve } from '../../chain/registries/registry.ts'
import { teeVariants } from '../../chain/tee-variants.ts'
import { AssentError } from '../../errors/index.ts'
import { concatBytes, fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { parseQuote } from '../../quote/parse.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { approve as command } from '../image.ts'
import { readId, readJson, readText, readTime } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import { readVariant } from '../input/variants.ts'
import { bytes32 } from '../output/json.ts'
import { readEvidenceAt } from '../quote/read-evidence.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema({ osImageHash: bytes32 })

type ApproveArguments = ArgumentsOf<typeof command>

export async function run(args: ApproveArguments, session: Session) {
  const { osImageHash, checksums } = await readImage(args.image)
  const evidence =
    args.evidence === undefined ? undefined : parseEvidence(await readJson(args.evidence))
  const registers = await readRegisters(args)
  const times = {
    activeFrom: args.activeFrom === undefined ? 0 : readTime(args.activeFrom, '--active-from'),
    expiresAt: args.expiresAt === undefined ? 0 : readTime(args.expiresAt, '--expires-at'),
  }
  const needsRegistry = registers.length > 0 || args.name !== undefined || args.close
  const images = needsRegistry ? requireDeployed(session, 'images') : undefined
  const notAfter = await readNotAfter(args, session)
  const image = {
    kind: 'osImage',
    id: osImageHash,
    ...times,
    evidence: evidenceOfImage(evidence, checksums, osImageHash),
  } as const
  const sets = registers.map((each) => ({
    osImageHash,
    variant: readVariant(args.variant, '--variant'),
    registers: each,
    ...times,
    evidence:
      evidence === undefined
        ? ('0x' as const)
        : encodeEvidence(withoutManifest(evidence), 'measurements', osImageHash),
  }))
  const calls =
    images === undefined
      ? []
      : [
          ...(args.name === undefined ? [] : [setImageName(images, osImageHash, args.name)]),
          ...(sets.length === 0 ? [] : [approveMeasurementSets(images, sets, notAfter)]),
          ...(args.close ? [closeImages(images, [osImageHash])] : []),
        ]
  const approval = approve(session.addresses.kmsAuth, [image], notAfter)
  return { osImageHash, ...(await submitCalls(session, [approval, ...calls], args)) }
}

/** From a hash, or from the folder of the image, whose checksum file has this hash. */
async function readImage(text: string): Promise<{ osImageHash: Hex; checksums?: string }> {
  if (/^(?:0x)?[0-9a-fA-F]{64}$/.test(text)) return { osImageHash: readId(text, 'image') }
  const checksums = await readText(join(text, 'sha256sum.txt'))
  return { osImageHash: `0x${hash('sha256', checksums)}`, checksums }
}

/** The checksum file of the image is published with the evidence. */
function evidenceOfImage(
  evidence: ApprovalEvidence | undefined,
  checksums: string | undefined,
  osImageHash: Hex,
): Hex {
  if (evidence === undefined) return '0x'
  const manifest = evidence.manifest ?? checksums
  const document = manifest === undefined ? evidence : { ...evidence, manifest }
  return encodeEvidence(document, 'osImage', osImageHash)
}

function withoutManifest({ source, recipe }: ApprovalEvidence): ApprovalEvidence {
  return { source, recipe }
}

/** The measurement sets of both options, each once. */
async function readRegisters({ registers, like, variant }: ApproveArguments): Promise<Hex[]> {
  const given = (registers?.split(',') ?? []).map((text) => to0x(fromHex(text, '--registers')))
  const quoted = like === undefined ? [] : [await readQuotedRegisters(like, variant)]
  return [...new Set([...given, ...quoted])]
}

async function readQuotedRegisters(file: string, variant: string): Promise<Hex> {
  if (variant !== teeVariants[0]) {
    throw new AssentError('USAGE_INVALID', '--like reads TDX quotes: use --registers.', {
      facts: { variant },
    })
  }
  const { mrTd, rtmrs } = parseQuote((await readEvidenceAt(file)).quote).report
  return to0x(concatBytes(mrTd, rtmrs[0], rtmrs[1], rtmrs[2]))
}
