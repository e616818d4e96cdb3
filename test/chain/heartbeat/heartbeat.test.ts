/** A view with a heartbeat: which attacks on its age make it refuse, and that none makes it allow. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { approvalSlot } from '../../../src/chain/approval.ts'
import type { BootDecision, ChainEvent } from '../../../src/chain/boot/boot.ts'
import {
  createHeartbeat,
  type NonceRelayer,
  noncesPerMaxAge,
  slotOf,
} from '../../../src/chain/heartbeat/heartbeat.ts'
import {
  type HeartbeatProof,
  heartbeatValue,
  merklePath,
  merkleRoot,
  noValue,
} from '../../../src/chain/heartbeat/tree.ts'
import { type BlockReference, volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import { AssentError } from '../../../src/errors/index.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { buildChain, type SyntheticChain } from '../proven/synthetic.ts'
import { lookAt, type Seen } from '../proven/view-fixture.ts'

const poster: Hex = `0x${'b1'.repeat(20)}`
const maxAgeSeconds = 600

let chain: SyntheticChain
/** The real time in seconds; the chain's blocks follow it. The monotonic clock of a node counts it. */
let time: number
/** What the host adds to the wall clock of the node. */
let clockError: number
/** Heights that the endpoints serve; undefined: the newest. */
let shown: number | undefined

beforeEach(async () => {
  chain = await buildChain({ apps: 1 })
  time = chain.head().timestamp
  clockError = 0
  shown = undefined
})

/** Lets time pass; blocks come every 12 seconds. */
function pass(seconds: number) {
  time += seconds
  while (chain.head().timestamp + 12 <= time) chain.mine()
}

/** A relayer as it should be. `post` puts a value over all nonces into the next block. */
function honestRelayer(name = '1:relayer', account = poster) {
  const rounds: { nonces: Hex[]; root: Hex; value: Hex }[] = []
  let waiting: Hex[] = []
  const relayer: NonceRelayer = {
    name,
    poster: account,
    send: async (nonce) => void waiting.push(nonce),
    prove: async (nonce): Promise<HeartbeatProof | undefined> => {
      const index = rounds.findIndex(({ nonces }) => nonces.includes(nonce))
      const round = rounds[index]
      if (round === undefined) return undefined
      return {
        path: merklePath(round.nonces, round.nonces.indexOf(nonce)),
        previous: rounds[index - 1]?.value ?? noValue,
        later: rounds.slice(index + 1).map(({ root }) => root),
      }
    },
  }
  return {
    relayer,
    /** Values in their order. */
    values: () => rounds.map(({ value }) => value),
    seal: () => {
      const root = merkleRoot(waiting)
      const value = heartbeatValue(rounds.at(-1)?.value ?? noValue, root)
      rounds.push({ nonces: waiting, root, value })
      waiting = []
      return value
    },
    post: async function post() {
      await write(this.seal(), account)
      pass(12)
    },
  }
}

/** Writes a value into the contract; the next block has it. Any account with storage serves as the contract. */
const write = (value: Hex, account = poster) =>
  chain.store(chain.bonds, slotOf(account), BigInt(value))

/** A node with a view; `beat` is one step of its heartbeat. */
function startNode(relayers: readonly NonceRelayer[], seen: Seen = {}) {
  const now = () => time * 1000
  const heartbeat = createHeartbeat({ contract: chain.bonds, relayers, maxAgeSeconds, now })
  const events: ChainEvent[] = []
  let beat = () => Promise.resolve()
  const { view } = lookAt(chain, {
    clock: () => time + clockError,
    now,
    knows: [knowledge, knowledge],
    refreshSeconds: 1,
    heartbeat: {
      ...heartbeat,
      start: (newest, observe) => {
        beat = () => heartbeat.beat(newest, observe)
      },
    },
    ...seen,
  })
  view.watch?.((event) => events.push(event))
  const ask = (): Promise<BootDecision> =>
    view.authorize('isAppAllowed', chain.boot(chain.apps[0] as Hex))
  return { beat: () => beat(), ask, events, view }
}

function knowledge() {
  const height = shown ?? chain.blocks.length - 1
  return { head: height, final: height }
}

const outage = (code: string) => ({ code })
const last = <T>(all: readonly T[]) => all.at(-1) as T

/** A node that has just seen its own nonce. */
async function youngNode(seen: Seen = {}) {
  const honest = honestRelayer()
  const node = startNode([honest.relayer], seen)
  await node.beat()
  await honest.post()
  await node.beat()
  expect(await node.ask()).toMatchObject({ allowed: true })
  return { honest, ...node }
}

