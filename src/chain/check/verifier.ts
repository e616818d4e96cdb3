/** Checks the root of trust of the quote verifier, and that this chain can verify P-256 signatures. */
import { type Address, concat, isAddressEqual, type PublicClient, pad } from 'viem'

import { fromHex, to0x } from '../../lib/bytes.ts'
import { parseCertificate } from '../../quote/certificates/certificate.ts'
import { intelRootKey } from '../../quote/certificates/intel-root.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import { quoteVerifierAbi } from '../abi.ts'
import { p256Precompile } from '../verifier/verifier.ts'
import type { CheckContext } from './context.ts'
import type { DeploymentFinding } from './finding.ts'

/** No findings if there is no quote verifier. @throws CHAIN_UNREACHABLE */
export async function checkVerifier(
  { client, addresses: { quoteVerifier }, deployment }: CheckContext,
  root: TrustAnchor | undefined,
): Promise<DeploymentFinding[]> {
  if (quoteVerifier === undefined || root === undefined) return []
  const contract = { address: quoteVerifier, abi: quoteVerifierAbi } as const
  const [x, y] = await client.readContract({ ...contract, functionName: 'rootKey' })
  const found = concat([pad(`0x${x.toString(16)}`), pad(`0x${y.toString(16)}`)])
  const wanted = to0x(root === 'intel' ? intelRootKey : parseCertificate(root, 'root').key.point)
  const p256 = await client.readContract({ ...contract, functionName: 'p256' })
  const works = await verifiesP256(client, p256)
  const isPrecompile = isAddressEqual(p256, p256Precompile)
  // its code is compared by `checkCode`; test signatures cannot show that it accepts no others
  const isRecorded = deployment.contracts.p256?.address === p256.toLowerCase()
  const mode = isPrecompile ? 'the precompile' : `the contract ${p256}`
  return [
    {
      code: 'ROOT',
      holds: found === wanted,
      what: `the root of trust is ${root === 'intel' ? 'Intel’s root key' : 'the given root'}`,
      found: found === to0x(intelRootKey) ? 'Intel’s root key' : `the key ${found}`,
    },
    {
      code: 'P256',
      holds: works && (isPrecompile || isRecorded),
      what: 'P-256 is verified on this chain, by the precompile or by the recorded contract',
      found: `${mode}${isPrecompile || isRecorded ? '' : ', which is not recorded,'} ${works ? 'accepts a valid signature and rejects an invalid one' : 'does not'}`,
    },
  ]
}

/** RFC 6979 A.2.5, P-256 with SHA-256 over "sample": digest, r, s, x, y. */
const goodSignature = fromHex(
  'af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf' +
    'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
    'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8' +
    '60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6' +
    '7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
  'signature',
)

async function verifiesP256(client: PublicClient, p256: Address): Promise<boolean> {
  const badSignature = goodSignature.with(0, 0)
  const [good, bad] = await Promise.all(
    [goodSignature, badSignature].map(async (bytes) => {
      const { data } = await client.call({ to: p256, data: to0x(bytes) })
      return data ?? '0x'
    }),
  )
  return good === pad('0x01') && bad === '0x'
}
