/** The root keys of the KMS, as the DAO has recorded them on-chain. */
import { toBytes } from 'viem'

import { kmsAuthAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { type Manifest, readManifest } from '../../manifest/manifest.ts'
import { type Compose, serializeCompose } from '../../quote/measurements/compose.ts'
import type { Session } from '../session/session.ts'

/** @throws CONTRACT_MISMATCH if the DAO has recorded none, CHAIN_UNREACHABLE */
export async function readKmsInfo({ publicClient, addresses }: Session) {
  const [k256Pubkey, caPubkey] = await publicClient
    .readContract({ address: addresses.kmsAuth, abi: kmsAuthAbi, functionName: 'kmsInfo' })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read the root keys of the KMS')
    })
  if (k256Pubkey.length === 68 && caPubkey.length > 2) return { k256Pubkey, caPubkey }
  throw new AssentError('CONTRACT_MISMATCH', 'The chain stores no root keys of a KMS.', {
    facts: { kmsAuth: addresses.kmsAuth, k256Pubkey },
    hint: 'The DAO records them after the first KMS node was bootstrapped.',
  })
}

/** The manifest whose guest accepts keys of this KMS only. @param caPubkey SubjectPublicKeyInfo of the root CA */
export function pinKmsKey({ members }: Manifest, caPubkey: Hex): Manifest {
  const pinned = { ...members, key_provider_id: caPubkey.slice(2) }
  return readManifest(toBytes(serializeCompose(pinned as Compose)))
}
