/** Which vote gave an approval, in transactions that strangers built: anyone may execute a proposal. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  type Address,
  concatHex,
  encodeAbiParameters,
  encodeEventTopics,
  type Hex,
  pad,
  size,
  toEventSelector,
  toHex,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { type ApprovalRef, findVote } from '../../src/audit/deciding-vote.ts'
import { findDecision } from '../../src/audit/find-decision.ts'
import { assentGovernorAbi, kmsAuthAbi, timelockControllerAbi } from '../../src/chain/abi.ts'
import { appKey } from '../../src/chain/approval.ts'
import type { Call } from '../../src/chain/call.ts'
import { executeCall } from '../../src/chain/governance/governance.ts'
import { deployAndRegisterApp, deployedApp } from '../../src/chain/registries/registry.ts'
import { anvilKeys, findAnvil } from '../anvil.ts'
import { daoTimes } from '../chain/dao.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'

/**
 * Code of a contract that emits `ProposalExecuted(777)`, makes a call, and goes on with the rest of its calldata. Input:
 * for each call its contract and its length (32 bytes each) and its calldata. It reverts for anything shorter, so for
 * every reader.
 */
function forgingExecutor(): Hex {
  const topic = toEventSelector('ProposalExecuted(uint256)').slice(2)
  const build = (stop: string, revert: string) => [
    `36602511${revert}`,
    `6103096000527f${topic}60206000a1`,
    '60403603604060003760006000602035600060006000355af1',
    `15${revert}`,
    `6020356040013614${stop}`,
    '6000600060203560400136036020356000305af1',
    `15${revert}`,
    '005b00',
    '5b60006000fd',
  ]
  const jump = (to: number) => `60${to.toString(16).padStart(2, '0')}57`
  const length = build(jump(0), jump(0)).join('').length / 2
  const code = build(jump(length - 8), jump(length - 6)).join('')
  const bytes = (code.length / 2).toString(16).padStart(2, '0')
  return `0x60${bytes}80600b6000396000f3${code}`
}

let fixture: TaskFixture
let folder: string
let forger: Address

const anyone = privateKeyToAccount(anvilKeys[2])

/** Makes calls in one transaction, with a forged event before each. */
async function makeAll(calls: readonly Call[]) {
  const { client } = fixture.anvil
  const data = concatHex(
    calls.flatMap((call) => [pad(call.to), pad(toHex(size(call.data))), call.data]),
  )
  const hash = await client.sendTransaction({
    ...{ account: anyone, chain: client.chain, to: forger, data, gas: 20_000_000n },
  })
  const receipt = await client.waitForTransactionReceipt({ hash })
  expect(receipt.status).toBe('success')
  return receipt
}

/** The governors that the record knows. */
const known = () => {
  const { governor, timelock, daoFactory } = fixture.addresses
  return { governor, timelock, daoFactory: { address: daoFactory as Address, block: 0n } }
}

const decisionOn = (approval: ApprovalRef) =>
  findDecision(fixture.anvil.client as never, approval, 0n, known())

type Receipt = Awaited<ReturnType<typeof makeAll>>

/** The vote that is found if these logs of another contract follow the approval's own event. */
function voteWith(approval: ApprovalRef, { logs }: Receipt, forged: readonly object[]) {
  const [topic] = encodeEventTopics({ abi: kmsAuthAbi, eventName: 'ApprovalGiven' })
  const at = logs.findIndex(({ topics }) => topics[0] === topic && topics[2] === approval.id)
  const given = logs[at] as Receipt['logs'][number]
  const claims = forged.map((log) => ({
    ...given,
    address: forger,
    ...log,
    logIndex: given.logIndex + 1,
  }))
  const all = [...logs.slice(0, at + 1), ...claims, ...logs.slice(at + 1)]
  const found = { logs: all as Receipt['logs'], logIndex: given.logIndex }
  return findVote(fixture.anvil.client as never, approval, found, known())
}

/** The data of a log `ProposalExecuted`. */
const executed = (id: bigint) => ({
  topics: encodeEventTopics({ abi: assentGovernorAbi, eventName: 'ProposalExecuted' }),
  data: pad(toHex(id)),
})

const imageOf = (digits: string): ApprovalRef => ({
  registry: fixture.addresses.kmsAuth,
  kind: 'osImage',
  id: `0x${digits.repeat(32)}`,
})

/** Proposes an approval for each image, and waits until both can be executed. */
async function passProposals(ids: readonly Hex[]): Promise<bigint[]> {
  const from = fixture.account('voter')
  const proposals: string[] = []
  for (const id of ids) {
    const { value } = await fixture.run('dao approve', {
      ...{ kind: 'os-image', ids: [id], from, yes: true },
    })
    proposals.push(String(value.proposals[0].id))
  }
  await fixture.advanceTime(daoTimes.votingDelay + 1)
  for (const proposal of proposals)
    await fixture.run('dao vote', { proposal, support: 'for', from, yes: true })
  await fixture.advanceTime(daoTimes.votingPeriod + 1)
  for (const proposal of proposals)
    await fixture.run('dao queue', { proposal, from: fixture.account('stranger'), yes: true })
  await fixture.advanceTime(daoTimes.timelockDelay + 1)
  return proposals.map(BigInt)
}

