/** Hosts and root keys with simulated quotes, each verified on-chain by the real verifier. */

import { createECDH, generateKeyPairSync } from 'node:crypto'
import hre from 'hardhat'
import { type EIP1193Provider, encodeFunctionData } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import { kmsAuthAbi } from '../../../src/chain/abi.ts'
import { noEnd } from '../../../src/chain/approval.ts'
import { type Call, sendCall } from '../../../src/chain/call.ts'
import type { Addresses } from '../../../src/chain/record/deployments.ts'
import {
  bindToNewestBlock,
  hostReportData,
  readAdmission,
  registerHost,
  registerHostFor,
  signHostPermit,
} from '../../../src/chain/registries/hosts.ts'
import {
  addKmsAggregatedMr,
  addKmsDevice,
  approve,
  readState,
  suspend,
} from '../../../src/chain/registries/registry.ts'
import {
  proveRootKey,
  readCurrentRootKey,
  rootKeyId,
} from '../../../src/chain/registries/root-keys.ts'
import { uploadCollateral } from '../../../src/chain/verifier/collateral.ts'
import { standardHostRules } from '../../../src/deploy/deploy.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { to0x } from '../../../src/lib/bytes.ts'
import { parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import { bootstrapReportData, mrAggregated } from '../../../src/quote/measurements/measure.ts'
import { parseQuote } from '../../../src/quote/parse.ts'
import type { Platform } from '../../../src/tee/simulator/platform.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { chainTime, createDao, type Dao, hardhatArtifacts } from '../dao.ts'

let dao: Dao
let at: Required<Addresses>
let platform: Platform

beforeAll(async () => {
  const { provider } = await hre.network.create()
  const time = Math.floor(Date.now() / 1000)
  const simulator = createSimulator({ at: time })
  dao = await createDao({
    provider: provider as unknown as EIP1193Provider,
    artifacts: hardhatArtifacts(hre),
    mode: 'hardhat',
    attestation: { root: simulator.rootCertificate, hosts: standardHostRules },
  })
  at = dao.addresses as Required<Addresses>
  platform = simulator.createPlatform()
  const collateral = parseCollateral(simulator.collateral())
  await uploadCollateral(dao.clients.stranger, at.quoteVerifier, collateral)
})

async function errorOf(action: Promise<unknown>): Promise<unknown> {
  return action.then(
    () => 'done',
    (error: unknown) => (isAssentError(error) ? (error.facts.error ?? error.code) : error),
  )
}

describe('a host', () => {
  const device = () => to0x(platform.deviceId)

  test('is proven by its quote, admitted by the DAO, and evicted by the guardian', async () => {
    const { clients, publicClient, decide } = dao
    const operator = clients.owner.walletClient.account.address
    await decide([approve(at.hosts, [{ kind: 'host', id: device() }], noEnd)], 'Admit a machine')
    const binding = await bindToNewestBlock(publicClient, at.hosts, operator)
    const quote = platform.quote({ td: { reportData: hostReportData(binding) } })
    const deadline = (await chainTime(publicClient)) + 3600
    const permit = await signHostPermit(clients.owner.walletClient, binding, quote, deadline)
    await dao.pass(1)

    await sendCall(clients.stranger, registerHostFor(at.hosts, quote, binding.block.number, permit))

    expect(await readAdmission(publicClient, at.hosts, device())).toMatchObject({
      isAdmitted: true,
    })
    await sendCall(clients.guardian, suspend(at.hosts, 'host', [device()]))
    expect(await readAdmission(publicClient, at.hosts, device())).toEqual({
      isAdmitted: false,
      validUntil: 0,
    })
  })

  test('is not proven by a debug TD, a quote for another registry, or a changed byte', async () => {
    const { clients, publicClient } = dao
    const operator = clients.owner.walletClient.account.address
    const binding = await bindToNewestBlock(publicClient, at.hosts, operator)
    const reportData = hostReportData(binding)
    await dao.pass(1)
    const debug = platform.quote({
      td: { reportData, tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) },
    })
    const honest = platform.quote({ td: { reportData } })
    const changed = honest.slice()
    changed[200] = (changed[200] ?? 0) ^ 1
    const prove = (quote: Uint8Array, from = clients.owner) =>
      errorOf(sendCall(from, registerHost(at.hosts, quote, binding.block.number)))

    expect(await prove(debug)).toBe('PolicyBreached')
    expect(await prove(changed)).toBe('HostQuoteRejected')
    expect(await prove(honest, clients.stranger)).toBe('HostReportDataMismatch')
    expect(await prove(honest)).toBe('done')
  })
})

