/** Events of the timelock: operations and roles. */
import { timelockControllerAbi } from '../../chain/abi.ts'
import { change, contractEvents, update } from '../change.ts'
import { nothing, setting } from './owned.ts'

export const timelockEvents = contractEvents(timelockControllerAbi, {
  CallScheduled: ({ args, time }) => [
    change('operations', args.id, (row) => {
      const isFirst = args.index === 0n
      const call = { target: args.target, value: String(args.value), data: args.data }
      return {
        calls: isFirst || row === undefined ? [call] : [...row.calls, call],
        predecessor: args.predecessor,
        salt: isFirst ? nothing : (row?.salt ?? nothing),
        readyAt: time + Number(args.delay),
        executed: isFirst ? 0 : (row?.executed ?? 0),
      }
    }),
  ],
  CallSalt: ({ args }) => [update('operations', args.id, { salt: args.salt })],
  CallExecuted: ({ args }) => [
    update('operations', args.id, ({ executed }) => ({ executed: executed + 1 })),
  ],
  Cancelled: ({ args }) => [update('operations', args.id, { readyAt: 0 })],
  RoleGranted: ({ args: { role, account } }) => [
    change('roles', `${role}:${account}`, () => ({ role, account, isGranted: true })),
  ],
  RoleRevoked: ({ args: { role, account } }) => [
    change('roles', `${role}:${account}`, () => ({ role, account, isGranted: false })),
  ],
  MinDelayChange: (event) => [setting(event, 'minDelay', String(event.args.newDuration))],
})
