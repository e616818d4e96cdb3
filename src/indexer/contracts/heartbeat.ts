/** Events of the heartbeat contract. The event does not name the account, so only direct calls are attributed. */
import { heartbeatAbi } from '../../chain/abi.ts'
import { change, contractEvents } from '../change.ts'

export const heartbeatEvents = contractEvents(heartbeatAbi, {
  Beat: ({ args, sender, time }) =>
    sender === undefined
      ? []
      : [change('heartbeats', sender, () => ({ root: args.root, postedAt: time }))],
})
