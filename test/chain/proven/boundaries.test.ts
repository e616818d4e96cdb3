/** Every age, count and limit of a view: the last value that counts and the first that does not. */
import { beforeAll, describe, expect, test } from 'vitest'

import { appKey, approvalSlot } from '../../../src/chain/approval.ts'
import { trustSingleEndpoint } from '../../../src/chain/boot/ask-contracts.ts'
import type { EvaluatedBoot } from '../../../src/chain/boot/boot.ts'
import { type BlockReference, volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import type { PinnedCode } from '../../../src/chain/proven/read-boot-facts.ts'
import { appSlots } from '../../../src/chain/proven/slots.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import {
  approval,
  blockSeconds,
  buildChain,
  measurementsSlot,
  type SyntheticChain,
} from './synthetic.ts'
import { type Knowledge, lookAt, type Seen } from './view-fixture.ts'

let chain: SyntheticChain
/** Heights: all is allowed; the release of the first app is withdrawn; some empty blocks more. */
let allowed: number
let withdrawn: number
let last: number

const system: Hex = `0x${'05'.repeat(32)}`
const other: Hex = `0x${'77'.repeat(32)}`
const fill = (byte: number, length = 32) => new Uint8Array(length).fill(byte)

beforeAll(async () => {
  chain = await buildChain({ apps: 3, systems: [system] })
  // the second app wants an up-to-date TCB, the third has other releases
  const [, second, third] = chain.apps as [Hex, Hex, Hex]
  const rules = (1n << (8n * 17n)) | (1n << (8n * 18n)) | (1n << (8n * 27n))
  await chain.store(second, appSlots.rules, rules)
  await chain.store(third, approvalSlot('release', chain.release), 0n)
  await chain.store(third, approvalSlot('release', other), approval(1))
  allowed = Number(chain.mine().number)
  await chain.store(chain.apps[0] as Hex, approvalSlot('release', chain.release), 0n)
  withdrawn = Number(chain.mine().number)
  for (let block = 0; block < 20; block++) chain.mine()
  last = chain.blocks.length - 1
})

const timeOf = (height: number) => chain.blocks[height]?.timestamp as number
const at = (final: number, head = final): Knowledge => ({ head, final })
const all = (knowledge: Knowledge, count = 2) =>
  Array.from({ length: count }, () => () => knowledge)
const ask = (seen: Seen, boot: EvaluatedBoot = chain.boot(chain.apps[0] as Hex)) =>
  lookAt(chain, seen).view.authorize('isAppAllowed', boot)

describe('the time of a final block', () => {
  test.each([
    ['as old as the bound', 100, undefined],
    ['a second older', 101, 'CHAIN_STALE'],
    ['fifteen seconds ahead', -15, undefined],
    ['sixteen seconds ahead', -16, 'CHAIN_FROM_FUTURE'],
  ] as const)('is checked for %s', async (_, age, code) => {
    const clock = () => timeOf(allowed) + age
    const asked = ask({ knows: all(at(allowed)), clock })

    if (code === undefined) expect(await asked).toMatchObject({ allowed: true })
    else await expect(asked).rejects.toMatchObject({ code })
  })

  test.each([
    ['as old as the bound', 100, undefined],
    ['a second older', 101, 'CHAIN_STALE'],
  ] as const)('is checked for a single trusted endpoint and %s', async (_, age, code) => {
    const block = chain.blocks[allowed]?.json
    const request = async ({ method }: { method: string }) => {
      if (method === 'eth_getBlockByNumber') return block
      throw new Error('reached')
    }
    const authority = trustSingleEndpoint({
      client: { request, chain: undefined } as never,
      chainId: 31337,
      kms: chain.kmsAuth,
      finality: 'finalized',
      maxBlockAgeSeconds: 100,
      timeoutMs: 1_000,
      clock: () => timeOf(allowed) + age,
    })
    // a block that is young enough is asked about, which fails here
    await expect(
      authority.authorize('isAppAllowed', chain.boot(chain.kmsAuth)),
    ).rejects.toMatchObject({
      code: code ?? 'CHAIN_UNREACHABLE',
    })
  })
})

