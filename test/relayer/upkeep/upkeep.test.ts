/** Upkeep of the DAO through the outbox, on a real governor; and the KMS's own quotes as targets. */
import { encodeFunctionData, type PublicClient } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assentVotesAbi, rootKeysAbi } from '../../../src/chain/abi.ts'
import { sendCall } from '../../../src/chain/call.ts'
import { proposalState, propose, vote } from '../../../src/chain/governance/governance.ts'
import {
  addKmsAggregatedMr,
  addKmsDevice,
  approve,
  readApproval,
  suspend,
} from '../../../src/chain/registries/registry.ts'
import { rootKeyId } from '../../../src/chain/registries/root-keys.ts'
import { uploadCollateral } from '../../../src/chain/verifier/collateral.ts'
import { fromHex, type Hex, to0x } from '../../../src/lib/bytes.ts'
import { parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import { bootstrapReportData, mrAggregated } from '../../../src/quote/measurements/measure.ts'
import { parseQuote } from '../../../src/quote/parse.ts'
import { acceptQuote } from '../../../src/relayer/intake/quotes.ts'
import {
  createKmsNodeTarget,
  createRootKeyTarget,
} from '../../../src/relayer/outbox/intent-targets.ts'
import { readIntent } from '../../../src/relayer/outbox/intents.ts'
import {
  createUpkeepTarget,
  listUpkeep,
  parseUpkeepTask,
  requestUpkeep,
  runUpkeep,
  type UpkeepOptions,
  watchProposals,
} from '../../../src/relayer/upkeep/dao-upkeep.ts'
import { createImage } from '../../../src/tee/simulator/image.ts'
import { findAnvil } from '../../anvil.ts'
import { daoTimes } from '../../chain/dao.ts'
import { createFixture, type RelayerFixture } from '../fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: upkeep of the DAO are SKIPPED. ***\n')

describe('a host proof', () => {
  const registry: Hex = `0x${'aa'.repeat(20)}`
  const deviceId: Hex = `0x${'d1'.repeat(32)}`
  const at = 1_800_000_000

  /** A chain whose block 7 has the time `at`, and a host whose proof ends then or later. */
  function chainWith(expiresAt: number): PublicClient {
    return {
      readContract: async (asked: { address: Hex; args: unknown; blockNumber: bigint }) => {
        expect(asked).toMatchObject({ address: registry, args: [deviceId], blockNumber: 7n })
        return { expiresAt }
      },
      getBlock: async ({ blockNumber }: { blockNumber?: bigint }) => ({
        timestamp: BigInt(blockNumber === 7n ? at : at + 1_000),
      }),
    } as unknown as PublicClient
  }

  test.each([
    ['before the block', at - 1, true],
    ['in the second of the block', at, true],
    ['a second later', at + 1, false],
  ])('that ends %s counts as ended: %s', async (_, expiresAt, isDone) => {
    const payload = { task: 'end-proof', registry, deviceId, quote: '0x04' }
    const { isDone: check } = createUpkeepTarget(registry)
    expect(await check({ payload } as never, chainWith(expiresAt), 7n)).toBe(isDone)
  })
})

