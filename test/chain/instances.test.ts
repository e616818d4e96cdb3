/**
 * Attested instances with a real verifier: a simulated CVM proves its key by quote and by key chain, a contract accepts its
 * signature, and each withdrawal ends it in the same block. The TypeScript view decides as the contract does.
 */
import { type Address, parseAbi } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'

import { appSignerAbi, appSignersAbi, instancesAbi } from '../../src/chain/abi.ts'
import { type Kind, noEnd, stateAt } from '../../src/chain/approval.ts'
import { type Call, sendCall } from '../../src/chain/call.ts'
import { setStatusAcceptedUntil } from '../../src/chain/governance/settings.ts'
import {
  setAllowAnyDevice,
  setRequireTcbUpToDate,
  supersede,
} from '../../src/chain/registries/app.ts'
import {
  instanceProofToJson,
  parseInstanceProof,
} from '../../src/chain/registries/instance-proof.ts'
import {
  createAppSigner,
  endInstance,
  endOfInstance,
  instanceBindingDigest,
  instanceReportData,
  instanceStatementDigest,
  judgeInstance,
  listInstances,
  missingSteps,
  readInstanceFacts,
  registrationOf,
  standings,
} from '../../src/chain/registries/instances.ts'
import * as registry from '../../src/chain/registries/registry.ts'
import { signInstanceBinding } from '../../src/kms/certify-instance.ts'
import { type Hex, to0x } from '../../src/lib/bytes.ts'
import { signK256Digest } from '../../src/lib/k256.ts'
import {
  addressOf,
  createInstanceSystem,
  type InstanceSystem,
  instanceKey,
} from './instance-system.ts'

const digest: Hex = `0x${'5a'.repeat(32)}`
let system: InstanceSystem

beforeAll(async () => {
  system = await createInstanceSystem()
})

function signed(key: Uint8Array): Hex {
  return to0x(signK256Digest(key, new Uint8Array(32).fill(0x5a)))
}

function isFrom(app: Address, key: Uint8Array): Promise<boolean> {
  return system.clients.publicClient.readContract({
    address: system.contracts.instances,
    abi: instancesAbi,
    functionName: 'isFrom',
    args: [app, digest, signed(key)],
  })
}

async function standingsOf(key: Uint8Array) {
  const client = system.clients.publicClient
  const block = await client.getBlock()
  const at = { address: system.contracts.instances, abi: instancesAbi } as const
  const onChain = await client.readContract({
    ...at,
    functionName: 'standingOf',
    args: [addressOf(key)],
    blockNumber: block.number,
  })
  const facts = await readInstanceFacts(client, system.contracts, addressOf(key), block.number)
  // an eth_call at a block sees its timestamp
  return { onChain: standings[onChain], judged: judgeInstance(facts, Number(block.timestamp)) }
}

describe('the digests of an instance', () => {
  test('are those of the contract', async () => {
    const binding = await system.bindingFor(instanceKey('digests'))
    const at = { address: system.contracts.instances, abi: instancesAbi } as const
    const { app, key, block } = binding
    const client = system.clients.publicClient
    const args = [app, key, block.number, block.hash] as const
    const found = await client.readContract({ ...at, functionName: 'bindingOf', args })

    expect(to0x(instanceBindingDigest(binding))).toBe(found)
    expect(to0x(instanceReportData(binding))).toBe(`${found}${'00'.repeat(32)}`)
    expect(to0x(instanceStatementDigest(binding, system.cvm.composeHash))).toBe(
      await client.readContract({
        ...at,
        functionName: 'statementOf',
        args: [found, system.composeHash],
      }),
    )
  })
})