describe.skipIf(findAnvil() === undefined)(
  'the vote behind an approval',
  { timeout: 60_000 },
  () => {
    beforeAll(async () => {
      fixture = await createTaskFixture()
      folder = await mkdtemp(join(tmpdir(), 'assent-vote-'))
      const { client } = fixture.anvil
      const hash = await client.sendTransaction({
        ...{ account: anyone, chain: client.chain, data: forgingExecutor() },
      })
      const { contractAddress } = await client.waitForTransactionReceipt({ hash })
      forger = contractAddress as Address
    }, 120_000)
    afterAll(async () => {
      await fixture?.stop()
      if (folder !== undefined) await rm(folder, { recursive: true, force: true })
    })

    test('is each time the proposal that made the call, although another contract claims one', async () => {
      const [first, second] = [imageOf('e1'), imageOf('e2')]
      const proposals = await passProposals([first.id, second.id])
      const { governor } = fixture.addresses
      await makeAll(proposals.map((id) => executeCall(governor, id)))

      for (const [i, image] of [first, second].entries()) {
        const decision = await decisionOn(image)
        expect(decision?.vote).toMatchObject({ governor, proposal: proposals[i] })
        expect(decision?.vote?.votes.for).toBeGreaterThan(0n)
      }
    })

    test('is not a proposal that another call of the same transaction executed', async () => {
      const image = imageOf('e3')
      const [proposal] = (await passProposals([image.id])) as [bigint]
      const { kmsAuth, governor } = fixture.addresses
      const register = deployAndRegisterApp(kmsAuth, { owner: anyone.address })
      const receipt = await makeAll([register, executeCall(governor, proposal)])
      const app = { registry: kmsAuth, kind: 'app', id: appKey(deployedApp(receipt)) } as const

      expect((await decisionOn(image))?.vote).toMatchObject({ governor, proposal })
      expect(await decisionOn(app)).toMatchObject({ vote: undefined })

      // a claim that the timelock made the first call for this proposal
      const topics = encodeEventTopics({ abi: timelockControllerAbi, eventName: 'CallExecuted' })
      const real = receipt.logs.find((log) => log.topics[0] === topics[0])
      const call = encodeAbiParameters(
        [{ type: 'address' }, { type: 'uint256' }, { type: 'bytes' }],
        [kmsAuth, 0n, app.id],
      )
      const claim = { topics: real?.topics, data: call }
      expect(await voteWith(app, receipt, [claim])).toBeUndefined()
      expect(await voteWith(image, receipt, [claim, executed(777n)])).toMatchObject({ proposal })
    })

    test('is no claim of a foreign contract, which nobody asks', async () => {
      const { kmsAuth } = fixture.addresses
      const receipt = await makeAll([deployAndRegisterApp(kmsAuth, { owner: anyone.address })])
      const id = appKey(deployedApp(receipt))

      expect(await decisionOn({ registry: kmsAuth, kind: 'app', id })).toMatchObject({
        vote: undefined,
      })
    })

    test('is found for an app that a DAO of the factory owns', async () => {
      const owner = { from: fixture.account('voter'), yes: true }
      const { value: created } = await fixture.run('app create', owner)
      const app = created.app as Address
      const file = join(folder, 'dao.json')
      const token = { name: 'App', symbol: 'APP', holder: fixture.account('voter'), supply: '10' }
      const times = { votingDelay: '10s', votingPeriod: '100s', timelockDelay: '50s' }
      const rules = { proposalThreshold: '1', quorumPercent: 20, lateQuorumExtension: '10s' }
      const guardian = { guardian: 'nobody', suspension: '1h' }
      await writeFile(file, JSON.stringify({ token, ...times, ...rules, ...guardian }))
      const { value } = await fixture.run('dao create', { file, app, ...owner })
      const governor = value.dao.governor as Address
      await fixture.run('dao delegate', { to: 'self', governor, ...owner })
      await fixture.advanceTime(1)
      const release = join(folder, 'release.json')
      await writeFile(release, '{"manifest_version":2,"name":"shop"}')
      const proposed = await fixture.run('app release', {
        ...{ app, manifest: release, governor, ...owner },
      })
      const proposal = String(proposed.value.proposals[0].id)
      await fixture.advanceTime(12)
      await fixture.run('dao vote', { proposal, support: 'for', governor, ...owner })
      await fixture.advanceTime(120)
      await fixture.run('dao queue', { proposal, governor, ...owner })
      await fixture.advanceTime(60)
      await makeAll([executeCall(governor, BigInt(proposal))])
      const { value: status } = await fixture.run('app status', { app })
      const id = status.releases[0].id as Hex

      expect(await decisionOn({ registry: app, kind: 'release', id })).toMatchObject({
        vote: { governor, proposal: BigInt(proposal) },
      })
    })
  },
)
