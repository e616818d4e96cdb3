/** KMS nodes and root keys: a quote over HTTP, judged, simulated, brought to the registries of a DAO. */
import { createHash } from 'node:crypto'

import { createWalletClient, http } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import {
  bindToNewestBlock,
  hostReportData,
  readHost,
  signHostPermit,
} from '../../src/chain/registries/hosts.ts'
import { addKmsAggregatedMr, addKmsDevice } from '../../src/chain/registries/registry.ts'
import { type RootKeyPair, readProof, rootKeyId } from '../../src/chain/registries/root-keys.ts'
import { uploadCollateral } from '../../src/chain/verifier/collateral.ts'
import { type Hex, to0x } from '../../src/lib/bytes.ts'
import { type Collateral, parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { bootstrapReportData, mrAggregated } from '../../src/quote/measurements/measure.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import {
  createKmsNodeTarget,
  createRootKeyTarget,
} from '../../src/relayer/outbox/intent-targets.ts'
import { type Relayer, startRelayer } from '../../src/relayer/service.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { findAnvil } from '../anvil.ts'
import { createFixture, createFixtureVerifier, log, type RelayerFixture } from './fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: KMS nodes and root keys are SKIPPED. ***\n')

const token = 'token'
const headers = { authorization: `Bearer ${token}` }

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown> & { id: string }
}

