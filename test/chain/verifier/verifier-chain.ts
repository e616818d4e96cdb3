/** A quote verifier on an in-process chain whose clock can be set to any time, again and again. */
import hre from 'hardhat'
import {
  type Account,
  type Address,
  type Chain,
  createPublicClient,
  createTestClient,
  createWalletClient,
  custom,
  decodeFunctionResult,
  type EIP1193Provider,
  encodeDeployData,
  encodeFunctionData,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { hardhat } from 'viem/chains'
import { quoteVerifierAbi } from '../../../src/chain/abi.ts'
import { type Clients, sendCall, toChainError } from '../../../src/chain/call.ts'
import { collateralCalls } from '../../../src/chain/verifier/collateral.ts'
import { deployVerifier, type LinkableArtifact } from '../../../src/chain/verifier/verifier.ts'
import { type Hex, to0x } from '../../../src/lib/bytes.ts'
import type { Collateral } from '../../../src/quote/collateral/collateral.ts'

export type Report = Awaited<ReturnType<VerifierChain['verify']>>

export type VerifierChain = Awaited<ReturnType<typeof createVerifierChain>>

export {
  contractStatuses as statuses,
  contractVerdicts as verdicts,
} from '../../../src/chain/verifier/verdicts.ts'

/** Before every recorded quote, so that the clock can only be set forward. */
const genesis = '2023-01-01T00:00:00Z'

/**
 * @param p256 contract to use in place of the precompile
 * @param hardfork of the chain
 */
export async function createVerifierChain(root: Uint8Array, p256?: string, hardfork = 'osaka') {
  const { provider } = await hre.network.create({
    override: { initialDate: genesis, hardfork },
  } as never)
  const transport = custom(provider as unknown as EIP1193Provider, { retryCount: 0 })
  const publicClient = createPublicClient({
    chain: hardhat,
    transport,
    pollingInterval: 5,
    cacheTime: 0,
  }) as PublicClient
  const testClient = createTestClient({ chain: hardhat, transport, mode: 'hardhat' })
  const [account] = (await provider.request({ method: 'eth_accounts' })) as Address[]
  const walletClient = createWalletClient({
    account: account as Address,
    chain: hardhat,
    transport,
  }) as unknown as WalletClient<Transport, Chain, Account>
  const clients: Clients = { publicClient, walletClient }

  const verifier = await deployVerifier({
    ...clients,
    artifacts: async (name) =>
      (await hre.artifacts.readArtifact(name)) as unknown as LinkableArtifact,
    root,
    ...(p256 === undefined ? {} : { p256: await deploy(p256) }),
  })
  let clean = await testClient.snapshot()

  return {
    clients,
    testClient,
    verifier,
    /** Forgets everything uploaded, and goes back to the beginning. */
    async reset() {
      await testClient.revert({ id: clean })
      clean = await testClient.snapshot()
    },
    /** The next block, in which things are uploaded or looked at, has this time. */
    async goTo(time: number) {
      await testClient.setNextBlockTimestamp({ timestamp: BigInt(time) })
      await testClient.mine({ blocks: 1 })
    },
    /** A contract that replays event logs, deployed beside the verifier. */
    async bootLog(): Promise<Address> {
      return await deploy('BootLog', verifier)
    },
    async freshness() {
      return await publicClient.readContract({
        address: verifier,
        abi: quoteVerifierAbi,
        functionName: 'freshness',
      })
    },
    /** Parts of a bundle, in blocks of their own. */
    async uploadPckCa(collateral: Collateral) {
      await send(collateral, ['store the PCK CA'])
    },
    async uploadTcbSigning(collateral: Collateral) {
      await send(collateral, ['store the TCB signing certificate'])
    },
    async uploadRootCrl(collateral: Collateral) {
      await send(collateral, ['store the root CRL'])
    },
    async uploadCrl(collateral: Collateral) {
      await send(collateral, ['store the PCK CRL'])
    },
    async uploadTcbInfo(collateral: Collateral) {
      await send(collateral, ['store the TCB info'])
    },
    async uploadQeIdentity(collateral: Collateral) {
      await send(collateral, ['store the QE identity'])
    },
    /** Everything in the bundle, whatever it is worth; each upload is one block, one second later. */
    async put(collateral: Collateral) {
      await send(collateral)
    },
    /** @throws CALL_REVERTED when the quote is malformed */
    async verify(quote: Uint8Array) {
      const data = encodeFunctionData({
        abi: quoteVerifierAbi,
        functionName: 'verify',
        args: [to0x(quote)],
      })
      try {
        const result = await publicClient.call({ to: verifier, data })
        return decodeFunctionResult({
          abi: quoteVerifierAbi,
          functionName: 'verify',
          data: result.data ?? '0x',
        })
      } catch (cause) {
        throw toChainError(cause, 'verify')
      }
    },
  }

  async function send(collateral: Collateral, words?: readonly string[]): Promise<void> {
    for (const call of collateralCalls(verifier, collateral)) {
      if (words !== undefined && !words.includes(call.summary)) continue
      // said, because otherwise a slow machine's blocks overtake the time that the next check wants
      const { timestamp } = await publicClient.getBlock()
      await testClient.setNextBlockTimestamp({ timestamp: timestamp + 1n })
      await sendCall(clients, call)
    }
  }

  async function deploy(name: string, ...args: unknown[]): Promise<Address> {
    const { abi, bytecode } = await hre.artifacts.readArtifact(name)
    const data = encodeDeployData({ abi, bytecode: bytecode as Hex, args } as never)
    const hash = await walletClient.sendTransaction({ data })
    const receipt = await publicClient.waitForTransactionReceipt({ hash })
    return receipt.contractAddress as Address
  }
}
