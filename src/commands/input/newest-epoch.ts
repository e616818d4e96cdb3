/** The newest key epoch of an app, as the chain counts it from 1. */
import { gatherRules } from '../../chain/proven/read-boot-facts.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Session } from '../session/session.ts'
import { openState } from './decided-state.ts'

export async function newestEpoch(session: Session, app: Hex): Promise<number> {
  const none = { after: undefined, at: undefined, pinnedCode: undefined, governor: undefined }
  const { reader, deployment } = await openState(session, none)
  const rules = await gatherRules(reader, deployment, app)
  // other apps have dstack's keys, which are those of the first epoch
  return (rules?.epochsOpened ?? 0) + 1
}
