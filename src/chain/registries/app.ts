/** Rules that the owner of an app sets in addition to approvals, and facts that an app states about itself. */
import { type Address, keccak256, type PublicClient } from 'viem'

import { type Hex, to0x } from '../../lib/bytes.ts'
import { appAbi } from '../abi.ts'
import { type Call, callOf, toChainError } from '../call.ts'
import { implementationOf } from '../check/code.ts'

/**
 * Approves a release of an app by its app-compose file. The file becomes the evidence of the approval.
 *
 * The contract hashes the bytes again, so they must be exactly the file whose SHA-256 is the compose hash. A file that
 * was formatted or parsed and written again has another hash.
 *
 * @param composeHash SHA-256 of `manifest`, 32 bytes
 * @param manifest raw bytes of the app-compose file
 * @param times Unix seconds; `activeFrom` 0 means as soon as the activation delay permits, `expiresAt` 0 means never,
 *   and the contract refuses the call after `notAfter`
 * @example
 * const call = approveManifest(app, composeHash, await readFile('app-compose.json'), { notAfter })
 * await sendCall(clients, call)
 */
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

/**
 * Ends all releases below a release number. The cost does not depend on how many releases end.
 *
 * @param oldest number of the oldest release that does not end; the first compose hash ever approved has number 1
 * @param from Unix seconds at which the others end; 0, or a time that has passed, means at once
 * @param nextEpoch opens a new key epoch. Until `from` (at most 90 days) the remaining releases can read the previous
 *   epoch too
 * @example supersede(app, 7, now + 86_400, false) // releases 1 to 6 end tomorrow
 */
export function supersede(app: Address, oldest: number, from: number, nextEpoch: boolean): Call {
  const words = `end releases below number ${oldest}`
  return callOf(app, appAbi, 'supersede', [oldest, from, nextEpoch], words)
}

/**
 * Sets the seconds between the announcement and the execution of a call that loosens the app's rules. The period can
 * only grow, to at most a year. It is also the activation delay of the app's releases and devices.
 *
 * @example setNoticePeriod(app, 2 * 86_400)
 */
export function setNoticePeriod(app: Address, seconds: number): Call {
  return callOf(app, appAbi, 'setNoticePeriod', [seconds], `set a notice of ${seconds} s`)
}

/**
 * Announces a call that loosens the rules of an app. The owner can execute it once, within the 30 days after the notice
 * period.
 *
 * @param announced exactly the call that will be sent: the contract stores the keccak-256 of its calldata
 * @example
 * const loosen = setAllowAnyDevice(app, true)
 * await sendCall(clients, announce(app, loosen))
 */
export function announce(app: Address, announced: Call): Call {
  return callOf(
    app,
    appAbi,
    'announce',
    [keccak256(announced.data)],
    `announce: ${announced.summary}`,
  )
}

/**
 * Sets whether the app may run on any host. `false` limits it to the hosts that the app approved as kind `device`. With
 * a notice period, `true` must be announced first.
 *
 * @example setAllowAnyDevice(app, false)
 */
export function setAllowAnyDevice(app: Address, allow: boolean): Call {
  return callOf(app, appAbi, 'setAllowAnyDevice', [allow], `any device: ${allow}`)
}

/**
 * Sets whether boots of the app need the TCB status `UpToDate`. With a notice period, `false` must be announced first.
 *
 * @example setRequireTcbUpToDate(app, true)
 */
export function setRequireTcbUpToDate(app: Address, require: boolean): Call {
  return callOf(app, appAbi, 'setRequireTcbUpToDate', [require], `TCB up to date: ${require}`)
}

/**
 * Sets the TEE variants in which the app may boot. With a notice period, an additional variant must be announced first.
 *
 * @param variants bit n is number n of contracts/types/TeeVariant.sol; bit 0, TDX, must be set
 * @example setVariants(app, 0b11) // TDX and GCP TDX
 */
export function setVariants(app: Address, variants: number): Call {
  return callOf(app, appAbi, 'setVariants', [variants], `variants ${variants}`)
}

/** The settings of an app contract at one block. Times in seconds. */
export interface AppState {
  /** Account or timelock that approves releases and devices and changes the rules. */
  readonly owner: Address
  /** Account to which the app is offered and that has not accepted yet; the zero address if the app is not offered. */
  readonly pendingOwner: Address
  /** Account that can suspend approvals of the app; the zero address if the owner set no guardian. */
  readonly guardian: Address
  /** Seconds that a suspension lasts. */
  readonly suspension: number
  /** Seconds between an announcement and its execution; 0: no announcement is needed. */
  readonly noticePeriod: number
  /** Whether the app may run on hosts that it did not approve as kind `device`. */
  readonly allowAnyDevice: boolean
  /** Whether boots need the TCB status `UpToDate`. */
  readonly requireTcbUpToDate: boolean
  /** Bit n is number n of contracts/types/TeeVariant.sol. */
  readonly variants: number
  /** Address of the implementation behind the proxy. */
  readonly implementation: Address
}

/**
 * Reads all settings of an app at the newest block.
 *
 * @throws CALL_REVERTED if the contract does not answer like an app of Assent, CHAIN_UNREACHABLE
 * @example
 * const { owner, noticePeriod } = await readApp(client, app)
 */
export async function readApp(client: PublicClient, app: Address): Promise<AppState> {
  try {
    const at = {
      address: app,
      abi: appAbi,
      blockNumber: await client.getBlockNumber({ cacheTime: 0 }),
    } as const
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

/**
 * Reads the key epochs that a release gets now, counted from 1: `write` for new data, `read` the oldest epoch that it
 * may still read. Both are 0 if the release may not boot.
 *
 * @throws CALL_REVERTED if the contract does not answer like an app of Assent, CHAIN_UNREACHABLE
 * @example const { write, read } = await readEpochs(client, app, composeHash)
 */
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

/** Runtime code of contracts/auth/AppProxy.sol, which is the same for every app. */
export const appProxyCode: Hex =
  '0x365f5f375f5f365f7f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc545af43d5f5f3e6036573d5ffd5b3d5ff3'

/**
 * Whether a contract only forwards to its ERC-1967 implementation: it has the code of an app's proxy, or that of the proxy of
 * `kmsAuth`. Other code can store Assent's implementation in that slot and do something else.
 *
 * @throws CHAIN_UNREACHABLE
 * @example if (!(await isProxyOfAssent(client, app, kmsAuth))) throw new Error('not an app of Assent')
 */
export async function isProxyOfAssent(
  client: PublicClient,
  contract: Address,
  kmsAuth: Address,
): Promise<boolean> {
  const codeAt = (address: Address) =>
    client.getCode({ address }).catch((cause: unknown) => {
      throw toChainError(cause, `read the code of ${address}`)
    })
  const code = await codeAt(contract)
  return code !== undefined && (code === appProxyCode || code === (await codeAt(kmsAuth)))
}
