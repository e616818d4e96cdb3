/** The registry of hosts on anvil, which keeps 8,191 block hashes (EIP-2935) as a real chain does. */

import hre from 'hardhat'
import {
  type AbiFunction,
  type Address,
  type EIP1193Provider,
  encodeAbiParameters,
  encodeFunctionData,
  getAddress,
  http,
  keccak256,
  stringToHex,
  zeroAddress,
} from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hostsAbi } from '../../src/chain/abi.ts'
import { noEnd } from '../../src/chain/approval.ts'
import { type Call, type Clients, sendCall } from '../../src/chain/call.ts'
import {
  bindToNewestBlock,
  type HostBinding,
  hostReportData,
  readAdmission,
  readHost,
  registerHost,
  registerHostFor,
  signHostPermit,
} from '../../src/chain/registries/hosts.ts'
import { approve } from '../../src/chain/registries/registry.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { type Hex, to0x } from '../../src/lib/bytes.ts'
import { type Anvil, findAnvil, startAnvil } from '../anvil.ts'
import { chainTime, connect, type People } from './dao.ts'
import { isolatedTdReport } from './registries.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests of the host registry are SKIPPED. ***\n')

describe.skipIf(absent)('the host registry', () => {
  const device: Hex = `0x${'d1'.repeat(32)}`
  let anvil: Anvil
  let people: People
  let hosts: Address

  beforeAll(async () => {
    anvil = await startAnvil({ args: ['--chain-id', '31337'] })
    const { request } = http(anvil.url)({ retryCount: 0 })
    people = await connect({ request } as unknown as EIP1193Provider)
    hosts = await deployHosts(people.deployer)
    await sendCall(people.deployer, approve(hosts, [{ kind: 'host', id: device }], noEnd))
  })

  afterAll(() => anvil?.stop())

  async function place(clients: Clients, contract: string, args: unknown[]): Promise<Address> {
    const { abi, bytecode } = await hre.artifacts.readArtifact(contract)
    const hash = await clients.walletClient.deployContract({
      abi,
      bytecode: bytecode as Hex,
      args,
    })
    const receipt = await clients.publicClient.waitForTransactionReceipt({ hash })
    return receipt.contractAddress as Address
  }

  async function deployHosts(clients: Clients): Promise<Address> {
    const verifier = await place(clients, 'AcceptingVerifier', [])
    const implementation = await place(clients, 'Hosts', [])
    const init = encodeFunctionData({
      abi: hostsAbi,
      functionName: 'initialize',
      args: [
        clients.walletClient.account.address,
        verifier,
        zeroAddress,
        86_400,
        {
          attestedSince: 0,
          minLifetime: 0,
          maxLifetime: 30 * 86_400,
          window: 8191,
          minEvaluationNumber: 0,
          isOpen: false,
          activationDelay: 0,
        },
      ],
    })
    return place(clients, 'ERC1967Proxy', [implementation, init])
  }

  /** What the trusting verifier takes for a quote. */
  async function quoteFor(reportData: Uint8Array): Promise<Uint8Array> {
    const { abi } = await hre.artifacts.readArtifact('AcceptingVerifier')
    const verify = (abi as readonly AbiFunction[]).find((item) => item.name === 'verify')
    const expiresAt = BigInt((await chainTime(people.deployer.publicClient)) + 86_400)
    const report = {
      verdict: 1,
      status: 1,
      launchStatus: 1,
      currentStatus: 1,
      version: 4,
      bodyType: 2,
      tcbEvaluationNumber: 20,
      qeEvaluationNumber: 20,
      tcbDate: 1_700_000_000n,
      collateralIssuedAt: 1_700_000_000n,
      expiresAt,
      fmspc: '0xb0c06f000000',
      deviceId: device,
      platformInstanceId: `0x${'00'.repeat(16)}`,
      quoteId: keccak256(reportData),
      advisories: [stringToHex('INTEL-SA-00837', { size: 32 })],
      td: to0x(isolatedTdReport(reportData)),
    }
    const encoded = encodeAbiParameters(verify?.outputs ?? [], [report])
    return Buffer.from(encoded.slice(2), 'hex')
  }

  async function errorOf(call: Promise<unknown>): Promise<unknown> {
    return call.then(
      () => 'done',
      (error: unknown) => (isAssentError(error) ? (error.facts.error ?? error.code) : error),
    )
  }

  function send(clients: Clients, call: Call) {
    return sendCall(clients, call)
  }

  async function bindingOf(clients: Clients): Promise<HostBinding> {
    const { publicClient, walletClient } = clients
    const binding = await bindToNewestBlock(publicClient, hosts, walletClient.account.address)
    await anvil.client.mine({ blocks: 1 })
    return binding
  }

  test('computes the report data that the contract expects', async () => {
    const binding = await bindingOf(people.owner)

    const expected = await people.owner.publicClient.readContract({
      address: hosts,
      abi: hostsAbi,
      functionName: 'reportDataFor',
      args: [binding.operator, binding.block.number, binding.block.hash],
    })

    expect(to0x(hostReportData(binding))).toBe(`${expected}${'00'.repeat(32)}`)
  })

  test('stores every field of a proof that its operator registers', async () => {
    const binding = await bindingOf(people.owner)
    const quote = await quoteFor(hostReportData(binding))

    await send(people.owner, registerHost(hosts, quote, binding.block.number))

    const host = await readHost(people.owner.publicClient, hosts, device)
    expect(host).toMatchObject({
      operator: getAddress(people.owner.walletClient.account.address),
      tcbEvaluationNumber: 20,
      provenAtBlock: Number(binding.block.number),
      fmspc: '0xb0c06f000000',
    })
    expect(await readAdmission(people.owner.publicClient, hosts, device)).toEqual({
      isAdmitted: true,
      validUntil: host.expiresAt,
    })
  })

  test('accepts a permit and quote from a relayer hundreds of blocks later, and only once', async () => {
    const binding = await bindingOf(people.owner)
    const quote = await quoteFor(hostReportData(binding))
    const deadline = (await chainTime(people.owner.publicClient)) + 86_400
    const permit = await signHostPermit(people.owner.walletClient, binding, quote, deadline)
    // past what the EVM itself remembers
    await anvil.client.mine({ blocks: 400 })
    const call = registerHostFor(hosts, quote, binding.block.number, permit)

    await send(people.stranger, call)

    const host = await readHost(people.owner.publicClient, hosts, device)
    expect(host.provenAtBlock).toBe(Number(binding.block.number))
    expect(await errorOf(send(people.stranger, call))).toBe('HostProofNotNewer')
  })

  test('refuses a permit of another operator and a quote with other report data', async () => {
    const binding = await bindingOf(people.owner)
    const quote = await quoteFor(hostReportData(binding))
    const deadline = (await chainTime(people.owner.publicClient)) + 86_400
    const foreign = await signHostPermit(people.voter.walletClient, binding, quote, deadline)
    const { operator } = await signHostPermit(people.owner.walletClient, binding, quote, deadline)
    const number = binding.block.number

    const stolen = registerHostFor(hosts, quote, number, { ...foreign, operator })
    expect(await errorOf(send(people.stranger, stolen))).toBe('PermitInvalid')
    const honest = registerHostFor(hosts, quote, number, foreign)
    expect(await errorOf(send(people.stranger, honest))).toBe('HostReportDataMismatch')
    const elsewhere = await quoteFor(hostReportData({ ...binding, chainId: 1 }))
    const call = registerHost(hosts, elsewhere, number)
    expect(await errorOf(send(people.owner, call))).toBe('HostReportDataMismatch')
  })
})
