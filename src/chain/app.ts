/** What the owner of an app decides beside its approvals, and what an app says of itself. */
import { type Address, keccak256, type PublicClient } from 'viem'

import { type Hex, to0x } from '../lib/bytes.ts'
import { appAbi } from './abi.ts'
import { type Call, callOf, toChainError } from './call.ts'
import { implementationOf } from './check/code.ts'

/** Approves the release whose manifest this is, byte for byte; the contract hashes it again. */
export function approveManifest(
  app: Address,
  composeHash: Hex,
  manifest: Uint8Array,
  times: { activeFrom?: number; expiresAt?: number; notAfter: number },
): Call {
  const { activeFrom = 0, expiresAt = 0, notAfter } = times
  const args = [composeHash, to0x(manifest), activeFrom, expiresAt, notAfter] as const
  return callOf(app, appAbi, 'approveManifest', args, `approve release ${composeHash}`)
}

/** @param from 0 = at once */
export function supersede(app: Address, oldest: number, from: number, nextEpoch: boolean): Call {
  const words = `end releases below number ${oldest}`
  return callOf(app, appAbi, 'supersede', [oldest, from, nextEpoch], words)
}

export function setNoticePeriod(app: Address, seconds: number): Call {
  return callOf(app, appAbi, 'setNoticePeriod', [seconds], `set a notice of ${seconds} s`)
}

/** Announces a call, so that it may be made when the notice is over. */
export function announce(app: Address, announced: Call): Call {
  return callOf(
    app,
    appAbi,
    'announce',
    [keccak256(announced.data)],
    `announce: ${announced.summary}`,
  )
}

export function setAllowAnyDevice(app: Address, allow: boolean): Call {
  return callOf(app, appAbi, 'setAllowAnyDevice', [allow], `any device: ${allow}`)
}

export function setRequireTcbUpToDate(app: Address, require: boolean): Call {
  return callOf(app, appAbi, 'setRequireTcbUpToDate', [require], `TCB up to date: ${require}`)
}

/** @param variants bit n is number n of contracts/types/TeeVariant.sol; bit 0, TDX, always */
export function setVariants(app: Address, variants: number): Call {
  return callOf(app, appAbi, 'setVariants', [variants], `variants ${variants}`)
}

export interface AppState {
  readonly owner: Address
  readonly pendingOwner: Address
  readonly guardian: Address
  readonly suspension: number
  readonly noticePeriod: number
  readonly allowAnyDevice: boolean
  readonly requireTcbUpToDate: boolean
  /** Bit n is number n of contracts/types/TeeVariant.sol. */
  readonly variants: number
  /** The code behind it. */
  readonly implementation: Address
}

/** @throws CALL_REVERTED if the contract is no App of ours, CHAIN_UNREACHABLE */
export async function readApp(client: PublicClient, app: Address): Promise<AppState> {
  try {
    const at = { address: app, abi: appAbi, blockNumber: await client.getBlockNumber() } as const
    const [owner, pendingOwner, guardian, suspension, noticePeriod, any, tcb, variants, code] =
      await Promise.all([
        client.readContract({ ...at, functionName: 'owner' }),
        client.readContract({ ...at, functionName: 'pendingOwner' }),
        client.readContract({ ...at, functionName: 'guardian' }),
        client.readContract({ ...at, functionName: 'suspension' }),
        client.readContract({ ...at, functionName: 'noticePeriod' }),
        client.readContract({ ...at, functionName: 'allowAnyDevice' }),
        client.readContract({ ...at, functionName: 'requireTcbUpToDate' }),
        client.readContract({ ...at, functionName: 'variants' }),
        implementationOf(client, app),
      ])
    return {
      owner,
      pendingOwner,
      guardian,
      suspension,
      noticePeriod,
      allowAnyDevice: any,
      requireTcbUpToDate: tcb,
      variants,
      implementation: code,
    }
  } catch (cause) {
    throw toChainError(cause, `read app ${app}`)
  }
}

/** The epochs whose keys a release may have: `write` for new data, `read` the oldest; 0 = none. */
export async function readEpochs(
  client: PublicClient,
  app: Address,
  composeHash: Hex,
): Promise<{ write: number; read: number }> {
  try {
    const [write, read] = await client.readContract({
      address: app,
      abi: appAbi,
      functionName: 'epochsOf',
      args: [composeHash],
    })
    return { write, read }
  } catch (cause) {
    throw toChainError(cause, `read the epochs of ${composeHash}`)
  }
}
