import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { sendCall } from '../../src/chain/call.ts'
import { addressBook } from '../../src/chain/governance/describe-call.ts'
import { propose } from '../../src/chain/governance/governance.ts'
import {
  approve,
  readState,
  revoke,
  setGuardian,
  suspend,
} from '../../src/chain/registries/registry.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import type { ReviewContracts } from '../../src/review/review-proposal.ts'
import { runDrill, secondsExposed } from '../../src/review/run-drill.ts'
import { findAnvil } from '../anvil.ts'
import { daoTimes } from '../chain/dao.ts'
import {
  createLocalDao,
  executeQueued,
  idOf,
  type LocalDao,
  never,
  voteAndQueue,
} from '../chain/simulate/local-dao.ts'

const absent = findAnvil() === undefined
const image = idOf('a1')

test.each([
  ['a suspension that ends before the approval', 100, 1 + 80],
  ['a suspension that ends after the approval', 15, 1],
  ['an approval without an end', null, null],
])('the exposed time leaves out the suspended time: %s', (_, end, expected) => {
  const by: Hex = `0x${'aa'.repeat(20)}`
  expect(secondsExposed({ by, at: 1, until: 20 }, end)).toBe(expected)
})

describe.skipIf(absent)('the drill of an emergency', () => {
  let dao: LocalDao
  let contracts: ReviewContracts

  beforeAll(async () => {
    dao = await createLocalDao()
    const { addresses } = dao
    contracts = { ...addresses, addresses, book: addressBook(addresses), fromBlock: 0n }
    await dao.decide(
      [
        approve(addresses.kmsAuth, [{ kind: 'osImage', id: image }], never),
        approve(addresses.hosts as Hex, [{ kind: 'host', id: image }], never),
        approve(dao.app, [{ kind: 'release', id: image }], never),
      ],
      'Set up',
    )
  })
  afterAll(() => dao?.anvil.stop())

  test('takes the times that the real suspension and vote take', async () => {
    const { addresses, clients, publicClient, anvil } = dao
    const { approvals, block } = await runDrill(publicClient, contracts, { app: dao.app })
    const found = approvals.find(({ kind }) => kind === 'osImage')
    if (found === undefined || 'refused' in found.suspension || 'refused' in found.revocation) {
      throw new Error('The drill was refused.')
    }

    const start = block.timestamp
    await anvil.client.setNextBlockTimestamp({ timestamp: BigInt(start + found.suspension.at) })
    await sendCall(clients.guardian, suspend(addresses.kmsAuth, 'osImage', [image]))
    expect(await readState(publicClient, addresses.kmsAuth, 'osImage', image)).toBe('suspended')
    await anvil.client.setNextBlockTimestamp({ timestamp: BigInt(start + found.suspension.at + 1) })
    const calls = [revoke(addresses.kmsAuth, 'osImage', [image])]
    const proposal = await propose(clients.voter, addresses.governor, calls, 'Emergency')
    const executedAt = start + found.revocation.at
    await voteAndQueue(dao, proposal, { queuedAt: executedAt - daoTimes.timelockDelay })
    const executed = await executeQueued(dao, proposal, { executedAt })

    expect(executed.succeeded).toBe(true)
    expect(await readState(publicClient, addresses.kmsAuth, 'osImage', image)).toBe('revoked')
    expect(found).toMatchObject({
      suspension: { at: 1, until: 1 + daoTimes.suspension },
      revocation: { by: 'vote' },
      exposedSeconds: 1,
    })
    const { votingDelay, votingPeriod, timelockDelay } = daoTimes
    expect(found.revocation.at).toBe(2 + votingDelay + votingPeriod + 1 + timelockDelay)
    expect(approvals.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['osImage', 'app', 'host', 'release']),
    )
  })

  test('shows the time in which an approval without a guardian stays active', async () => {
    const { addresses, publicClient } = dao
    const nobody: Hex = `0x${'00'.repeat(20)}`
    await dao.decide([setGuardian(addresses.hosts as Hex, nobody, 7_200)], 'No guardian of hosts')

    const { approvals } = await runDrill(publicClient, contracts)
    const host = approvals.find(({ kind }) => kind === 'host')

    expect(host?.suspension).toEqual({ refused: 'the registry has no guardian' })
    expect(host?.revocation).toMatchObject({ by: 'vote' })
    const { votingDelay, votingPeriod, timelockDelay } = daoTimes
    expect(host?.exposedSeconds).toBe(1 + votingDelay + votingPeriod + 1 + timelockDelay)
  })
})
