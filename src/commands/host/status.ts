/**
 * `assent host status`: shows one host by id, prefix or name: approval, proof, bond and admission. Without a host it is
 * `assent host list`. Reads the chain only.
 */
import { z } from 'zod'

import type { ArgumentsOf } from '../command.ts'
import { oneSchema, run as showApprovals } from '../dao/approvals.ts'
import type { status } from '../host.ts'
import type { Session } from '../session/session.ts'
import { run as listHosts, listSchema } from './list.ts'

export const schema = z.union([listSchema, oneSchema])

export async function run({ device, ...page }: ArgumentsOf<typeof status>, session: Session) {
  if (device === undefined) return listHosts(page, session)
  return showApprovals({ kind: 'host', id: device, app: undefined, ...page }, session)
}
