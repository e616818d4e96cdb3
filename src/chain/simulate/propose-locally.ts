/** Creates a proposal on a local copy, so that calls can be executed before anyone proposes them. */
import { type Address, toHex } from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { type Call, decodeRevert } from '../call.ts'
import { proposalCall, proposalIdOf } from '../governance/governance.ts'
import { type ProposalFacts, readProposal } from '../governance/proposals.ts'
import type { LocalChain } from './local-chain.ts'
import { connectToLocalCopy } from './local-reader.ts'

/** Storage slot of `_proposalThreshold` in AssentGovernor; a test compares it with the compiler's layout. */
export const proposalThresholdSlot = 7n

/** An account that nobody has: it proposes and pays nothing. */
const proposer: Hex = `0x${'a17e'.repeat(10)}`

/**
 * Proposes calls in the block after the copy's newest one. The proposer needs no votes here; every other rule applies.
 *
 * @param text the text of the proposal; it decides nothing but its id
 * @throws PROPOSAL_WOULD_FAIL if the governor refuses the proposal, and as `LocalChain.execute`
 */
export async function proposeLocally(
  chain: LocalChain,
  governor: Address,
  calls: readonly Call[],
  text: string,
): Promise<ProposalFacts> {
  const at = governor.toLowerCase() as Hex
  const slot = toHex(proposalThresholdSlot, { size: 32 })
  const threshold = await chain.word(at, slot)
  chain.assume(at, slot, 0n)
  const { to, data } = proposalCall(governor, calls, text)
  const created = await chain.execute(
    { from: proposer, to: to.toLowerCase() as Hex, data },
    { timestamp: chain.head.timestamp + 1 },
  )
  // the execution must see the real threshold
  chain.assume(at, slot, threshold)
  if (!created.succeeded) {
    const { error, values } = decodeRevert(created.data)
    throw new AssentError('PROPOSAL_WOULD_FAIL', `The governor refuses the proposal (${error}).`, {
      facts: { governor, error, values },
    })
  }
  const client = connectToLocalCopy(chain)
  return readProposal(client, governor, await proposalIdOf(client, governor, calls, text))
}