describe('an instance', () => {
  const quoted = instanceKey('quoted')
  const issued = instanceKey('issued')

  test('speaks for its app after it proved its key by quote or by key chain', async () => {
    expect(await isFrom(system.app, quoted)).toBe(false)
    await system.send(await system.quoteKey(quoted))
    await system.send(await system.issueKey(issued))

    expect(await isFrom(system.app, quoted)).toBe(true)
    expect(await isFrom(system.app, issued)).toBe(true)
    expect(await isFrom(system.hosts, quoted)).toBe(false)
    expect(await standingsOf(quoted)).toEqual({ onChain: 'live', judged: 'live' })
    expect(await standingsOf(issued)).toEqual({ onChain: 'live', judged: 'live' })
  })

  test('is listed with the time at which it ends', async () => {
    const client = system.clients.publicClient
    const at = Number((await client.getBlock()).timestamp)
    const found = await listInstances(client, system.contracts, system.app, { fromBlock: 0n, at })
    const facts = await readInstanceFacts(client, system.contracts, addressOf(quoted))

    expect(found.map(({ way, standing }) => [way, standing])).toEqual([
      ['quote', 'live'],
      ['key-chain', 'live'],
    ])
    expect(found[0]?.endsAt).toBe(endOfInstance(facts))
  })

  test('hands over its proof as a file', async () => {
    const key = instanceKey('file')
    const binding = await system.bindingFor(key)
    const possession = signInstanceBinding(key, binding)
    const { quote, eventLog } = await system.cvm.source.attest(instanceReportData(binding))
    const { osImageHash, contracts } = system
    const json = instanceProofToJson({
      way: 'quote',
      binding,
      possession,
      quote,
      osImageHash,
      eventLog,
    })
    const proof = parseInstanceProof(JSON.parse(JSON.stringify(json)))

    expect(await missingSteps(system.clients.publicClient, contracts, proof)).toEqual([])
    await system.send(registrationOf(contracts.instances, proof))
    expect(await isFrom(system.app, key)).toBe(true)
    expect(() => parseInstanceProof({ ...json, more: 1 })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    )
  })

  test('is accepted by the signer of its app', async () => {
    const client = system.clients.publicClient
    const code = await system.deploy('AppSigner', [system.contracts.instances])
    const signers = await system.deploy('AppSigners', [code])
    await system.send(createAppSigner(signers, system.app))
    const signer = await client.readContract({
      address: signers,
      abi: appSignersAbi,
      functionName: 'signerOf',
      args: [system.app],
    })
    const ask = (key: Uint8Array) =>
      client.readContract({
        address: signer,
        abi: parseAbi(['function isValidSignature(bytes32, bytes) view returns (bytes4)']),
        functionName: 'isValidSignature',
        args: [digest, signed(key)],
      })

    expect(await ask(quoted)).toBe('0x1626ba7e')
    expect(await ask(instanceKey('nobody'))).toBe('0xffffffff')
    expect(
      await client.readContract({ address: signer, abi: appSignerAbi, functionName: 'app' }),
    ).toBe(system.app)
  })

  test.each<[string, Kind, () => Address, () => Hex]>([
    ['release', 'release', () => system.app, () => system.composeHash],
    ['image', 'osImage', () => system.contracts.kmsAuth, () => system.osImageHash],
    ['host', 'host', () => system.hosts, () => system.deviceId],
    ['root key', 'rootKey', () => system.contracts.rootKeys, () => system.rootKey],
  ])('ends in the block in which its %s is withdrawn', async (_, kind, of, id) => {
    const snapshot = await system.test.snapshot()
    expect(await isFrom(system.app, quoted)).toBe(true)
    await system.send(registry.withdraw(of(), kind, [id()]))

    expect(await isFrom(system.app, quoted)).toBe(false)
    const dependsOn = kind === 'release' || kind === 'rootKey'
    expect(await isFrom(system.app, issued)).toBe(!dependsOn)
    for (const key of [quoted, issued]) {
      const { onChain, judged } = await standingsOf(key)
      expect(judged).toBe(onChain)
    }
    await system.test.revert({ id: snapshot })
  })
})

describe('the view in TypeScript', () => {
  /** Linear congruential generator: the same histories in each run. */
  let seed = 20_261_130
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }

  test('decides as the contract in random states', async () => {
    const keys = ['p0', 'p1', 'p2', 'p3'].map(instanceKey)
    const { contracts, hosts, app, send } = system
    const grounds: [Address, Kind, Hex][] = [
      [contracts.kmsAuth, 'osImage', system.osImageHash],
      [contracts.kmsAuth, 'app', `0x${app.slice(2).toLowerCase().padStart(64, '0')}`],
      [hosts, 'host', system.deviceId],
      [contracts.rootKeys, 'rootKey', system.rootKey],
      [app, 'release', system.composeHash],
      [app, 'device', system.deviceId],
    ]
    const seen = new Set<string>()
    const attempt = async (call: Call) => {
      await sendCall(system.clients, call).catch(() => {})
    }
    await send(setAllowAnyDevice(app, false))
    for (let step = 0; step < 60; step++) {
      const [at, kind, id] = grounds[random(grounds.length)] as [Address, Kind, Hex]
      const key = keys[random(keys.length)] as Uint8Array
      const now = Number((await system.clients.publicClient.getBlock()).timestamp)
      const action = random(10)
      if (action === 0) await attempt(registry.withdraw(at, kind, [id]))
      else if (action === 1) await attempt(registry.suspend(at, kind, [id]))
      else if (action === 2) await attempt(registry.lift(at, kind, [id], noEnd))
      else if (action <= 4) {
        const expiresAt = random(3) === 0 ? now + 600 : 0
        for (const [to, of, each] of grounds) {
          const approval = await registry.readApproval(system.clients.publicClient, to, of, each)
          if (stateAt(approval, now) === 'active') continue
          await attempt(registry.lift(to, of, [each], noEnd))
          await attempt(registry.approve(to, [{ kind: of, id: each, expiresAt }], noEnd))
        }
      } else if (action === 5) await system.test.increaseTime({ seconds: random(400) })
      else if (action === 6) await attempt(await system.issueKey(key, 1 + random(2)))
      else if (action === 7 && random(4) === 0)
        await attempt(setStatusAcceptedUntil(hosts, 1, 0, noEnd))
      else if (action === 7) await attempt(setStatusAcceptedUntil(hosts, 1, noEnd, noEnd))
      else if (action === 8 && random(3) === 0) await attempt(setRequireTcbUpToDate(app, true))
      else if (action === 8 && random(5) === 0) await attempt(supersede(app, 1, now + 300, true))
      else await attempt(await system.quoteKey(key))
      await system.test.mine({ blocks: 1 })
      for (const each of keys) {
        const { onChain, judged } = await standingsOf(each)
        expect(judged, `step ${step}`).toBe(onChain)
        seen.add(onChain ?? '')
      }
    }
    await send(endInstance(contracts.instances, addressOf(instanceKey('quoted'))))
    const { onChain, judged } = await standingsOf(instanceKey('quoted'))
    expect([onChain, judged]).toEqual(['ended', 'ended'])
    expect(seen.size).toBeGreaterThanOrEqual(6)
    expect(seen).toContain('live')
  })
})