describe('a node that starts', () => {
  test('refuses until a final block covers a nonce of its own', async () => {
    const honest = honestRelayer()
    const { beat, ask } = startNode([honest.relayer])
    await expect(ask()).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))
    await beat()
    await expect(ask()).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))

    await honest.post()
    await expect(ask()).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))
    await beat()
    expect(await ask()).toMatchObject({ allowed: true })
  })

  test('does not serve facts or key epochs either', async () => {
    const { view } = startNode([honestRelayer().relayer])

    await expect(view.facts()).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))
    const epoch = view.newestEpoch?.(Buffer.from((chain.apps[0] as Hex).slice(2), 'hex'))
    await expect(epoch).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))
  })

  test('creates its trusted checkpoint without a heartbeat', async () => {
    const { view } = startNode([honestRelayer().relayer])

    expect(await view.bootstrap()).toMatchObject({ number: chain.head().number })
  })

  test('does not count a nonce from before its restart', async () => {
    const { honest } = await youngNode()
    const restarted = startNode([honest.relayer])
    await restarted.beat()

    await expect(restarted.ask()).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))
  })
})

describe('the age', () => {
  test('counts from the moment at which the nonce was made', async () => {
    const { ask } = await youngNode()
    // the nonce was made 12 seconds ago
    time += maxAgeSeconds - 12
    expect(await ask()).toMatchObject({ allowed: true })
    time += 1
    await expect(ask()).rejects.toMatchObject({
      code: 'CHAIN_VIEW_TOO_OLD',
      facts: { age: maxAgeSeconds + 1, bound: maxAgeSeconds },
    })
  })

  test('starts again with each nonce that is found', async () => {
    const { honest, beat, ask, events } = await youngNode()
    for (let round = 0; round < 5; round++) {
      pass(maxAgeSeconds - 100)
      await beat()
      await honest.post()
      await beat()
      expect(await ask()).toMatchObject({ allowed: true })
    }
    const seen = events.flatMap((event) => (event.kind === 'heartbeat' ? [event.since] : []))
    expect(seen).toHaveLength(7)
    expect(last(seen)).toBe((time - 12) * 1000)
  })

  test('is counted for the newest nonce that a value covers', async () => {
    const honest = honestRelayer()
    const { beat, events } = startNode([honest.relayer])
    for (let nonce = 0; nonce < 9; nonce++) {
      await beat()
      pass(10)
    }
    await honest.post()
    await beat()

    expect(last(events)).toMatchObject({ kind: 'heartbeat', since: (time - 12 - 10) * 1000 })
  })

  test('needs no more than seven questions to a relayer', async () => {
    const honest = honestRelayer()
    let asked = 0
    const prove: NonceRelayer['prove'] = (nonce) => {
      asked++
      return honest.relayer.prove(nonce)
    }
    const { beat } = startNode([{ ...honest.relayer, prove }])
    for (let nonce = 0; nonce < noncesPerMaxAge; nonce++) {
      await beat()
      pass(maxAgeSeconds / noncesPerMaxAge)
    }
    asked = 0
    await honest.post()
    await beat()
    await beat()

    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThanOrEqual(7)
  })
})

