/**
 * `assent host status`: shows hosts, or one host by id, prefix or name: approval, proof, bond and admission. Reads
 * the chain only.
 */
import type { ArgumentsOf } from '../command.ts'
import { schema as approvalsSchema, run as showApprovals } from '../dao/approvals.ts'
import type { status } from '../host.ts'
import type { Session } from '../session/session.ts'

export const schema = approvalsSchema

export async function run({ device, ...page }: ArgumentsOf<typeof status>, session: Session) {
  return showApprovals({ kind: 'host', id: device, app: undefined, ...page }, session)
}