describe('a base image that cannot be measured', () => {
  test('is refused with a single trusted endpoint', async () => {
    let questions = 0
    const request = async () => {
      questions++
      throw new Error('asked')
    }
    const authority = trustSingleEndpoint({
      client: { request } as never,
      chainId: 31337,
      kms: chain.kmsAuth,
      finality: 'finalized',
      maxBlockAgeSeconds: 100,
      timeoutMs: 1_000,
      clock: () => 0,
    })
    const boot = { ...chain.boot(chain.apps[0] as Hex), requiredMrSystem: fill(5) }
    for (const question of ['isAppAllowed', 'isKmsAllowed'] as const) {
      await expect(authority.authorize(question, boot)).rejects.toMatchObject({
        code: 'IMAGE_UNKNOWN',
      })
    }
    expect(questions).toBe(0)
  })
})

describe('the withdrawal check of a newest block', () => {
  /** Two say that all is allowed; the third shows the withdrawal in its newest block. */
  const third = (head: number) => [
    () => at(allowed),
    () => at(allowed),
    () => ({ head, final: allowed }),
  ]

  test.each([
    ['fifteen seconds ahead of the clock', -15, false],
    ['sixteen seconds ahead of the clock', -16, true],
  ] as const)('counts up to %s', async (_, age, isAllowed) => {
    const clock = () => timeOf(withdrawn) + age
    expect(await ask({ knows: third(withdrawn), clock })).toMatchObject({ allowed: isAllowed })
  })

  test.each([
    ['two minutes behind what is final', 10, true],
    ['further behind', 11, false],
  ] as const)('accepts or ignores a block that is %s', async (_, blocks, isHeard) => {
    const final = withdrawn + blocks
    expect(timeOf(final) - timeOf(withdrawn)).toBe(blocks * blockSeconds)
    const knows = [() => at(final), () => at(final), () => at(withdrawn)]
    const seen = lookAt(chain, { knows, clock: () => timeOf(final) })
    await seen.view.authorize('isAppAllowed', chain.boot(chain.apps[0] as Hex))
    // in what it was asked to prove
    const heard = seen.proofs().some(({ params }) => params[2] === `0x${withdrawn.toString(16)}`)
    expect(heard).toBe(isHeard)
  })
})

describe('the RPC quorum', () => {
  test.each([
    [1, 1],
    [2, 2],
    [2, 3],
    [3, 3],
    [3, 5],
  ])('needs %i of %i equal answers', async (required, count) => {
    const say = (alive: number) =>
      Array.from({ length: count }, (_, index) => () => (index < alive ? at(allowed) : 'down'))
    const clock = () => timeOf(allowed)

    expect(await ask({ required, knows: say(required), clock })).toMatchObject({
      allowed: true,
      evidence: { agreement: { required, configured: count } },
    })
    await expect(ask({ required, knows: say(required - 1), clock })).rejects.toMatchObject({
      code: 'CHAIN_NO_AGREEMENT',
    })
  })

  test('reports the common error code if all failures have the same one', async () => {
    const clock = () => timeOf(allowed)
    const memory = volatileCheckpoint()
    await memory.write(markOf(withdrawn))
    const behind = () => at(allowed)
    const required = 2
    await expect(
      ask({ required, checkpoint: memory, clock, knows: [behind, behind, () => 'down'] }),
    ).rejects.toMatchObject({ code: 'CHAIN_BEHIND_MEMORY' })
    await expect(
      ask({ required, checkpoint: memory, clock, knows: [behind, () => 'down', () => 'down'] }),
    ).rejects.toMatchObject({ code: 'CHAIN_NO_AGREEMENT' })
  })
})

const markOf = (height: number): BlockReference => {
  const { number, timestamp, json } = chain.blocks[height] as (typeof chain.blocks)[number]
  return { number, hash: json.hash, timestamp }
}