describe('a host', () => {
  test('that sets the clock back makes the node refuse', async () => {
    const { ask } = await youngNode()
    clockError = -15
    expect(await ask()).toMatchObject({ allowed: true })
    clockError = -16
    await expect(ask()).rejects.toMatchObject(outage('CHAIN_FROM_FUTURE'))
  })

  test('that sets the clock forward makes the node refuse, and deny nobody', async () => {
    const { ask } = await youngNode()
    // the newest block has the current time, and the nonce is 12 seconds older
    clockError = 12 + 15
    expect(await ask()).toMatchObject({ allowed: true })
    clockError = 12 + 16
    await expect(ask()).rejects.toMatchObject(outage('CHAIN_CLOCK_AHEAD'))
    clockError = 10 * 365 * 86_400
    await expect(ask()).rejects.toMatchObject(outage('CHAIN_CLOCK_AHEAD'))
  })

  test('that repeats old blocks and holds the clock back gets no key after the bound', async () => {
    const { ask, beat } = await youngNode()
    const frozen = chain.blocks.length - 1
    await withdrawRelease()
    shown = frozen
    const until = time + maxAgeSeconds - 12
    while (time < until) {
      pass(30)
      clockError = last(chain.blocks.slice(0, frozen + 1)).timestamp - time
      await beat()
    }
    pass(12)
    clockError = -(time - (chain.blocks[frozen]?.timestamp ?? 0))
    await expect(ask()).rejects.toMatchObject(outage('CHAIN_VIEW_TOO_OLD'))
  })

  test('that cuts the network gets no key after the bound', async () => {
    let isCut = false
    const knows = () => (isCut ? 'down' : knowledge())
    // a snapshot that is never read again
    let stopped: number | undefined
    const { ask } = await youngNode({
      knows: [knows, knows],
      now: () => stopped ?? time * 1000,
    })
    isCut = true
    stopped = time * 1000
    time += maxAgeSeconds - 12
    expect(await ask()).toMatchObject({ allowed: true })
    time += 1
    await expect(ask()).rejects.toMatchObject(outage('CHAIN_VIEW_TOO_OLD'))
  })

  test('that restores an old disk and replays its blocks gets no key at all', async () => {
    const old = volatileCheckpoint()
    const { honest } = await youngNode({ checkpoint: old })
    const stored = (await old.read()) as BlockReference
    const height = Number(stored.number)
    await withdrawRelease()
    pass(86_400)
    // the disk of yesterday, its blocks, and its clock
    shown = height
    clockError = stored.timestamp - time
    const checkpoint = volatileCheckpoint()
    await checkpoint.start(stored)
    const restored = startNode([honest.relayer], { checkpoint })
    for (let step = 0; step < 3; step++) {
      await restored.beat()
      honest.seal()
      await expect(restored.ask()).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))
      pass(60)
      clockError -= 60
    }
  })

  test('that sets the clock back does not hide a withdrawal in the newest block', async () => {
    let final = 0
    const knows = () => ({ head: chain.blocks.length - 1, final })
    const honest = honestRelayer()
    const { beat, ask } = startNode([honest.relayer], { knows: [knows, knows] })
    await beat()
    await honest.post()
    final = chain.blocks.length - 1
    await beat()
    await withdrawRelease()
    pass(120)
    clockError = -120

    expect(await ask()).toMatchObject({ allowed: false, refusedBy: 'unconfirmed-withdrawal' })
  })
})

/** The release of the app is withdrawn in the next block. */
async function withdrawRelease() {
  await chain.store(chain.apps[0] as Hex, approvalSlot('release', chain.release), 0n)
  pass(12)
}