describe('a root key', () => {
  // what a KMS makes at its bootstrap
  const ca = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const k256 = createECDH('secp256k1')
  k256.generateKeys()
  const pair = {
    caPublicKey: new Uint8Array(ca.publicKey.export({ type: 'spki', format: 'der' })),
    k256PublicKey: new Uint8Array(k256.getPublicKey(undefined, 'compressed')),
  }

  test('is registered with the quote of its creation and serves the epoch that the DAO opens', async () => {
    const { clients, publicClient, decide } = dao
    const { kmsAuth, rootKeys } = at
    const reportData = bootstrapReportData(pair.caPublicKey, pair.k256PublicKey)
    const quote = platform.quote({ td: { reportData } })
    const { report } = parseQuote(quote)
    const measurement = mrAggregated(report, report.rtmrs[3])
    const prove: Call = proveRootKey(rootKeys, quote, pair)
    expect(await errorOf(sendCall(clients.stranger, prove))).toBe('RootKeyMeasurementNotAllowed')
    await decide(
      [
        addKmsAggregatedMr(kmsAuth, to0x(measurement)),
        addKmsDevice(kmsAuth, to0x(platform.deviceId)),
      ],
      'Allow the KMS',
    )

    await sendCall(clients.stranger, prove)
    expect(await readCurrentRootKey(publicClient, rootKeys)).toBeUndefined()
    await decide(
      [approve(rootKeys, [{ kind: 'rootKey', id: rootKeyId(pair) }], noEnd)],
      'Open the first epoch',
    )

    expect(await readCurrentRootKey(publicClient, rootKeys)).toEqual({
      epoch: 1,
      id: rootKeyId(pair),
      state: 'active',
    })
    expect(await readState(publicClient, rootKeys, 'rootKey', rootKeyId(pair))).toBe('active')
  })

  test('is not registered from a debug TD or a TD that can migrate', async () => {
    const [prefix = 2, ...x] = pair.k256PublicKey
    // the mirrored point: another key, for both prefixes of the random one
    const other = { ...pair, k256PublicKey: Uint8Array.of(5 - prefix, ...x) }
    const reportData = bootstrapReportData(other.caPublicKey, other.k256PublicKey)
    const v5 = { version: 5, bodyType: 3 } as const
    const mrServiceTd = new Uint8Array(48).fill(0x66)
    const attributes = (...bits: number[]) => Uint8Array.of(...bits, 0, 0, 0, 0)
    const migratable = attributes(0, 0, 0, 0x30)
    const quotes = [
      platform.quote({ td: { reportData, tdAttributes: attributes(1, 0, 0, 0x10) } }),
      platform.quote({ td: { reportData, tdAttributes: attributes(0, 0, 0, 0) } }),
      platform.quote({ td: { reportData, tdAttributes: migratable } }),
      platform.quote({ ...v5, td: { reportData, tdAttributes: migratable, mrServiceTd } }),
      platform.quote({ ...v5, td: { reportData, mrServiceTd } }),
    ]
    for (const quote of quotes) {
      const proven = sendCall(dao.clients.stranger, proveRootKey(at.rootKeys, quote, other))
      expect(await errorOf(proven)).toBe('PolicyBreached')
    }
  })

  test('is not registered with a quote that commits to another key', async () => {
    const other = { ...pair, k256PublicKey: Uint8Array.of(2, ...pair.caPublicKey.slice(0, 32)) }
    const reportData = bootstrapReportData(pair.caPublicKey, pair.k256PublicKey)
    const quote = platform.quote({ td: { reportData } })

    const proven = sendCall(dao.clients.stranger, proveRootKey(at.rootKeys, quote, other))

    expect(await errorOf(proven)).toBe('RootKeyCommitmentMismatch')
  })
})

describe('KmsAuth', () => {
  test('asks the host registry once the DAO has set it', async () => {
    const { decide, publicClient } = dao
    await decide(
      [
        {
          to: at.kmsAuth,
          data: encodeFunctionData({
            abi: kmsAuthAbi,
            functionName: 'setHosts',
            args: [at.hosts, noEnd],
          }),
          summary: 'require proven hosts',
        },
      ],
      'Only proven hosts',
    )

    const hosts = await publicClient.readContract({
      address: at.kmsAuth,
      abi: kmsAuthAbi,
      functionName: 'hosts',
    })
    expect(hosts.toLowerCase()).toBe(at.hosts)
  })
})
