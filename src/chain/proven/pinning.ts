/**
 * Reads the code hashes of a deployment, for the setting `pinnedCode`.
 *
 * This trusts one endpoint. Compare the result with `assent deployment check`, which knows the code from its sources.
 */
import { keccak256, type PublicClient, zeroAddress } from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { toChainError } from '../call.ts'
import { appProxyCode } from '../registries/app.ts'
import type { PinnedCode } from './read-boot-facts.ts'
import { hostsSlots, implementationSlot, kmsAuthSlots, lowAddress } from './slots.ts'

/** Contracts that KmsAuth will use after a vote, so that their code can be pinned before it. */
export interface FutureContracts {
  /** Host registry. */
  readonly hosts?: Hex
  /** Image registry. */
  readonly images?: Hex
  /** Contract of the bonds. */
  readonly bonds?: Hex
}

/**
 * Reads the code hashes of all contracts that decide about boots now, and of named future ones. The result is the
 * setting `chainView.pinnedCode`.
 *
 * It trusts the endpoint of the client: compare the result with another endpoint, or with the compiled sources.
 *
 * @throws CONTRACT_MISSING, CHAIN_UNREACHABLE
 */
export async function readPinnedCode(
  client: PublicClient,
  kms: Hex,
  named: FutureContracts = {},
): Promise<PinnedCode> {
  const at = (address: Hex, slot: Hex) => addressAt(client, address, slot)
  const hosts = distinct([await at(kms, kmsAuthSlots.hosts), named.hosts])
  const images = distinct([await at(kms, kmsAuthSlots.images), named.images])
  const asked = await Promise.all(hosts.map((each) => at(each, hostsSlots.bonds)))
  const bonds = distinct([...asked, named.bonds])
  const app = await at(kms, kmsAuthSlots.appImplementation)
  const used = [kms, ...hosts, ...images, ...bonds]
  const proxies = await Promise.all(used.map((address) => codeHash(client, address)))
  const behind = async (addresses: readonly Hex[]): Promise<Hex[]> => {
    const codes = addresses.map(async (each) => (await readCodeBehind(client, each)).code)
    return [...new Set(await Promise.all(codes))]
  }
  return {
    proxy: [...new Set([...proxies, keccak256(appProxyCode)])],
    kmsAuth: await behind([kms]),
    app: [await codeHash(client, app)],
    hosts: await behind(hosts),
    bonds: await behind(bonds),
    images: await behind(images),
  }
}

/** Code hashes of a proxy and its implementation, in the form of the setting. @throws CONTRACT_MISSING, CHAIN_UNREACHABLE */
export async function readCodeBehind(
  client: PublicClient,
  address: Hex,
): Promise<{ readonly proxy: Hex; readonly code: Hex }> {
  const implementation = await addressAt(client, address, implementationSlot)
  return { proxy: await codeHash(client, address), code: await codeHash(client, implementation) }
}

function distinct(addresses: readonly (Hex | undefined)[]): Hex[] {
  const there = addresses.filter((address) => address !== undefined)
  const lower = there.map((address) => address.toLowerCase() as Hex)
  return [...new Set(lower)].filter((address) => address !== zeroAddress)
}

async function addressAt(client: PublicClient, address: Hex, slot: Hex): Promise<Hex> {
  const word = await client.getStorageAt({ address, slot }).catch((cause: unknown) => {
    throw toChainError(cause, `read the storage of ${address}`)
  })
  return lowAddress(BigInt(word ?? '0x0'))
}

/**
 * keccak-256 of the code at an address.
 *
 * @throws CONTRACT_MISSING if there is no code, CHAIN_UNREACHABLE
 */
export async function codeHash(client: PublicClient, address: Hex): Promise<Hex> {
  const code = await client.getCode({ address }).catch((cause: unknown) => {
    throw toChainError(cause, `read the code of ${address}`)
  })
  if (code !== undefined && code !== '0x') return keccak256(code)
  throw new AssentError('CONTRACT_MISSING', `There is no contract at ${address}.`, {
    facts: { address },
  })
}
