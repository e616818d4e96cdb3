/**
 * `assent dao approve`: approves ids of one kind. Reads the evidence document and the manifest if they are given,
 * stores the hash of the evidence on-chain, and submits one call.
 *
 * @throws USAGE_INVALID for `--manifest` without `--evidence`, EVIDENCE_INVALID for a document that does not fit the
 * id
 */
import { encodeEvidence, parseEvidence } from '../../chain/governance/approval-evidence.ts'
import { approve } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import { readRegistryOfKind } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { approve as command } from '../dao.ts'
import { readIdOf, readJson, readText, readTime } from '../input/arguments.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { evidence, manifest, activeFrom, expiresAt } = args
  const { kind, registry } = await readRegistryOfKind(session, args)
  const ids = args.ids.map((text) => readIdOf(kind, text))
  if (manifest !== undefined && evidence === undefined) {
    throw new AssentError(
      'USAGE_INVALID',
      '--manifest is a part of the evidence and needs --evidence.',
    )
  }
  const document = evidence === undefined ? undefined : await readEvidence(evidence, manifest)
  const terms = ids.map((id) => ({
    kind,
    id,
    ...(activeFrom ? { activeFrom: readTime(activeFrom, '--active-from') } : {}),
    ...(expiresAt ? { expiresAt: readTime(expiresAt, '--expires-at') } : {}),
    ...(document === undefined ? {} : { evidence: encodeEvidence(document, kind, id) }),
  }))
  const call = approve(registry, terms, await readNotAfter(args, session))
  return submitCalls(session, [call], args)
}

async function readEvidence(file: string, manifest: string | undefined) {
  const document = parseEvidence(await readJson(file))
  return manifest === undefined ? document : { ...document, manifest: await readText(manifest) }
}
