import type { Address } from 'viem'
import type { Call } from '../../chain/call.ts'
import type { Kind } from '../../chain/kinds.ts'
import { registryOf } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { readKind } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { resolveId } from '../input/names.ts'
import type { OwnerArguments } from '../options.ts'
import type { Session } from '../session/session.ts'
import type { Submission } from './submission.ts'
import { submitCalls } from './submit-calls.ts'

/** Parts that the commands for existing approvals share. */
interface ApprovalArguments {
  readonly kind: string
  readonly ids: readonly string[]
  readonly app: string | undefined
}

/** Approvals of one kind in one registry, resolved from arguments. */
export interface NamedApprovals {
  readonly kind: Kind
  /** 32 bytes each; given by name, prefix or id. */
  readonly ids: readonly Hex[]
  readonly registry: Address
}

/** The registry of a kind; for releases and devices, the app is the registry. */
export async function readRegistryOfKind(
  session: Session,
  { kind: text, app }: Omit<ApprovalArguments, 'ids'>,
): Promise<Omit<NamedApprovals, 'ids'>> {
  const kind = readKind(text)
  const isOfApp = kind === 'release' || kind === 'device'
  if (!isOfApp && app !== undefined) {
    throw new AssentError('USAGE_INVALID', `Approvals of the kind ${text} belong to no app.`, {
      facts: { option: '--app', kind: text },
      hint: 'Omit --app, or name the kind release or device.',
    })
  }
  const registry = isOfApp
    ? await requireApp(session, app)
    : registryOf(session.addresses, kind, undefined)
  return { kind, registry }
}

/** The approvals that the arguments name, by id, first digits or name. */
export async function readApprovals(
  session: Session,
  args: ApprovalArguments,
): Promise<NamedApprovals> {
  const listed = await readRegistryOfKind(session, args)
  const ids: Hex[] = []
  for (const text of args.ids) ids.push(await resolveId(session, listed, text))
  return { ...listed, ids }
}

/** Makes one call on the approvals that the arguments name. */
export async function changeApprovals(
  session: Session,
  args: ApprovalArguments & OwnerArguments,
  change: (registry: Address, kind: Kind, ids: readonly Hex[]) => Call,
): Promise<Submission> {
  const { registry, kind, ids } = await readApprovals(session, args)
  return submitCalls(session, [change(registry, kind, ids)], args)
}
