/** The real thing: a simulated machine's quote, over HTTP, through the relayer, into the registry of hosts. */
import { createHash } from 'node:crypto'

import { secp256k1 } from '@noble/curves/secp256k1.js'
import hre from 'hardhat'
import {
  createPublicClient,
  createWalletClient,
  encodeFunctionData,
  http,
  type PublicClient,
  zeroAddress,
  zeroHash,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hostsAbi } from '../../../src/chain/abi.ts'
import {
  bindToNewestBlock,
  hostReportData,
  readHost,
  signHostPermit,
} from '../../../src/chain/registries/hosts.ts'
import { uploadCollateral } from '../../../src/chain/verifier/collateral.ts'
import { deployVerifier, type LinkableArtifact } from '../../../src/chain/verifier/verifier.ts'
import { fromHex, type Hex, to0x } from '../../../src/lib/bytes.ts'
import { createLog } from '../../../src/lib/log.ts'
import { parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import { parsePolicy } from '../../../src/quote/policy.ts'
import { type OpenDatabase, openDatabase } from '../../../src/relayer/database/database.ts'
import { createSubmissionVerifier } from '../../../src/relayer/intake/verify-quote.ts'
import { createHostTarget } from '../../../src/relayer/outbox/intent-targets.ts'
import { type Relayer, startRelayer } from '../../../src/relayer/service.ts'
import { createLocalSigner } from '../../../src/relayer/signer/signer.ts'
import { createImage } from '../../../src/tee/simulator/image.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { type Anvil, anvilKeys, findAnvil, startAnvil } from '../../anvil.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the way of a quote to the registry is SKIPPED. ***\n')

describe.skipIf(absent)('the relayer and the host registry:', () => {
  const simulator = createSimulator({ seed: new Uint8Array(32).fill(9) })
  const collateral = parseCollateral(simulator.collateral())
  const platform = simulator.createPlatform()
  const cvm = platform.createCvm({ image: createImage(), compose: '{"manifest_version":2}' })
  const token = 'token'
  let anvil: Anvil
  let client: PublicClient
  let hosts: Hex
  let database: OpenDatabase
  let relayer: Relayer

  const walletOf = (key: Hex) =>
    createWalletClient({
      account: privateKeyToAccount(key),
      chain: foundry,
      transport: http(anvil.url),
    })

  beforeAll(async () => {
    anvil = await startAnvil()
    client = createPublicClient({
      chain: foundry,
      transport: http(anvil.url),
      cacheTime: 0,
      pollingInterval: 20,
    })
    hosts = await deploy()
    database = await openDatabase({ memory: true })
    const clock = () => Math.floor(Date.now() / 1000)
    relayer = await startRelayer({
      chainId: foundry.id,
      clients: [client],
      targets: { host: createHostTarget(hosts) },
      signer: createLocalSigner(anvilKeys[0]),
      db: database.db,
      verifySubmission: createSubmissionVerifier({
        clock,
        collateral: async () => collateral,
        root: simulator.rootCertificate,
        policy: parsePolicy({}),
      }),
      operators: [{ name: 'ops', tokenSha256: createHash('sha256').update(token).digest('hex') }],
      clock,
      log: createLog({ service: 'test', level: 'silent' }),
      finality: { depth: 0 },
      pollMs: 100,
    })
  })

  afterAll(async () => {
    await relayer?.stop()
    await database?.close()
    await anvil?.stop()
  })

  async function deploy(): Promise<Hex> {
    const clients = { publicClient: client, walletClient: walletOf(anvilKeys[2]) }
    const verifier = await deployVerifier({
      ...clients,
      artifacts: async (name) =>
        (await hre.artifacts.readArtifact(name)) as unknown as LinkableArtifact,
      root: simulator.rootCertificate,
    })
    await uploadCollateral(clients, verifier, collateral)
    const rules = {
      attestedSince: 0,
      minLifetime: 0,
      maxLifetime: 30 * 86_400,
      window: 256,
      minEvaluationNumber: 0,
      isOpen: true,
      activationDelay: 0,
    }
    const implementation = await place('Hosts', [])
    const initialize = encodeFunctionData({
      abi: hostsAbi,
      functionName: 'initialize',
      args: [clients.walletClient.account.address, verifier, zeroAddress, 86_400, rules],
    })
    return place('ERC1967Proxy', [implementation, initialize])
  }

  async function place(contract: string, args: unknown[]): Promise<Hex> {
    const { abi, bytecode } = await hre.artifacts.readArtifact(contract)
    const hash = await walletOf(anvilKeys[2]).deployContract({
      abi,
      bytecode: bytecode as Hex,
      args,
    })
    return (await client.waitForTransactionReceipt({ hash })).contractAddress as Hex
  }

  /** What an operator does: binds a quote to the newest block and signs that anyone may bring it. */
  async function prepare(signWith: Hex = anvilKeys[1]) {
    const operator = privateKeyToAccount(anvilKeys[1]).address
    await anvil.client.mine({ blocks: 1 })
    const binding = await bindToNewestBlock(client, hosts, operator)
    await anvil.client.mine({ blocks: 1 })
    const { quote, eventLog } = await cvm.source.attest(hostReportData(binding))
    const deadline = Math.floor(Date.now() / 1000) + 3_600
    const signed = await signHostPermit(walletOf(signWith), binding, quote, deadline)
    const permit = { ...signed, operator, blockNumber: Number(binding.block.number) }
    return { purpose: 'host', quote: to0x(quote), eventLog, permit }
  }

  async function send(body: unknown) {
    const headers = { authorization: `Bearer ${token}` }
    const response = await fetch(`${relayer.url}/v1/quotes`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  async function settled(id: unknown): Promise<Record<string, unknown>> {
    const headers = { authorization: `Bearer ${token}` }
    await (await fetch(`${relayer.url}/v1/quotes/${id}/events`, { headers })).text()
    return (await (await fetch(`${relayer.url}/v1/quotes/${id}`, { headers })).json()) as never
  }

  const deviceId = to0x(cvm.deviceId)

  test('a submitted quote registers the host, and the operator pays nothing', async () => {
    const request = await prepare()
    const { body } = await send(request)

    expect(await settled(body.id)).toMatchObject({ state: 'final' })
    expect(await readHost(client, hosts, deviceId)).toMatchObject({
      operator: request.permit.operator,
      provenAtBlock: request.permit.blockNumber,
    })
    expect(await client.getTransactionCount({ address: request.permit.operator })).toBe(0)
  })

  test('a later quote renews the proof, and a repeated quote changes nothing', async () => {
    const request = await prepare()
    const { body } = await send(request)
    await settled(body.id)
    const before = await client.getTransactionCount({
      address: createLocalSigner(anvilKeys[0]).address,
    })

    const repeated = await send(request)

    expect(repeated).toMatchObject({ status: 200, body: { id: body.id, state: 'final' } })
    expect((await readHost(client, hosts, deviceId)).provenAtBlock).toBe(request.permit.blockNumber)
    expect(
      await client.getTransactionCount({ address: createLocalSigner(anvilKeys[0]).address }),
    ).toBe(before)
  })

  test('a useless permit is refused before the quote is stored, and the right one is accepted', async () => {
    const request = await prepare()
    const { permit, quote } = request
    const attacker = walletOf(anvilKeys[2])
    const block = { number: BigInt(permit.blockNumber), hash: zeroHash }
    const binding = { chainId: foundry.id, registry: hosts, operator: permit.operator, block }
    const bytes = fromHex(quote, 'quote')
    const stolen = await signHostPermit(attacker, binding, bytes, permit.deadline)
    const useless = {
      'signed by another account': { ...permit, signature: stolen.signature },
      'of another operator': { ...permit, ...stolen },
      'with another deadline': { ...permit, deadline: permit.deadline + 1 },
      'of another block': { ...permit, blockNumber: permit.blockNumber - 1 },
      'in the second form of the signature': {
        ...permit,
        signature: secondForm(permit.signature),
      },
    }
    const before = await client.getTransactionCount({
      address: createLocalSigner(anvilKeys[0]).address,
    })

    for (const [name, permit] of Object.entries(useless)) {
      expect(await send({ ...request, permit }), name).toMatchObject({
        status: 400,
        body: { error: { code: 'INPUT_INVALID', facts: { fields: ['permit'] } } },
      })
    }
    expect(
      await client.getTransactionCount({ address: createLocalSigner(anvilKeys[0]).address }),
    ).toBe(before)
    const { status, body } = await send(request)
    expect(status).toBe(202)
    expect(await settled(body.id)).toMatchObject({ state: 'final' })
  })

  test('a permit of a block that the endpoints do not know is an outage', async () => {
    const request = await prepare()
    const permit = { ...request.permit, blockNumber: 1_000_000_000 }

    expect(await send({ ...request, permit })).toMatchObject({
      status: 503,
      body: { error: { code: 'RELAYER_CHAIN_UNREACHABLE' } },
    })
  })

  test('a permit with a wrong field is refused by the API', async () => {
    const request = await prepare()
    const { body } = await send({ ...request, permit: { ...request.permit, deadline: 'soon' } })

    expect(body).toMatchObject({
      error: { code: 'INPUT_INVALID', facts: { fields: ['deadline'] } },
    })
  })
})

/** The other valid form of an ECDSA signature: n - s, with the other recovery value. Contracts refuse it (EIP-2). */
function secondForm(signature: Hex): Hex {
  const order = secp256k1.Point.Fn.ORDER
  const s = order - BigInt(`0x${signature.slice(66, 130)}`)
  const v = signature.endsWith('1b') ? '1c' : '1b'
  return `${signature.slice(0, 66)}${s.toString(16).padStart(64, '0')}${v}` as Hex
}