describe('the trusted checkpoint', () => {
  const remembered = async (mark: BlockReference, final: number) => {
    const memory = volatileCheckpoint()
    await memory.write(mark)
    return ask({ checkpoint: memory, knows: all(at(final)), clock: () => timeOf(final) })
  }

  test('accepts the same block again', async () => {
    expect(await remembered(markOf(allowed), allowed)).toMatchObject({ allowed: true })
  })

  test('refuses a lower block and another block of the same height or time', async () => {
    await expect(remembered(markOf(allowed + 1), allowed)).rejects.toMatchObject({
      code: 'CHAIN_BEHIND_MEMORY',
    })
    const fork = { ...markOf(allowed), hash: other }
    for (const final of [allowed, allowed + 1]) {
      await expect(remembered(fork, final)).rejects.toMatchObject({ code: 'CHAIN_FORKED' })
    }
    const later = { ...markOf(allowed), timestamp: timeOf(allowed) + 1 }
    await expect(remembered(later, allowed)).rejects.toMatchObject({ code: 'CHAIN_FORKED' })
  })

  test('is stored before the first decision at a new block', async () => {
    const written: bigint[] = []
    const memory = volatileCheckpoint()
    const noting = {
      ...memory,
      write: async (mark: BlockReference) => {
        written.push(mark.number)
        await memory.write(mark)
      },
    }
    let now = 0
    const { view } = lookAt(chain, {
      checkpoint: noting,
      knows: all(at(allowed)),
      clock: () => timeOf(allowed),
      now: () => now,
    })
    for (let look = 0; look < 3; look++) {
      await view.authorize('isAppAllowed', chain.boot(chain.apps[0] as Hex))
      now += 100_000
    }
    expect(written).toEqual([BigInt(allowed)])
  })
})

describe('a chain snapshot', () => {
  test.each([
    ['up to half its worth', 6_000, 1],
    ['a moment longer, while the next begins', 6_001, 2],
  ] as const)('is used %s', async (_, age, looks) => {
    let now = 0
    const { view, asked } = lookAt(chain, {
      knows: all(at(allowed)),
      clock: () => timeOf(allowed),
      now: () => now,
    })
    const boot = chain.boot(chain.apps[0] as Hex)
    await view.authorize('isAppAllowed', boot)
    now = age
    await view.authorize('isAppAllowed', boot)
    expect(asked.filter(({ method }) => method === 'eth_chainId')).toHaveLength(2 * looks)
  })

  test.each([
    ['at the end of its worth nobody waits', 12_000, false],
    ['after it everybody waits', 12_001, true],
  ] as const)('%s', async (_, age, waits) => {
    let now = 0
    let knowledge = at(allowed)
    const { view } = lookAt(chain, {
      knows: [() => knowledge, () => knowledge],
      clock: () => timeOf(withdrawn),
      now: () => now,
    })
    const boot = chain.boot(chain.apps[0] as Hex)
    expect(await view.authorize('isAppAllowed', boot)).toMatchObject({ allowed: true })
    knowledge = at(withdrawn)
    now = age
    expect(await view.authorize('isAppAllowed', boot)).toMatchObject({ allowed: !waits })
  })
})

describe('the pinned code of each contract', () => {
  const swap = (kind: keyof PinnedCode): PinnedCode => ({ ...chain.pinned, [kind]: [other] })

  test.each(['proxy', 'kmsAuth', 'hosts', 'bonds', 'images'] as const)(
    'is checked separately: %s',
    async (kind) => {
      const seen = { knows: all(at(allowed)), clock: () => timeOf(allowed), pinned: swap(kind) }
      await expect(ask(seen)).rejects.toMatchObject({ code: 'CHAIN_CONTRACT_UNKNOWN' })
    },
  )

  test('decides if an app is a foreign app', async () => {
    const seen = { knows: all(at(allowed)), clock: () => timeOf(allowed), pinned: swap('app') }
    expect(await ask(seen)).toMatchObject({ allowed: false, refusedBy: 'foreign-app' })
  })

  test('is not accepted for another contract', async () => {
    const { kmsAuth, app, hosts, bonds, images } = chain.pinned
    const turned = { kmsAuth: app, app: hosts, hosts: bonds, bonds: images, images: kmsAuth }
    const pinned = { ...chain.pinned, ...turned }
    const seen = { knows: all(at(allowed)), clock: () => timeOf(allowed), pinned }
    await expect(ask(seen)).rejects.toMatchObject({ code: 'CHAIN_CONTRACT_UNKNOWN' })
  })
})

