/**
 * Remembers what was verified, by the hash of all its bytes and of the key it was verified under.
 *
 * Only signatures are remembered. Expiry, revocation and TCB level are applied at every use, so a cached
 * answer is as strong as a fresh one; and what is cached (collateral, PCK chains) is bearer data that
 * anyone could present again anyway.
 */
import { createHash, type Hash } from 'node:crypto'

import {
  type IssuerChain,
  type PckChain,
  readTrustedRoot,
  type TrustedRoot,
  verifyPckChain,
} from './certificates/certificate-chain.ts'
import type { P256Key } from './certificates/p256.ts'
import type { TrustAnchor } from './certificates/trust-anchor.ts'
import type { Collateral } from './collateral/collateral.ts'
import { type TrustedCollateral, verifyCollateral } from './collateral/trusted-collateral.ts'
import type { Quote } from './parse.ts'
import { verifyQe } from './verify-qe.ts'

export interface VerificationCache {
  readTrustedRoot(root: TrustAnchor): TrustedRoot
  verifyCollateral(collateral: Collateral, root: TrustedRoot): TrustedCollateral
  verifyPckChain(
    chain: readonly Uint8Array[],
    known: IssuerChain | undefined,
    root: TrustedRoot,
  ): PckChain
  /** The attestation key that this PCK and its QE vouch for. */
  verifyQe(quote: Quote, pck: P256Key): P256Key
}

export interface CacheOptions {
  /** bundles of collateral to remember, about 100 KB each */
  readonly bundles?: number
  /** platforms (PCK chains) to remember, about 10 KB each */
  readonly platforms?: number
}

/** The one used longest ago is forgotten first. */
export function createCollateralCache(options: CacheOptions = {}): VerificationCache {
  const bundles = createCheckpoint<TrustedCollateral>(options.bundles ?? 64)
  const platforms = createCheckpoint<PckChain>(options.platforms ?? 1_024)
  const attestationKeys = createCheckpoint<P256Key>(options.platforms ?? 1_024)
  const roots = createCheckpoint<TrustedRoot>(rootsKept)
  return {
    readTrustedRoot: (root) =>
      typeof root === 'string'
        ? readTrustedRoot(root)
        : roots(Buffer.from(root).toString('latin1'), () => readTrustedRoot(root)),
    verifyCollateral: (collateral, root) =>
      bundles(hashOf(root.key, [digestOf(collateral)]), () => verifyCollateral(collateral, root)),
    // the chain is verified up to the root whatever is known, so `known` is no part of the id
    verifyPckChain: (chain, known, root) =>
      platforms(hashOf(root.key, chain), () => verifyPckChain(chain, known, root)),
    verifyQe: (quote, pck) => {
      const { qeReport, qeReportSignature, attestationKey, qeAuthData } = quote
      const read = [qeReport.bytes, qeReportSignature, attestationKey, qeAuthData]
      return attestationKeys(hashOf(pck, read), () => verifyQe(quote, pck))
    },
  }
}

const rootsKept = 4
const digests = new WeakMap<Collateral, string>()

/** Of everything in it that decides a verdict; a bundle that nobody can change is hashed once. */
function digestOf(collateral: Collateral): string {
  const known = digests.get(collateral)
  if (known !== undefined) return known
  const digest = digestParts(createHash('sha256'), readFields(collateral))
  if (Object.isFrozen(collateral)) digests.set(collateral, digest)
  return digest
}

function readFields(collateral: Collateral): string[] {
  return [
    collateral.pck_crl_issuer_chain,
    collateral.root_ca_crl,
    collateral.pck_crl,
    collateral.tcb_info_issuer_chain,
    collateral.tcb_info,
    collateral.tcb_info_signature,
    collateral.qe_identity_issuer_chain,
    collateral.qe_identity,
    collateral.qe_identity_signature,
  ]
}

function hashOf({ point }: P256Key, parts: readonly (string | Uint8Array)[]): string {
  return digestParts(createHash('sha256').update(point), parts)
}

function digestParts(hash: Hash, parts: readonly (string | Uint8Array)[]): string {
  // lengths keep ("ab", "c") and ("a", "bc") apart
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest('base64')
}

/** Gives the remembered value of an id, or makes it; what throws is not remembered. */
function createCheckpoint<T>(capacity: number): (id: string, make: () => T) => T {
  const known = new Map<string, T>()
  return (id, make) => {
    const value = known.get(id) ?? make()
    known.delete(id)
    known.set(id, value)
    if (known.size > capacity) known.delete(known.keys().next().value as string)
    return value
  }
}
