/**
 * The code of the deployment, by storage proof: which storage layout a contract has follows from its code.
 *
 * As the command `app why`, this takes the code that the deployment has now. Whether that code is Assent's is another question,
 * which `assent deployment check` answers from the sources.
 */

import { emptyCodeHash } from '../../../src/chain/proven/proof.ts'
import type { PinnedDeployment } from '../../../src/chain/proven/read-boot-facts.ts'
import {
  hostsSlots,
  implementationSlot,
  kmsAuthSlots,
  lowAddress,
  zeroAddress,
} from '../../../src/chain/proven/slots.ts'
import { appProxyCode } from '../../../src/chain/registries/app.ts'
import type { StateReader } from '../../../src/chain/rpc/state-reader.ts'
import { AssentError } from '../../../src/errors/index.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { keccak256 } from '../../../src/lib/keccak.ts'

/** @throws CONTRACT_MISSING, CHAIN_* */
export async function readPinned(reader: StateReader, kms: Hex): Promise<PinnedDeployment> {
  const [hosts = 0n, images = 0n, app = 0n] = await reader.words(kms, [
    kmsAuthSlots.hosts,
    kmsAuthSlots.images,
    kmsAuthSlots.appImplementation,
  ])
  const there = (word: bigint) => {
    const address = lowAddress(word)
    return address === zeroAddress ? [] : [address]
  }
  const bondWords = await Promise.all(
    there(hosts).map((address) => reader.words(address, [hostsSlots.bonds])),
  )
  const bonds = bondWords.flatMap(([word = 0n]) => there(word))
  const used = [kms, ...there(hosts), ...there(images), ...bonds]
  const behind = async (addresses: readonly Hex[]): Promise<Hex[]> =>
    Promise.all(
      addresses.map(async (address) => {
        const [word = 0n] = await reader.words(address, [implementationSlot])
        return codeHash(reader, lowAddress(word))
      }),
    )
  const proxies = await Promise.all(used.map((address) => codeHash(reader, address)))
  return {
    kms,
    pinned: {
      proxy: [...proxies, keccak256(appProxyCode)],
      kmsAuth: await behind([kms]),
      app: [await codeHash(reader, lowAddress(app))],
      hosts: await behind(there(hosts)),
      bonds: await behind(bonds),
      images: await behind(there(images)),
    },
  }
}

/** Whether an app has the code of Assent's apps, so that its storage is known. */
export async function isOwnApp(
  reader: StateReader,
  { pinned }: PinnedDeployment,
  app: Hex,
): Promise<boolean> {
  const account = await reader.account(app)
  if (account === undefined || !pinned.proxy.includes(account.codeHash)) return false
  const [word = 0n] = await reader.words(app, [implementationSlot])
  const code = await reader.account(lowAddress(word))
  return code !== undefined && pinned.app.includes(code.codeHash)
}

async function codeHash(reader: StateReader, address: Hex): Promise<Hex> {
  const account = await reader.account(address)
  if (account !== undefined && account.codeHash !== emptyCodeHash) return account.codeHash
  throw new AssentError('CONTRACT_MISSING', `There is no contract at ${address}.`, {
    facts: { address },
  })
}
