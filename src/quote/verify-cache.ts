/**
 * A cache for verified signatures, by the hash of all their bytes and of the key that they were verified with.
 *
 * Expiry, revocation and TCB level are checked at every use, so a cached result is as strong as a new one. The cached
 * data (collateral, PCK chains) is public: its owner could present it again anyway.
 */
import { hash } from 'node:crypto'

import { concatBytes, utf8ToBytes } from '../lib/bytes.ts'
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

/** The steps of a verification whose results can be reused. */
export interface VerificationCache {
  /** Parses a root of trust once. */
  readTrustedRoot(root: TrustAnchor): TrustedRoot
  /** Verifies the signatures of a bundle once. Times are checked at each use. */
  verifyCollateral(collateral: Collateral, root: TrustedRoot): TrustedCollateral
  /** Verifies a PCK chain once; `known` is the issuer that the collateral has verified already. */
  verifyPckChain(
    chain: readonly Uint8Array[],
    known: IssuerChain | undefined,
    root: TrustedRoot,
  ): PckChain
  /** Returns the attestation key that the PCK certificate and the quoting enclave certify. */
  verifyQe(quote: Quote, pck: P256Key): P256Key
}

/** Sizes of a cache. */
export interface CacheOptions {
  /** Most sets of collateral, about 100 KB each. Default: 64. */
  readonly bundles?: number
  /** Most platforms (PCK chains), about 10 KB each. Default: 1,024. */
  readonly platforms?: number
}

/**
 * Creates a cache for `verifyQuote`. Create one for the life of the process and pass it to each call.
 *
 * When it is full, the entry that was used longest ago is dropped.
 *
 * @example
 * const cache = createCollateralCache()
 * const verdict = verifyQuote(quote, collateral, { at, root: 'intel', cache })
 */
export function createCollateralCache(options: CacheOptions = {}): VerificationCache {
  const bundles = createMemo<TrustedCollateral>(options.bundles ?? 64)
  const platforms = createMemo<PckChain>(options.platforms ?? 1_024)
  const attestationKeys = createMemo<P256Key>(options.platforms ?? 1_024)
  const roots = createMemo<TrustedRoot>(maxRoots)
  return {
    readTrustedRoot: (root) =>
      typeof root === 'string'
        ? readTrustedRoot(root)
        : roots(Buffer.from(root).toString('latin1'), () => readTrustedRoot(root)),
    verifyCollateral: (collateral, root) =>
      bundles(digestParts([root.key.point, digestOf(collateral)]), () =>
        verifyCollateral(collateral, root),
      ),
    // `known` is not a part of the id: the chain is verified up to the root with or without it
    verifyPckChain: (chain, known, root) =>
      platforms(digestParts([root.key.point, ...chain]), () => verifyPckChain(chain, known, root)),
    verifyQe: (quote, pck) => {
      const { qeReport, qeReportSignature, attestationKey, qeAuthData } = quote
      const parts = [pck.point, qeReport.bytes, qeReportSignature, attestationKey, qeAuthData]
      return attestationKeys(digestParts(parts), () => verifyQe(quote, pck))
    },
  }
}

const maxRoots = 4
const collateralDigests = new WeakMap<Collateral, Uint8Array>()

/** Hashes every field that decides a verdict. A frozen object cannot change, so it is hashed once. */
function digestOf(collateral: Collateral): Uint8Array {
  const known = collateralDigests.get(collateral)
  if (known !== undefined) return known
  const digest = utf8ToBytes(digestParts(readFields(collateral).map(utf8ToBytes)))
  if (Object.isFrozen(collateral)) collateralDigests.set(collateral, digest)
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

/** SHA-256 of a list of byte strings. The lengths in front keep ("ab", "c") and ("a", "bc") apart. */
function digestParts(parts: readonly Uint8Array[]): string {
  const lengths = Uint32Array.of(parts.length, ...parts.map((part) => part.length))
  return hash('sha256', concatBytes(new Uint8Array(lengths.buffer), ...parts), 'base64')
}

/** Returns the stored value of an id, or creates and stores it. A value whose creation throws is not stored. */
function createMemo<T>(capacity: number): (id: string, create: () => T) => T {
  const values = new Map<string, T>()
  return (id, create) => {
    const value = values.get(id) ?? create()
    // moves the id to the end of the map, so the first key is the one used longest ago
    values.delete(id)
    values.set(id, value)
    if (values.size > capacity) values.delete(values.keys().next().value as string)
    return value
  }
}