describe.skipIf(absent)('quotes for KMS nodes and root keys:', () => {
  let fixture: RelayerFixture
  let relayer: Relayer
  let collateral: Collateral
  let cvm: SimulatedCvm
  const operator = privateKeyToAccount(generatePrivateKey())
  const keys: RootKeyPair = {
    caPublicKey: new Uint8Array(91).fill(7),
    k256PublicKey: new Uint8Array(33).fill(5).with(0, 2),
  }

  beforeAll(async () => {
    fixture = await createFixture({ isOpen: true })
    cvm = fixture.simulator
      .createPlatform({ name: 'kms' })
      .createCvm({ image: createImage(), compose: '{}' })
  })
  beforeEach(async () => {
    await relayer?.stop()
    await fixture.reset()
    const issuedAt = fixture.clock() - 86_400
    collateral = parseCollateral(fixture.simulator.collateral({ issuedAt }))
    await uploadCollateral(
      fixture.dao.clients.stranger,
      fixture.addresses.quoteVerifier,
      collateral,
    )
    relayer = await start()
  })
  afterAll(async () => {
    await relayer?.stop()
    await fixture?.stop()
  })

  const start = () =>
    startRelayer({
      chainId: foundry.id,
      clients: [fixture.client],
      targets: {
        'kms-node': createKmsNodeTarget(fixture.addresses.hosts, fixture.addresses.kmsAuth),
        'root-key': createRootKeyTarget(fixture.addresses.rootKeys),
      },
      signer: fixture.signer,
      db: fixture.database.db,
      verifySubmission: createFixtureVerifier(fixture, async () => collateral),
      operators: [{ name: 'ops', tokenSha256: createHash('sha256').update(token).digest('hex') }],
      clock: fixture.clock,
      log,
      finality: { depth: 0 },
      pollMs: 50,
    })

  async function send(body: unknown): Promise<Answer> {
    const response = await fetch(`${relayer.url}/v1/quotes`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Answer['body'] }
  }

  async function read(id: string): Promise<Record<string, unknown>> {
    return (await (await fetch(`${relayer.url}/v1/quotes/${id}`, { headers })).json()) as never
  }

  async function settled(id: string): Promise<Record<string, unknown>> {
    await (await fetch(`${relayer.url}/v1/quotes/${id}/events`, { headers })).text()
    return read(id)
  }

  /** As the operator of the node does. */
  async function nodeRequest() {
    await fixture.pass(1)
    const binding = await bindToNewestBlock(
      fixture.client,
      fixture.addresses.hosts,
      operator.address,
    )
    await fixture.pass(1)
    const { quote, eventLog } = await cvm.source.attest(hostReportData(binding))
    const wallet = createWalletClient({
      account: operator,
      chain: foundry,
      transport: http(fixture.anvil.url),
    })
    const signed = await signHostPermit(wallet, binding, quote, fixture.clock() + 3_600)
    const blockNumber = Number(binding.block.number)
    const permit = { ...signed, operator: operator.address, blockNumber }
    return { purpose: 'kms-node', quote: to0x(quote), eventLog, permit }
  }

  async function keyRequest(committed: RootKeyPair = keys) {
    const reportData = bootstrapReportData(committed.caPublicKey, committed.k256PublicKey)
    const { quote, eventLog } = await cvm.source.attest(reportData)
    const permit = {
      caPublicKey: to0x(keys.caPublicKey),
      k256PublicKey: to0x(keys.k256PublicKey),
    }
    return { purpose: 'root-key', quote: to0x(quote), eventLog, permit }
  }

  function measurementOf(quote: Uint8Array): Hex {
    const { report } = parseQuote(quote)
    return to0x(mrAggregated(report, report.rtmrs[3]))
  }

  async function allowKms(): Promise<void> {
    const measurement = measurementOf(cvm.quote(new Uint8Array(64)))
    await fixture.dao.decide(
      [
        addKmsAggregatedMr(fixture.addresses.kmsAuth, measurement),
        addKmsDevice(fixture.addresses.kmsAuth, to0x(cvm.deviceId)),
      ],
      'allow the KMS',
    )
    await fixture.pass(1)
  }

  const nonces = () => fixture.client.getTransactionCount({ address: fixture.signer.address })

  test('a node that the DAO allows is registered once, at the cost of the relayer', async () => {
    await allowKms()
    const request = await nodeRequest()
    const { status, body } = await send(request)
    expect(status).toBe(202)

    expect(await settled(body.id)).toMatchObject({ state: 'final', purpose: 'kms-node' })
    expect(
      await readHost(fixture.client, fixture.addresses.hosts, to0x(cvm.deviceId)),
    ).toMatchObject({
      operator: operator.address,
      provenAtBlock: request.permit.blockNumber,
    })
    expect(await send(request)).toMatchObject({ status: 200, body: { id: body.id } })
    expect(await nonces()).toBe(1)
  })

  test('a node that the DAO does not allow costs no gas, and the missing approval is named', async () => {
    const { body } = await send(await nodeRequest())

    await expect
      .poll(() => read(body.id), { timeout: 20_000 })
      .toMatchObject({
        lastError: {
          code: 'RELAYER_KMS_NOT_ALLOWED',
          facts: { isMeasured: false, isDevice: false },
        },
      })
    expect(await nonces()).toBe(0)
  })

  test('root keys are registered with the quote of their creation by any sender', async () => {
    await allowKms()
    const { body } = await send(await keyRequest())

    expect(await settled(body.id)).toMatchObject({ state: 'final', purpose: 'root-key' })
    const proof = await readProof(fixture.client, fixture.addresses.rootKeys, rootKeyId(keys))
    expect(proof).toMatchObject({
      deviceId: to0x(cvm.deviceId),
      mrAggregated: measurementOf(cvm.quote(new Uint8Array(64))),
      // proven, and nothing allowed by it: that is the DAO's to decide
      epoch: 0,
    })
    expect(proof.provenAt).toBeGreaterThan(0)
    expect(await nonces()).toBe(1)
  })

  test('root keys of a KMS that the DAO does not allow cost no gas', async () => {
    const { body } = await send(await keyRequest())

    await expect
      .poll(() => read(body.id), { timeout: 20_000 })
      .toMatchObject({
        lastError: {
          code: 'RELAYER_REVERTED',
          facts: { error: 'RootKeyMeasurementNotAllowed' },
        },
      })
    expect(await nonces()).toBe(0)
  })

  test('root keys that the quote does not commit to are refused by the API', async () => {
    const others = { ...keys, k256PublicKey: keys.k256PublicKey.with(0, 3) }
    const { status, body } = await send(await keyRequest(others))

    expect(status).toBe(400)
    expect(body).toMatchObject({
      error: { code: 'INPUT_INVALID', facts: { fields: ['caPublicKey', 'k256PublicKey'] } },
    })
  })

  test('one quote for two purposes is two intents, and only the one with the right permit is submitted', async () => {
    await allowKms()
    const request = await keyRequest()
    const asNode = await send({ ...request, purpose: 'kms-node' })
    expect(asNode).toMatchObject({ status: 400, body: { error: { code: 'INPUT_INVALID' } } })

    const { body } = await send(request)
    expect(await settled(body.id)).toMatchObject({ state: 'final' })
  })

  test('a permit for a KMS node that its operator did not sign is refused by the API', async () => {
    const request = await nodeRequest()
    const permit = { ...request.permit, deadline: request.permit.deadline + 1 }

    expect(await send({ ...request, permit })).toMatchObject({
      status: 400,
      body: { error: { code: 'INPUT_INVALID', facts: { fields: ['permit'] } } },
    })
  })
})
