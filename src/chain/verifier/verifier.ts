/** Deploys a quote verifier: its two linked libraries, then the verifier with its root of trust. */
import { type Abi, type Address, encodeDeployData, type PublicClient } from 'viem'
import { AssentError, isAssentError } from '../../errors/index.ts'
import { type Hex, to0x } from '../../lib/bytes.ts'
import { type Clients, toChainError, waitForReceipt } from '../call.ts'

/** Address of the P-256 precompile (RIP-7212, EIP-7951). */
export const p256Precompile: Address = '0x0000000000000000000000000000000000000100'

/** Compiled code of a contract that may call linked libraries. */
export interface LinkableArtifact {
  /** ABI of the contract. */
  readonly abi: Abi
  /** Creation code as hex. It contains marks where library addresses belong. */
  readonly bytecode: string
  /** by source file and library: where in the code its address goes */
  readonly linkReferences: Record<string, Record<string, readonly LinkReference[]>>
}

interface LinkReference {
  readonly start: number
  readonly length: number
}

/** Options of a deployment of the quote verifier. */
export interface VerifierOptions extends Clients {
  /** Compiled contract by name, with the places of its libraries. */
  readonly artifacts: (contract: string) => Promise<LinkableArtifact>
  /** The root certificate in DER whose key everything must lead back to: Intel's, or a simulator's. */
  readonly root: Uint8Array
  /** `P256Solidity` deployed, on a chain without the precompile. */
  readonly p256?: Address
}

/** Code that copies memory, pushes zeros and returns a one: PUSH0 is of Shanghai, MCOPY of Cancun. */
const probe: Hex = '0x5f5f5f5e60015f5260205ff3'

/**
 * Checks, before anything is paid for, that the chain runs what the compiler made of the contracts.
 *
 * @throws CHAIN_TOO_OLD, CHAIN_UNREACHABLE
 */
export async function requireOpcodes(client: PublicClient): Promise<void> {
  const answer = await client.call({ data: probe }).catch((cause: unknown) => {
    const error = toChainError(cause, 'try the opcodes of Cancun')
    // a chain that does not know an opcode fails the call; one that does not answer is another matter
    if (isAssentError(error, 'CALL_REVERTED')) return { data: undefined, error }
    throw error
  })
  if (answer.data !== undefined && BigInt(answer.data) === 1n) return
  throw new AssentError('CHAIN_TOO_OLD', 'The chain does not have the opcodes of Cancun.', {
    ...('error' in answer ? { cause: answer.error } : {}),
    facts: { found: answer.data ?? 'a failed call', expected: 'PUSH0 and MCOPY' },
  })
}

/** @throws CHAIN_TOO_OLD, CALL_REVERTED, TRANSACTION_REVERTED, CHAIN_UNREACHABLE */
export async function deployVerifier(options: VerifierOptions): Promise<Address> {
  await requireOpcodes(options.publicClient)
  const libraries: Record<string, Address> = {}
  for (const library of ['IssuerUpload', 'DocumentUpload']) {
    libraries[library] = await place(options, await options.artifacts(library), [])
  }
  const artifact = linked(await options.artifacts('QuoteVerifier'), libraries)
  return await place(options, artifact, [to0x(options.root), options.p256 ?? p256Precompile])
}

/** Puts the addresses of libraries where the compiler left room for them. */
export function linked(
  artifact: LinkableArtifact,
  libraries: Readonly<Record<string, Address>>,
): LinkableArtifact {
  let { bytecode } = artifact
  for (const [name, places] of Object.values(artifact.linkReferences).flatMap(Object.entries)) {
    const address = libraries[name]
    if (address === undefined) throw new TypeError(`No address for the library ${name}.`)
    for (const { start, length } of places) {
      const from = 2 + 2 * start
      bytecode = bytecode.slice(0, from) + address.slice(2) + bytecode.slice(from + 2 * length)
    }
  }
  return { ...artifact, bytecode }
}

async function place(
  { publicClient, walletClient }: Clients,
  { abi, bytecode }: LinkableArtifact,
  args: readonly unknown[],
): Promise<Address> {
  const data = encodeDeployData({ abi, bytecode: bytecode as Hex, args })
  try {
    const hash = await walletClient.sendTransaction({ data })
    const receipt = await waitForReceipt(publicClient, hash)
    if (receipt.contractAddress) return receipt.contractAddress
    throw new AssentError('TRANSACTION_REVERTED', 'A contract of the verifier was not created.', {
      facts: { hash },
    })
  } catch (cause) {
    throw toChainError(cause, 'deploy the quote verifier')
  }
}
