/** Which open proposal counts as the same decision: one that can still be executed. */

import hre from 'hardhat'
import type { EIP1193Provider } from 'viem'
import { beforeEach, describe, expect, test } from 'vitest'
import { approvalRegistryAbi, assentVotesAbi } from '../../../src/chain/abi.ts'
import { noEnd } from '../../../src/chain/approval.ts'
import { type Call, callOf, sendCall } from '../../../src/chain/call.ts'
import { type AddressBook, addressBook } from '../../../src/chain/governance/describe-call.ts'
import {
  delegate,
  execute,
  propose,
  queue,
  vote,
} from '../../../src/chain/governance/governance.ts'
import {
  findOpenProposal,
  nextStep,
  readProposal,
} from '../../../src/chain/governance/proposals.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { chainTime, createDao, type Dao, daoTimes, hardhatArtifacts } from '../dao.ts'

const day = 86_400

let dao: Dao
let book: AddressBook
/** The end of the vote on a proposal of the next block, and the earliest execution after it. */
let voteEnd: number
let earliest: number

beforeEach(async () => {
  const provider = (await hre.network.create()).provider as unknown as EIP1193Provider
  dao = await createDao({ provider, artifacts: hardhatArtifacts(hre), mode: 'hardhat' })
  const { addresses, clients, publicClient, pass } = dao
  book = addressBook(addresses)
  // one more account can propose
  const { guardian, voter } = clients
  const account = guardian.walletClient.account.address
  const give = callOf(addresses.votes, assentVotesAbi, 'transfer', [account, 10n], 'give')
  await sendCall(voter, give)
  await delegate(guardian, addresses.votes, account)
  await pass(2)
  voteEnd = (await chainTime(publicClient)) + 1 + daoTimes.votingDelay + daoTimes.votingPeriod
  earliest = voteEnd + daoTimes.timelockDelay
})

/** Another guardian, with an execution deadline. */
function decision(notAfter: number): Call[] {
  const next = dao.clients.owner.walletClient.account.address
  const { kmsAuth } = dao.addresses
  const args = [next, daoTimes.suspension, notAfter] as const
  return [callOf(kmsAuth, approvalRegistryAbi, 'setGuardian', args, 'set the guardian')]
}

/** The id of the open proposal that counts as `wanted`, after another account proposed it with a deadline. */
async function foundFor(wanted: Call[], notAfter: number) {
  const { governor } = dao.addresses
  const { id } = await propose(dao.clients.guardian, governor, decision(notAfter), 'replace')
  const found = await findOpenProposal(dao.publicClient, governor, wanted, book)
  return { id, found: found?.id }
}

describe('an open proposal with the same calls', () => {
  test.each([
    ['without a deadline', () => noEnd, true],
    // the clock of the chain can be some seconds later than expected
    ['that leaves three days to execute it', () => earliest + 3 * day + 10, true],
    ['that leaves less', () => earliest + 3 * day - 1, false],
    ['whose deadline is the end of its vote', () => voteEnd, false],
    ['whose deadline is a second before the timelock delay is over', () => earliest - 1, false],
  ])('%s', async (_, deadline, counts) => {
    const { id, found } = await foundFor(decision(noEnd), deadline())

    expect(found).toBe(counts ? id : undefined)
  })

  test('counts with a short deadline if the requested calls have the same deadline', async () => {
    const { id, found } = await foundFor(decision(earliest + 60), earliest + 60)

    expect(found).toBe(id)
  })

  test('does not count if neither it nor the requested calls can be executed', async () => {
    expect((await foundFor(decision(voteEnd), voteEnd)).found).toBeUndefined()
  })
})

test('the next step of a proposal that the timelock delay makes too late says so', async () => {
  const { addresses, clients, publicClient, pass } = dao
  const { governor } = addresses
  const { id } = await propose(clients.guardian, governor, decision(earliest - 1), 'replace')
  const step = async () => nextStep(await readProposal(publicClient, governor, id))
  expect(await step()).toMatch(/^It can never be executed: its deadline is /)

  await pass(daoTimes.votingDelay + 1)
  await vote(clients.voter, governor, id, 'for')
  expect(await step()).toMatch(/^It can never be executed/)
  await pass(daoTimes.votingPeriod + 1)
  await queue(clients.stranger, governor, id)
  await pass(daoTimes.timelockDelay + 1)
  expect(await step()).toMatch(/^It can never be executed/)

  const refused = await execute(clients.stranger, governor, id).catch((error: unknown) => error)
  expect(isAssentError(refused, 'CALL_REVERTED')).toBe(true)
})

test('the next step of a proposal in time is to execute it', async () => {
  const { addresses, clients, publicClient, pass } = dao
  const { governor } = addresses
  const deadline = earliest + 3_600
  const { id } = await propose(clients.guardian, governor, decision(deadline), 'replace')
  await pass(daoTimes.votingDelay + 1)
  await vote(clients.voter, governor, id, 'for')
  await pass(daoTimes.votingPeriod + 1)
  await queue(clients.stranger, governor, id)
  await pass(daoTimes.timelockDelay + 1)
  const facts = await readProposal(publicClient, governor, id)

  expect(nextStep(facts)).toBe('Anyone can execute it now.')
  expect(facts.notAfter).toBe(deadline)
  expect(nextStep({ ...facts, now: deadline + 1 })).toMatch(/^It can never be executed/)
})