describe('a relayer', () => {
  const refuses = (node: ReturnType<typeof startNode>) =>
    expect(node.ask()).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))

  test('that posts nothing makes the node refuse', async () => {
    const node = startNode([honestRelayer().relayer])
    await node.beat()
    pass(60)
    await node.beat()
    await refuses(node)
  })

  test('that posts a value without the nonce makes the node refuse', async () => {
    const honest = honestRelayer()
    const node = startNode([{ ...honest.relayer, send: async () => {} }])
    await node.beat()
    await honest.relayer.send(`0x${'77'.repeat(32)}`)
    await honest.post()
    await node.beat()
    await refuses(node)
  })

  test('that answers with the path of another node makes the node refuse', async () => {
    const honest = honestRelayer()
    const other: Hex = `0x${'77'.repeat(32)}`
    await honest.relayer.send(other)
    const { prove } = honest.relayer
    const node = startNode([
      { ...honest.relayer, send: async () => {}, prove: async () => prove(other) },
    ])
    await node.beat()
    await honest.post()
    await node.beat()
    await refuses(node)
  })

  test('that has the nonce but not on the chain makes the node refuse', async () => {
    const honest = honestRelayer()
    const node = startNode([honest.relayer])
    await node.beat()
    honest.seal()
    pass(60)
    await node.beat()
    await refuses(node)
  })

  test('that fails is named, and another one is enough', async () => {
    const [honest, other] = [honestRelayer('2:honest'), `0x${'b2'.repeat(20)}` as Hex]
    const broken: NonceRelayer = {
      name: '1:broken',
      poster: other,
      send: () => Promise.reject(new AssentError('CHAIN_TIMEOUT', 'It is slow.')),
      prove: () => Promise.reject(new AssentError('CHAIN_ANSWER_INVALID', 'It lies.')),
    }
    const node = startNode([broken, honest.relayer])
    await node.beat()
    await write(`0x${'66'.repeat(32)}`, other)
    await honest.post()
    await node.beat()

    expect(await node.ask()).toMatchObject({ allowed: true })
    expect(node.events).toContainEqual({
      kind: 'heartbeat-fault',
      relayer: '1:broken',
      code: 'CHAIN_TIMEOUT',
    })
    expect(node.events).toContainEqual({
      kind: 'heartbeat-fault',
      relayer: '1:broken',
      code: 'CHAIN_ANSWER_INVALID',
    })
  })

  describe('that answers each question just before the time limit', () => {
    afterEach(() => {
      vi.useRealTimers()
    })

    test('delays no nonce of the other one', async () => {
      vi.useFakeTimers()
      const honest = honestRelayer('1:honest')
      const late = () =>
        new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 9_500))
      let asked = 0
      const slow: NonceRelayer = {
        name: '2:slow',
        poster: `0x${'b2'.repeat(20)}`,
        send: async () => void (await late()),
        prove: () => {
          asked++
          return late()
        },
      }
      const now = () => Date.now()
      const relayers = [honest.relayer, slow]
      const options = { contract: chain.bonds, relayers, maxAgeSeconds: 30, now }
      const heartbeat = createHeartbeat(options)
      let block = 0n
      let value = noValue
      // the slow one has a new value in each block, so that it is searched all the time
      const newest = async () =>
        ({
          header: { number: block },
          read: () => ({ words: async () => [BigInt(value), block] }),
        }) as never
      heartbeat.start(newest, () => {})
      let oldest = 0
      for (let second = 0; second < 120; second++) {
        await vi.advanceTimersByTimeAsync(1_000)
        value = honest.seal()
        block += 1n
        if (second >= 3) oldest = Math.max(oldest, heartbeat.requireYoung({ number: block }))
      }

      expect(oldest).toBeLessThan(4)
      expect(asked).toBeGreaterThan(5)
      expect(asked).toBeLessThan(14)
    })
  })

  test('that answers later for a posted value is asked again', async () => {
    const honest = honestRelayer()
    let isDown = true
    const node = startNode([
      {
        ...honest.relayer,
        prove: async (nonce) => {
          if (isDown) throw new AssentError('CHAIN_TIMEOUT', 'It is down.')
          return honest.relayer.prove(nonce)
        },
      },
    ])
    await node.beat()
    await honest.post()
    await node.beat()
    await refuses(node)
    isDown = false
    await node.beat()
    expect(await node.ask()).toMatchObject({ allowed: true })
  })

  test('that posts several times before a block is final leaves each nonce provable', async () => {
    const honest = honestRelayer()
    let final = chain.blocks.length - 1
    const knows = () => ({ head: chain.blocks.length - 1, final })
    const node = startNode([honest.relayer], { knows: [knows, knows] })
    await node.beat()
    // five values replace each other, and only the last one is in a block that becomes final
    for (let post = 0; post < 5; post++) {
      await honest.relayer.send(`0x${`${post}`.repeat(64)}`)
      await honest.post()
    }
    final = chain.blocks.length - 1
    await node.beat()

    expect(await node.ask()).toMatchObject({ allowed: true })
  })

  test('whose posts are mined in another order, or not at all, leaves each nonce provable', async () => {
    const honest = honestRelayer()
    const node = startNode([honest.relayer])
    await node.beat()
    honest.seal()
    await honest.relayer.send(`0x${'55'.repeat(32)}`)
    const second = honest.seal()
    await write(second)
    pass(12)
    await node.beat()

    expect(await node.ask()).toMatchObject({ allowed: true })
  })
})

describe('a lying endpoint', () => {
  test('that puts a value beside its proof does not make the node young', async () => {
    const honest = honestRelayer()
    const node = startNode([honest.relayer])
    await node.beat()
    const value = honest.seal()
    const { answer } = chain
    const lie: SyntheticChain['answer'] = async (method, params, known) => {
      const truth = await answer(method, params, known)
      if (method !== 'eth_getProof' || params[0] !== chain.bonds) return truth
      const { storageProof, ...rest } = truth as { storageProof: { value: string }[] }
      return { ...rest, storageProof: storageProof.map((each) => ({ ...each, value })) }
    }
    chain = Object.assign(chain, { answer: lie })
    pass(12)
    await node.beat()

    await expect(node.ask()).rejects.toMatchObject(outage('CHAIN_VIEW_AGE_UNKNOWN'))
  })
})

test('a decision about a block counts the newest nonce of this block or of an earlier one', async () => {
  const honest = honestRelayer()
  const now = () => time * 1000
  const options = { contract: chain.bonds, relayers: [honest.relayer], maxAgeSeconds, now }
  const heartbeat = createHeartbeat(options)
  const words = (value: Hex, number: bigint) => async () =>
    ({ header: { number }, read: () => ({ words: async () => [BigInt(value)] }) }) as never
  await heartbeat.beat(words(noValue, 1n), () => {})
  await heartbeat.beat(words(honest.seal(), 10n), () => {})
  time += 100
  await heartbeat.beat(words(noValue, 11n), () => {})
  await heartbeat.beat(words(honest.seal(), 20n), () => {})

  expect(() => heartbeat.requireYoung({ number: 9n })).toThrow('nonce of its own')
  expect(heartbeat.requireYoung({ number: 19n })).toBe(100)
  expect(heartbeat.requireYoung({ number: 20n })).toBe(0)
})