describe.skipIf(absent)('the upkeep of a DAO:', () => {
  let fixture: RelayerFixture
  beforeAll(async () => {
    fixture = await createFixture()
  })
  afterAll(() => fixture?.stop())

  /** The account of the relayer votes for itself. */
  async function delegateOwn() {
    await fixture.anvil.client.impersonateAccount({ address: fixture.signer.address })
    const hash = await fixture.anvil.client.sendTransaction({
      account: fixture.signer.address,
      to: fixture.addresses.votes,
      data: encodeFunctionData({
        abi: assentVotesAbi,
        functionName: 'delegate',
        args: [fixture.signer.address],
      }),
    } as never)
    // otherwise it can be mined with the next block, after which the votes do not count yet
    await fixture.client.waitForTransactionReceipt({ hash })
    await fixture.pass(2)
  }

  const image: Hex = `0x${'ab'.repeat(32)}`
  const options = (): UpkeepOptions => ({
    db: fixture.database.db,
    chainId: 31_337,
    reader: fixture.reader,
    governor: fixture.addresses.governor.toLowerCase() as Hex,
    registries: [{ address: fixture.addresses.kmsAuth, kinds: ['kmsDevice', 'kmsMeasurement'] }],
    fromBlock: 0,
    span: 5_000,
    clock: fixture.clock,
  })
  const targets = () => ({ upkeep: createUpkeepTarget(options().governor) })
  const stateOf = (id: bigint) => proposalState(fixture.client, fixture.addresses.governor, id)

  async function voted(description: string) {
    const { clients, addresses, pass } = fixture.dao
    const call = addKmsDevice(addresses.kmsAuth, image)
    const { id } = await propose(clients.voter, addresses.governor, [call], description)
    await pass(daoTimes.votingDelay + 1)
    await vote(clients.voter, addresses.governor, id, 'for')
    await fixture.pass(daoTimes.votingPeriod + 1)
    await watchProposals(options())
    return id
  }

  test('a successful proposal is queued and executed once', async () => {
    const id = await voted('move me')
    const queue = parseUpkeepTask({ task: 'queue', proposalId: id.toString() })
    expect(await listUpkeep(options())).toEqual([
      { task: 'queue', proposalId: id.toString(), description: 'move me' },
    ])
    const first = await requestUpkeep(options(), queue)
    expect(await requestUpkeep(options(), queue)).toEqual({ id: first.id, isNew: false })
    await fixture.drain(targets())
    expect(await stateOf(id)).toBe('queued')
    expect(await listUpkeep(options())).toEqual([])

    await fixture.pass(daoTimes.timelockDelay + 1)
    expect(await runUpkeep(options())).toBe(1)
    await fixture.drain(targets())
    expect(await stateOf(id)).toBe('executed')
    expect(await listUpkeep(options())).toEqual([])
    expect((await readIntent(fixture.database.db, first.id))?.state).toBe('final')
  })

  test('an impossible task costs no gas and gets a reason', async () => {
    const { clients, addresses } = fixture.dao
    const call = addKmsDevice(addresses.kmsAuth, image)
    const { id } = await propose(clients.voter, addresses.governor, [call], 'too early')
    const task = parseUpkeepTask({ task: 'execute', proposalId: id.toString() })
    const { id: intent } = await requestUpkeep(options(), task)

    expect(await fixture.drain(targets())).toBe(0n)
    expect(await readIntent(fixture.database.db, intent)).toMatchObject({
      state: 'abandoned',
      lastError: { code: 'RELAYER_REVERTED', facts: { error: 'GovernorUnexpectedProposalState' } },
    })
  })

  test('a suspension is listed with its end and can be proposed as a revocation', async () => {
    const { clients, addresses } = fixture.dao
    await fixture.dao.decide([addKmsDevice(addresses.kmsAuth, image)], 'allow')
    await sendCall(clients.guardian, suspend(addresses.kmsAuth, 'kmsDevice', [image]))
    await fixture.pass(1)
    await watchProposals(options())
    const [due] = (await listUpkeep(options())).filter(({ task }) => task === 'ratify')
    expect(due).toMatchObject({ kind: 'kmsDevice', id: image })

    const task = parseUpkeepTask({
      task: 'ratify',
      registry: addresses.kmsAuth,
      kind: 'kmsDevice',
      ids: [image],
      description: 'the device was opened',
    })
    const { id } = await requestUpkeep(options(), task)
    await fixture.drain(targets())
    // No account without votes can propose: the relayer says so instead of paying.
    const refused = await readIntent(fixture.database.db, id)
    expect(refused).toMatchObject({
      state: 'abandoned',
      lastError: { facts: { error: 'GovernorInsufficientProposerVotes' } },
    })
    await sendCall(clients.voter, {
      to: addresses.votes,
      data: encodeFunctionData({
        abi: assentVotesAbi,
        functionName: 'transfer',
        args: [fixture.signer.address, 10n],
      }),
      summary: 'give votes to the relayer',
    })
    await delegateOwn()
    await requestUpkeep(options(), task)
    await fixture.drain(targets())
    const done = await readIntent(fixture.database.db, id)
    expect(done).toMatchObject({ state: 'final', lastError: null })

    await fixture.pass(daoTimes.suspension + 1)
    expect((await listUpkeep(options())).filter((each) => each.task === 'ratify')).toEqual([])
    const { revoked } = await readApproval(fixture.client, addresses.kmsAuth, 'kmsDevice', image)
    expect(revoked).toBe(false)
  })

  test('expired approvals are marked', async () => {
    const { addresses } = fixture.dao
    const other: Hex = `0x${'cd'.repeat(32)}`
    const expiresAt = fixture.clock() + 2_000
    await fixture.dao.decide(
      [
        approve(
          addresses.kmsAuth,
          [{ kind: 'kmsDevice', id: other, expiresAt }],
          fixture.clock() + 10_000,
        ),
      ],
      'for a while',
    )
    await fixture.pass(2_001)
    expect(await listUpkeep(options())).toContainEqual({
      task: 'mark-expired',
      registry: addresses.kmsAuth,
      kind: 'kmsDevice',
      ids: [other],
    })
    await runUpkeep(options())
    await fixture.drain(targets())
    expect(
      (await readApproval(fixture.client, addresses.kmsAuth, 'kmsDevice', other)).endedAt,
    ).toBeGreaterThan(0)
  })

  test('a KMS node and its root keys are registered after the DAO approved them', async () => {
    const { addresses } = fixture.dao
    const at = fixture.clock() - 86_400
    const collateral = parseCollateral(fixture.simulator.collateral({ issuedAt: at }))
    await uploadCollateral(
      fixture.dao.clients.stranger,
      fixture.addresses.quoteVerifier,
      collateral,
    )
    const cvm = fixture.simulator
      .createPlatform({ name: 'kms' })
      .createCvm({ image: createImage(), compose: '{}' })
    const keys = {
      caPublicKey: to0x(new Uint8Array(91).fill(7)),
      k256PublicKey: `0x02${'05'.repeat(32)}` as Hex,
    }
    const [ca, k256] = [fromHex(keys.caPublicKey, 'ca', 91), fromHex(keys.k256PublicKey, 'k', 33)]
    const quote = cvm.quote(bootstrapReportData(ca, k256))
    const rootKey = createRootKeyTarget(fixture.addresses.rootKeys)
    const node = createKmsNodeTarget(fixture.addresses.hosts, addresses.kmsAuth)

    expect(() =>
      rootKey.parsePermit({ ...keys, k256PublicKey: `0x03${'05'.repeat(32)}` }, quote),
    ).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }))
    const { value } = rootKey.parsePermit(keys, quote)
    const errand = {
      id: '1',
      key: '1',
      payload: { quote: to0x(quote), deviceId: to0x(cvm.deviceId), permit: value },
    }
    const accepted = await acceptQuote(fixture.database.db, {
      chainId: 31_337,
      purpose: 'root-key',
      digest: `0x${'77'.repeat(32)}`,
      operator: 'test',
      eventLog: '[]',
      verdict: {},
      expiresAt: fixture.clock() + 365 * 86_400,
      payload: errand.payload,
      at: fixture.clock(),
    })
    const permit = { operator: fixture.signer.address, blockNumber: 1 }
    const nodeErrand = { ...errand, payload: { ...errand.payload, permit } }
    expect(await node.refusal?.(nodeErrand, fixture.client)).toMatchObject({
      code: 'RELAYER_KMS_NOT_ALLOWED',
      facts: { isMeasured: false, isDevice: false },
    })
    expect(await fixture.drain({ 'root-key': rootKey, ...targets() })).toBe(0n)
    expect(await readIntent(fixture.database.db, accepted.id)).toMatchObject({
      lastError: { facts: { error: 'RootKeyMeasurementNotAllowed' } },
    })

    const { report } = parseQuote(quote)
    const measurement = to0x(mrAggregated(report, report.rtmrs[3]))
    await fixture.dao.decide(
      [
        addKmsAggregatedMr(addresses.kmsAuth, measurement),
        addKmsDevice(addresses.kmsAuth, to0x(cvm.deviceId)),
      ],
      'allow the KMS',
    )
    expect(await node.refusal?.(nodeErrand, fixture.client)).toBeUndefined()
    await acceptQuote(fixture.database.db, {
      chainId: 31_337,
      purpose: 'root-key',
      digest: `0x${'77'.repeat(32)}`,
      operator: 'test',
      eventLog: '[]',
      verdict: {},
      expiresAt: fixture.clock() + 365 * 86_400,
      payload: errand.payload,
      at: fixture.clock(),
    })
    await fixture.drain({ 'root-key': rootKey, ...targets() })
    const { provenAt } = await fixture.client.readContract({
      address: fixture.addresses.rootKeys,
      abi: rootKeysAbi,
      functionName: 'proofOf',
      args: [rootKeyId({ caPublicKey: ca, k256PublicKey: k256 })],
    })
    expect(provenAt).toBeGreaterThan(0)
    expect((await readIntent(fixture.database.db, accepted.id))?.state).toBe('final')
  })
})