describe('a cached decision', () => {
  /** Each differs from the boot that is allowed in one field. */
  const different: Record<string, [Partial<EvaluatedBoot>, reason: string]> = {
    appId: [{ appId: fill(9, 20) }, 'App not registered'],
    composeHash: [{ composeHash: fill(9) }, 'Compose hash not allowed'],
    deviceId: [{ deviceId: fill(9) }, 'Host is not registered'],
    mrSystem: [{ mrSystem: fill(9) }, 'Measurements are not allowed for this OS image'],
    osImageHash: [{ osImageHash: fill(9) }, 'OS image is not allowed'],
    requiredMrSystem: [
      { requiredMrSystem: fill(9) },
      'Measurements are not allowed for this OS image',
    ],
    tcbStatus: [{ tcbStatus: 'OutOfDate' }, 'TCB status is not up to date'],
  }

  test.each(Object.entries(different))(
    'is not used for a boot that differs in %s',
    async (_, [change, reason]) => {
      const { view } = lookAt(chain, { knows: all(at(allowed)), clock: () => timeOf(allowed) })
      const good = chain.boot(chain.apps[1] as Hex)
      const bad = { ...good, ...change }
      for (const [boot, answer] of [
        [good, { allowed: true }],
        [bad, { allowed: false, reason }],
        [good, { allowed: true }],
        [bad, { allowed: false, reason }],
      ] as const) {
        expect(await view.authorize('isAppAllowed', boot)).toMatchObject(answer)
      }
      // nor the other way round
      const fresh = lookAt(chain, { knows: all(at(allowed)), clock: () => timeOf(allowed) }).view
      expect(await fresh.authorize('isAppAllowed', bad)).toMatchObject({ allowed: false, reason })
      expect(await fresh.authorize('isAppAllowed', good)).toMatchObject({ allowed: true })
    },
  )

  test('about one unmeasured image is not used for another', async () => {
    const { view } = lookAt(chain, { knows: all(at(allowed)), clock: () => timeOf(allowed) })
    const boot = { ...chain.boot(chain.apps[0] as Hex), mrSystem: fill(9) }
    const asked = (requiredMrSystem: Uint8Array) =>
      view.authorize('isAppAllowed', { ...boot, requiredMrSystem })
    expect(measurementsSlot(chain.image, system)).not.toBe(measurementsSlot(chain.image, other))

    expect(await asked(fill(5))).toMatchObject({ allowed: true })
    expect(await asked(fill(6))).toMatchObject({ allowed: false })
    expect(await view.authorize('isAppAllowed', boot)).toMatchObject({ allowed: false })
  })

  const kmsDifferent: Record<string, [Partial<EvaluatedBoot>, reason: string]> = {
    mrAggregated: [{ mrAggregated: fill(9) }, 'Aggregated MR not allowed'],
    deviceId: [{ deviceId: fill(9) }, 'KMS is not allowed to boot on this device'],
    osImageHash: [{ osImageHash: fill(9) }, 'OS image is not allowed'],
    requiredMrSystem: [
      { requiredMrSystem: fill(9) },
      'Measurements are not allowed for this OS image',
    ],
    tcbStatus: [{ tcbStatus: 'OutOfDate' }, 'TCB status is not up to date'],
  }

  test.each(Object.entries(kmsDifferent))(
    'about a KMS node is not used for one that differs in %s',
    async (_, [change, reason]) => {
      const { view } = lookAt(chain, { knows: all(at(allowed)), clock: () => timeOf(allowed) })
      const good = chain.boot(chain.apps[1] as Hex)
      const answers = []
      for (const boot of [good, { ...good, ...change }, good]) {
        answers.push(await view.authorize('isKmsAllowed', boot))
      }
      expect(answers).toMatchObject([
        { allowed: true },
        { allowed: false, reason },
        { allowed: true },
      ])
    },
  )

  test('about an app is not used for a KMS node', async () => {
    const { view } = lookAt(chain, { knows: all(at(allowed)), clock: () => timeOf(allowed) })
    const boot = { ...chain.boot(chain.apps[0] as Hex), mrAggregated: fill(9) }
    expect(await view.authorize('isAppAllowed', boot)).toMatchObject({ allowed: true })
    expect(await view.authorize('isKmsAllowed', boot)).toMatchObject({ allowed: false })
  })

  test('names the quorum once its block is final', async () => {
    let final = allowed
    let now = 0
    const { view } = lookAt(chain, {
      knows: [() => at(final, withdrawn), () => at(final, withdrawn)],
      clock: () => timeOf(withdrawn),
      now: () => now,
    })
    const boot = chain.boot(chain.apps[0] as Hex)
    expect(await view.authorize('isAppAllowed', boot)).toMatchObject({
      refusedBy: 'unconfirmed-withdrawal',
      evidence: { agreement: { required: 1 } },
    })
    final = withdrawn
    now = 100_000
    expect(await view.authorize('isAppAllowed', boot)).toMatchObject({
      refusedBy: 'contract-rules',
      evidence: { agreement: { required: 2 } },
    })
  })
})

