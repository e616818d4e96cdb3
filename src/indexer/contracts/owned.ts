/** Events that every owned, upgradeable registry has, and those of approvals. */
import { keccak256 } from 'viem'

import type { approvalRegistryAbi } from '../../chain/abi.ts'
import { decodeApproval } from '../../chain/approval.ts'
import type { Hex } from '../../lib/bytes.ts'
import { type Change, change, type Handlers, type IndexedEvent, update } from '../change.ts'
import type { State } from '../database/tables.ts'

/** The address that means "nobody". */
export const nobody: Hex = `0x${'0'.repeat(40)}`
/** The word that means "nothing". */
export const nothing: Hex = `0x${'0'.repeat(64)}`

/** Changes a setting of the contract that emitted the event. */
export function setting(event: { readonly contract: Hex }, name: string, value: unknown): Change {
  return update('contracts', event.contract, (row) => ({
    settings: { ...row.settings, [name]: value },
  }))
}

/** Key of an approval. */
export function approvalId(registry: Hex, kind: number, id: Hex): string {
  return `${registry}:${kind}:${id}`
}

/** Owner and code of a contract. */
export const ownedHandlers = {
  OwnershipTransferred: (event: IndexedEvent<{ newOwner: Hex }>) => [
    update('contracts', event.contract, { owner: event.args.newOwner, pendingOwner: nobody }),
  ],
  OwnershipTransferStarted: (event: IndexedEvent<{ newOwner: Hex }>) => [
    update('contracts', event.contract, { pendingOwner: event.args.newOwner }),
  ],
  Upgraded: (event: IndexedEvent<{ implementation: Hex }>) => [
    update('contracts', event.contract, { implementation: event.args.implementation }),
  ],
}

/** The owner gave up upgrades. */
export const renounceableHandlers = {
  UpgradesRenounced: (event: { contract: Hex }) => [
    update('contracts', event.contract, { upgradesRenounced: true }),
  ],
}

/** Approvals and the guardian of one registry. @param kinds numbers of the kinds that the registry keeps */
export function registryHandlers(kinds: readonly number[]): Handlers<typeof approvalRegistryAbi> {
  return {
    ...ownedHandlers,
    GuardianSet: (event) => [
      update('contracts', event.contract, {
        guardian: event.args.guardian,
        suspension: event.args.suspension,
      }),
    ],
    ApprovalGiven: ({ contract, args }) => {
      if (!kinds.includes(args.kind)) return []
      const evidence = args.evidence === '0x' ? nothing : keccak256(args.evidence)
      const given = { ...toApproval(contract, args.kind, args.id, args.approval), evidence }
      return [change('approvals', approvalId(contract, args.kind, args.id), () => given)]
    },
    ApprovalChanged: ({ contract, args }) => {
      if (!kinds.includes(args.kind)) return []
      const changed = toApproval(contract, args.kind, args.id, args.approval)
      return [
        change('approvals', approvalId(contract, args.kind, args.id), (row) => ({
          ...changed,
          evidence: row?.evidence ?? nothing,
        })),
      ]
    },
  }
}

function toApproval(
  registry: Hex,
  kind: number,
  subject: Hex,
  word: bigint,
): Omit<State<'approvals'>, 'evidence'> {
  const { index, ...fields } = decodeApproval(word)
  const hex: Hex = `0x${word.toString(16).padStart(64, '0')}`
  return { registry, kind, subject, word: hex, ...fields, position: index }
}
