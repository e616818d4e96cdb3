/** Events of the bonds: each one has the whole bond after it. */
import { hostBondsAbi } from '../../chain/abi.ts'
import type { Hex } from '../../lib/bytes.ts'
import { type Change, change, contractEvents } from '../change.ts'
import { ownedHandlers, renounceableHandlers, setting } from './owned.ts'

interface BondArgs {
  readonly deviceId: Hex
  readonly holder: Hex
  readonly bond: { readonly bonded: bigint; readonly unbonding: bigint; readonly unbondsAt: number }
}

const setBond = ({ args: { deviceId, holder, bond } }: { args: BondArgs }): Change[] => [
  change('bonds', `${deviceId}:${holder}`, () => ({
    deviceId,
    holder,
    bonded: String(bond.bonded),
    unbonding: String(bond.unbonding),
    unbondsAt: bond.unbondsAt,
  })),
]

export const hostBondsEvents = contractEvents(hostBondsAbi, {
  ...ownedHandlers,
  ...renounceableHandlers,
  BondDeposited: setBond,
  UnbondingStarted: setBond,
  BondReturned: setBond,
  BondSlashed: setBond,
  BondTermsSet: (event) => [
    setting(event, 'minimum', String(event.args.minimum)),
    setting(event, 'unbondingTime', event.args.unbondingTime),
  ],
  SlashLimitSet: (event) => [
    setting(event, `slashLimit:${event.args.slasher}`, String(event.args.limit)),
  ],
  BondTokenSet: (event) => [setting(event, 'token', event.args.token)],
})