describe('the state cache', () => {
  /** Proofs that a fresh block costs, by contract. */
  const proofsOf = async (change: () => Promise<void>) => {
    let now = 0
    const { view, proofs } = lookAt(chain, { now: () => now })
    const boots = chain.apps.slice(1, 2).map((app) => chain.boot(app))
    const askAll = async () => {
      for (const boot of boots) await view.authorize('isAppAllowed', boot)
    }
    await askAll()
    await askAll()
    const before = proofs().length
    await change()
    chain.mine()
    now += 1_000_000
    await askAll()
    return proofs().slice(before)
  }

  test('is used for unchanged storage and unchanged subtrees', async () => {
    const asked = await proofsOf(() => chain.pay(chain.kmsAuth))

    expect(asked.every(({ params }) => (params[1] as Hex[]).length === 0)).toBe(true)
    expect(asked.length).toBeLessThanOrEqual(6)
  })

  test('answers everything at a block without changes', async () => {
    expect(await proofsOf(async () => {})).toEqual([])
  })

  test('answers all but the changed slots of a contract', async () => {
    const slot = approvalSlot('app', appKey(chain.apps[1] as Hex))
    const asked = await proofsOf(() => chain.store(chain.kmsAuth, slot, approval(9)))
    const slots = asked.flatMap(({ params }) => params[1] as Hex[])

    expect(slots).toContain(slot)
    expect(slots.length).toBeLessThan(12)
  })

  test('proves a newest block once for several endpoints', async () => {
    const knows = Array.from({ length: 5 }, () => () => at(last - 2, last))
    const few = lookAt(chain, { knows: knows.slice(0, 2), clock: () => timeOf(last) })
    const many = lookAt(chain, { knows, clock: () => timeOf(last) })
    const boot = chain.boot(chain.apps[1] as Hex)
    await few.view.authorize('isAppAllowed', boot)
    await many.view.authorize('isAppAllowed', boot)

    expect(many.proofs().length).toBe(few.proofs().length)
  })

  test('joins concurrent requests for one contract', async () => {
    const crowd = await buildChain({ apps: 200 })
    const { view, proofs } = lookAt(crowd)
    await Promise.all(crowd.apps.map((app) => view.authorize('isAppAllowed', crowd.boot(app))))
    const ofKmsAuth = proofs().filter(({ params }) => params[0] === crowd.kmsAuth)

    // 256 slots a question
    expect(ofKmsAuth.length).toBeLessThan(6)
  })
})
