import type { Address } from 'viem'

import { readDaoSettings } from '../../chain/governance/proposals.ts'
import type { ReviewContracts } from '../../review/review-proposal.ts'
import type { Session } from '../session/session.ts'
import { readAddressBook } from './read-address-book.ts'

/** The contracts for a review of calls to `targets`, decided by the DAO of `governor`. @throws CHAIN_UNREACHABLE */
export async function readReviewContracts(
  session: Session,
  governor: Address,
  targets: readonly Address[],
): Promise<ReviewContracts> {
  const { publicClient, addresses, deployment } = session
  const blocks = Object.values(deployment.contracts).map(({ block }) => block)
  return {
    governor,
    timelock: (await readDaoSettings(publicClient, governor)).timelock,
    addresses,
    book: await readAddressBook(session, targets, governor),
    fromBlock: BigInt(Math.min(...blocks)),
  }
}
