/** Bonds of operators for their hosts (`HostBonds`). */
import { type Address, erc20Abi, type PublicClient } from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { hostBondsAbi } from '../abi.ts'
import { type Call, callOf, toChainError } from '../call.ts'

/** Bond of one holder for one host, in the token's smallest unit. */
export interface Bond {
  /** Amount that counts as bond. */
  readonly bonded: bigint
  /** Amount that is unbonding: it does not count, can still be slashed, and is paid out from `unbondsAt` on. */
  readonly unbonding: bigint
  /** Unix seconds; 0: nothing is unbonding. */
  readonly unbondsAt: number
}

/**
 * Calls with which a holder deposits a bond for a host, to be sent in their order. The first is the `approve` of the
 * ERC-20 token if the current allowance is too small.
 *
 * @param holder account that sends the calls; it should be the operator of the host, because only the operator's bond
 *   counts
 * @param deposit amount in the token's smallest unit
 * @throws INPUT_INVALID if the holder has less than the amount, CHAIN_UNREACHABLE, CALL_REVERTED
 * @example
 * for (const call of await depositBond(client, bonds, operator, { deviceId, amount: 10n ** 18n })) {
 *   await sendCall(clients, call)
 * }
 */
export async function depositBond(
  client: PublicClient,
  bonds: Address,
  holder: Address,
  deposit: { readonly deviceId: Hex; readonly amount: bigint },
): Promise<Call[]> {
  const { deviceId, amount } = deposit
  const call = callOf(bonds, hostBondsAbi, 'deposit', [deviceId, amount], `deposit ${amount}`)
  const { token } = await readBondTerms(client, bonds)
  const erc20 = { address: token, abi: erc20Abi } as const
  const [allowed, held] = await Promise.all([
    client.readContract({ ...erc20, functionName: 'allowance', args: [holder, bonds] }),
    client.readContract({ ...erc20, functionName: 'balanceOf', args: [holder] }),
  ]).catch((cause: unknown) => {
    throw toChainError(cause, 'read what the bonds may take')
  })
  if (held < amount) {
    throw new AssentError('INPUT_INVALID', `${holder} has too few of the bonds’ token.`, {
      facts: { token, holder, found: held.toString(), needed: amount.toString() },
    })
  }
  if (allowed >= amount) return [call]
  return [callOf(token, erc20Abi, 'approve', [bonds, amount], `let the bonds take ${amount}`), call]
}

/**
 * Lets a contract slash bonds for faults that it proves itself. The owner of `HostBonds` sends it.
 *
 * @param limit the most for one fault, in the token's smallest unit; 0: nothing any more
 * @param notAfter Unix seconds after which it must not be executed
 */
export function setSlashLimit(
  bonds: Address,
  slasher: Address,
  limit: bigint,
  notAfter: number,
): Call {
  const args = [slasher, limit, notAfter] as const
  return callOf(bonds, hostBondsAbi, 'setSlashLimit', args, `let ${slasher} slash up to ${limit}`)
}

/**
 * Starts to take an amount out of the sender's bond. From now on it does not count, but the DAO can still slash it. The
 * unbonding time starts again for everything that is unbonding.
 *
 * @param amount in the token's smallest unit
 * @example await sendCall(holder, unbond(hostBonds, deviceId, amount))
 */
export function unbond(bonds: Address, deviceId: Hex, amount: bigint): Call {
  return callOf(bonds, hostBondsAbi, 'unbond', [deviceId, amount], `take out ${amount}`)
}

/**
 * Pays the unbonding amount to the sender. The contract refuses it before `unbondsAt`.
 *
 * @example
 * const { unbondsAt } = await readBond(client, hostBonds, deviceId, holder)
 * if (now >= unbondsAt) await sendCall(clients, withdrawBond(hostBonds, deviceId))
 */
export function withdrawBond(bonds: Address, deviceId: Hex): Call {
  return callOf(bonds, hostBondsAbi, 'withdraw', [deviceId], 'pay out what has left')
}

/** An amount that the DAO takes from a bond, and the reason. */
export interface Slash {
  /** Host at which the fault happened. */
  readonly deviceId: Hex
  /** Account whose bond is slashed. */
  readonly holder: Address
  /** In the token's smallest unit. If the bond is smaller, all of it is taken. */
  readonly amount: bigint
  /** Account that receives the amount. */
  readonly to: Address
  /** Document that proves the fault. It is only in the event; no contract reads it. */
  readonly evidence: Hex
}

/**
 * Slashes a bond: first what is unbonding, then what counts. Only the owner of the bonds (the DAO) can send it.
 *
 * @param notAfter execution deadline, Unix seconds
 * @example slash(hostBonds, { deviceId, holder, amount, to: timelock, evidence }, notAfter)
 */
export function slash(
  bonds: Address,
  { deviceId, holder, amount, to, evidence }: Slash,
  notAfter: number,
): Call {
  const args = [deviceId, holder, amount, to, evidence, notAfter] as const
  return callOf(bonds, hostBondsAbi, 'slash', args, `slash ${amount} of ${holder}`)
}

/**
 * Sets the minimum bond and the unbonding time. Only the owner of the bonds can send it.
 *
 * The unbonding time should be longer than a DAO decision: otherwise a bond is paid out before the DAO can slash it.
 *
 * @param minimum minimum bond of a host, in the token's smallest unit
 * @param unbondingTime seconds, from an hour to a year
 * @param notAfter execution deadline, Unix seconds
 * @example setBondTerms(hostBonds, 10n ** 21n, 21 * 86_400, notAfter)
 */
export function setBondTerms(
  bonds: Address,
  minimum: bigint,
  unbondingTime: number,
  notAfter: number,
): Call {
  return callOf(
    bonds,
    hostBondsAbi,
    'setTerms',
    [minimum, unbondingTime, notAfter],
    'set the terms',
  )
}

/**
 * Reads the bond of a holder for a host. All fields are zero if nothing was deposited.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example const { bonded, unbonding } = await readBond(client, hostBonds, deviceId, holder)
 */
export async function readBond(
  client: PublicClient,
  bonds: Address,
  deviceId: Hex,
  holder: Address,
): Promise<Bond> {
  try {
    return await client.readContract({
      address: bonds,
      abi: hostBondsAbi,
      functionName: 'bondOf',
      args: [deviceId, holder],
    })
  } catch (cause) {
    throw toChainError(cause, `read the bond of ${holder}`)
  }
}

/**
 * Reads the token of all bonds, the minimum bond (smallest unit) and the unbonding time (seconds).
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example const { token, minimum, unbondingTime } = await readBondTerms(client, hostBonds)
 */
export async function readBondTerms(
  client: PublicClient,
  bonds: Address,
): Promise<{ token: Address; minimum: bigint; unbondingTime: number }> {
  const at = { address: bonds, abi: hostBondsAbi } as const
  try {
    const [token, minimum, unbondingTime] = await Promise.all([
      client.readContract({ ...at, functionName: 'token' }),
      client.readContract({ ...at, functionName: 'minimum' }),
      client.readContract({ ...at, functionName: 'unbondingTime' }),
    ])
    return { token, minimum, unbondingTime }
  } catch (cause) {
    throw toChainError(cause, 'read the terms of bonds')
  }
}
