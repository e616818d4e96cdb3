/** Bonds of operators for their hosts (`HostBonds`). */
import { type Address, erc20Abi, type PublicClient } from 'viem'

import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { hostBondsAbi } from './abi.ts'
import { type Call, callOf, toChainError } from './call.ts'

/** Bond of one holder for one host, in the token's smallest unit. */
export interface Bond {
  readonly bonded: bigint
  /** Amount that is unbonding: it does not count, can still be slashed, and is paid out from `unbondsAt` on. */
  readonly unbonding: bigint
  readonly unbondsAt: number
}

/**
 * Calls that deposit a bond; the first one is the token's approval, if it is needed.
 *
 * @throws INPUT_INVALID if the holder does not have the amount
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

export function unbond(bonds: Address, deviceId: Hex, amount: bigint): Call {
  return callOf(bonds, hostBondsAbi, 'unbond', [deviceId, amount], `take out ${amount}`)
}

export function withdrawBond(bonds: Address, deviceId: Hex): Call {
  return callOf(bonds, hostBondsAbi, 'withdraw', [deviceId], 'pay out what has left')
}

export interface Slash {
  readonly deviceId: Hex
  readonly holder: Address
  readonly amount: bigint
  readonly to: Address
  readonly evidence: Hex
}

export function slash(
  bonds: Address,
  { deviceId, holder, amount, to, evidence }: Slash,
  notAfter: number,
): Call {
  const args = [deviceId, holder, amount, to, evidence, notAfter] as const
  return callOf(bonds, hostBondsAbi, 'slash', args, `slash ${amount} of ${holder}`)
}

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
