/** Expected values for a release log: from options, and otherwise from the chain and its deployment record. */
import { AssentError } from '../../errors/index.ts'
import {
  type ContractRole,
  contractRoles,
  type PinnedCodeHashes,
} from '../../log-verify/contract-storage.ts'
import type { OnDemandContext, Session } from '../session/session.ts'
import { readJson } from './arguments.ts'

interface DemandOptions {
  readonly rootKey: string | undefined
  readonly chainId: string | undefined
  readonly kmsContract: string | undefined
  readonly pinnedCode: string | undefined
}

/** Values, each with where it comes from. */
export interface LogDemands {
  /** Compressed, 66 hex digits. */
  readonly rootKey: string
  readonly chainId?: number
  readonly kmsContract?: string
  readonly pins?: PinnedCodeHashes
  /** One line for each value. */
  readonly sources: readonly string[]
}

/**
 * With `--root-key` nothing is asked: only the options count. Without it, the missing values come from the chain.
 *
 * @throws INPUT_INVALID, FILE_UNREADABLE, KMS_ROOT_UNANNOUNCED, CHAIN_*, CONFIG_INVALID
 */
export async function readLogDemands(
  options: DemandOptions,
  context: OnDemandContext,
): Promise<LogDemands> {
  const given = await readGiven(options)
  if (options.rootKey !== undefined) {
    return { ...given, rootKey: readRootKey(options.rootKey), sources: [] }
  }
  const session = await context.openSession()
  const { chainId, addresses, name } = session
  const pins = given.pins ?? (await pinsNow(session))
  return {
    rootKey: await rootKeyOnChain(session),
    chainId: given.chainId ?? chainId,
    kmsContract: given.kmsContract ?? addresses.kmsAuth,
    pins,
    sources: [
      `root key   of KmsAuth ${addresses.kmsAuth} on chain ${chainId}, by the endpoint of ${name}`,
      'contract   of the deployment record',
      given.pins === undefined
        ? 'code       as the chain has it now; entries from before an upgrade need --pinned-code'
        : `code       of ${options.pinnedCode}`,
    ],
  }
}

/** Only the root key. */
export async function readRootKeyOf(
  option: string | undefined,
  context: OnDemandContext,
): Promise<string> {
  if (option !== undefined) return readRootKey(option)
  return rootKeyOnChain(await context.openSession())
}

async function readGiven({ chainId, kmsContract, pinnedCode }: DemandOptions) {
  const id = readWholeNumber(chainId)
  return {
    ...(id === undefined ? {} : { chainId: id }),
    ...(kmsContract === undefined ? {} : { kmsContract }),
    ...(pinnedCode === undefined ? {} : { pins: await readPins(pinnedCode) }),
  }
}

function readRootKey(text: string): string {
  const key = text.replace(/^0x/, '').toLowerCase()
  if (/^0[23][0-9a-f]{64}$/.test(key)) return key
  throw new AssentError(
    'INPUT_INVALID',
    'The root key is 33 bytes of hex, beginning with 02 or 03.',
  )
}

/** @throws INPUT_INVALID */
export function readWholeNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text)
  throw new AssentError('INPUT_INVALID', `${text} is no whole number above zero.`)
}

async function readPins(file: string): Promise<PinnedCodeHashes> {
  const pins = (await readJson(file)) as PinnedCodeHashes
  const isList = (role: ContractRole) =>
    Array.isArray(pins?.[role]) &&
    pins[role].every((each: unknown) => /^0x[0-9a-f]{64}$/.test(String(each)))
  if (contractRoles.every(isList)) return pins
  throw new AssentError('FILE_UNREADABLE', `${file} contains no pinned code.`)
}

/** viem is loaded only with a chain. */
async function pinsNow({ publicClient, addresses }: Session): Promise<PinnedCodeHashes> {
  const { readPinnedCode } = await import('../../chain/proven/pinning.ts')
  const { kmsAuth, hosts, images, hostBonds } = addresses
  return (await readPinnedCode(publicClient, kmsAuth, {
    ...(hosts === undefined ? {} : { hosts }),
    ...(images === undefined ? {} : { images }),
    ...(hostBonds === undefined ? {} : { bonds: hostBonds }),
  })) as PinnedCodeHashes
}

async function rootKeyOnChain(session: Session): Promise<string> {
  const { readAnnouncedRootKey } = await import('../log/root-key.ts')
  return readAnnouncedRootKey(session, session.addresses.kmsAuth)
}
