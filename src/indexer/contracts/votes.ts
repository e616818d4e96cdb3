/** Events of the votes token: balances, delegates, votes. */
import { assentVotesAbi } from '../../chain/abi.ts'
import type { Hex } from '../../lib/bytes.ts'
import { type Change, change, contractEvents, update } from '../change.ts'
import { newVoter } from './new-rows.ts'
import { nobody } from './owned.ts'

/** Adds to a balance. Minting and burning have no account on one side and change the supply. */
function move(token: Hex, account: Hex, amount: bigint): Change {
  if (account === nobody) {
    return update('contracts', token, ({ settings }) => ({
      settings: { ...settings, totalSupply: plus(settings.totalSupply ?? '0', -amount) },
    }))
  }
  return change('voters', account, (row = newVoter) => ({
    ...row,
    balance: plus(row.balance, amount),
  }))
}

const plus = (value: unknown, amount: bigint) => String(BigInt(String(value)) + amount)

export const votesEvents = contractEvents(assentVotesAbi, {
  Transfer: ({ contract, args: { from, to, value } }) => [
    move(contract, from, -value),
    move(contract, to, value),
  ],
  DelegateChanged: ({ args: { delegator, toDelegate } }) => [
    change('voters', delegator, (row = newVoter) => ({ ...row, delegate: toDelegate })),
  ],
  DelegateVotesChanged: ({ args: { delegate, newVotes } }) => [
    change('voters', delegate, (row = newVoter) => ({ ...row, votes: String(newVotes) })),
  ],
})
