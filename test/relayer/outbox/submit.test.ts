import { createWalletClient, http, parseGwei } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { describe, expect, test } from 'vitest'

import type { Store } from '../../../src/relayer/outbox/store.ts'
import { anvilKeys } from '../../anvil.ts'
import { describeOnDatabases, type Rig, type RigChoices, settle } from './outbox-fixture.ts'

let rig: Rig

/** Another program with the relayer's key, against all advice. */
function createIntruder() {
  return createWalletClient({
    account: privateKeyToAccount(anvilKeys[0]),
    chain: foundry,
    transport: http(rig.anvil.url),
  })
}

/** Sends with enough fee that the relayer's own transaction is not mined first. */
function intrude(nonce: number, gwei = '50') {
  return createIntruder().sendTransaction({
    to: '0x000000000000000000000000000000000000dead',
    nonce,
    maxFeePerGas: parseGwei(gwei),
    maxPriorityFeePerGas: parseGwei(gwei),
  })
}

describeOnDatabases((createRigHere) => {
  const setUp = async (options: RigChoices = {}) => {
    rig = await createRigHere(options)
  }

  describe('an intent', () => {
    test('goes through every state and changes the chain once', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')

      await settle(rig, worker, id)

      expect(await rig.states(id)).toEqual([
        'queued',
        'reserved',
        'signed',
        'broadcast',
        'mined',
        'final',
        'final',
      ])
      expect(await rig.board.effects('a')).toBe(1)
      expect(await rig.status(id)).toMatchObject({ state: 'final', nonce: 0, refusals: 0 })
    })

    test('is not final before its block', async () => {
      await setUp({ finality: { depth: 3 } })
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      await rig.mine(3)
      await worker.poll()

      expect((await rig.status(id)).state).toBe('mined')

      await rig.mine()
      await worker.poll()
      expect((await rig.status(id)).state).toBe('final')
    })

    test('causes no transaction if its effect is already on-chain', async () => {
      await setUp()
      const worker = await rig.startWorker()
      await settle(rig, worker, await rig.enqueue('a'))
      const again = await rig.enqueue('a again')
      // The same record under another intent: the target says that it is done.
      const { submitter } = worker
      const isDone: typeof submitter.chain.isDone = async () => true
      const second = { ...submitter, chain: { ...submitter.chain, isDone } }
      const lease = await submitter.store.lease('second', 60)
      expect(lease).toBeNull()

      await worker.release()
      const held = await submitter.store.lease('second', 60)
      const { poll } = await import('../../../src/relayer/outbox/submit.ts')
      await poll(second, held as NonNullable<typeof held>)

      expect(await rig.status(again)).toMatchObject({ state: 'final', nonce: null })
    })

    test('gets the next nonce among many intents', async () => {
      await setUp({ rules: { maxInFlight: 8 } })
      const worker = await rig.startWorker()
      const keys = Array.from({ length: 20 }, (_, i) => `many ${i}`)
      const ids = await Promise.all(keys.map((key) => rig.enqueue(key)))

      for (const id of ids) await settle(rig, worker, id)

      expect(await Promise.all(keys.map((key) => rig.board.effects(key)))).toEqual(
        keys.map(() => 1),
      )
      const nonces = await Promise.all(ids.map(async (id) => (await rig.status(id)).nonce))
      expect(nonces.sort((a, b) => Number(a) - Number(b))).toEqual(keys.map((_, i) => i))
    })
  })

  describe('a crash', () => {
    /** The process dies at the n-th write: before it, or after it and before anybody hears of it. */
    function dieAt(step: number, when: 'before' | 'after') {
      let writes = 0
      return (store: Store): Store => ({
        ...store,
        async commit(lease, changes, at) {
          const dies = ++writes === step
          if (dies && when === 'before') throw new Error('killed')
          await store.commit(lease, changes, at)
          if (dies) throw new Error('killed')
        },
      })
    }

    for (const when of ['before', 'after'] as const) {
      test(`${when} any write loses nothing and doubles nothing`, async () => {
        await setUp()
        for (let step = 1; step <= 5; step++) {
          const key = `${when} ${step}`
          const id = await rig.enqueue(key)
          const doomed = await rig.startWorker({ store: dieAt(step, when) })
          await expect(settle(rig, doomed, id)).rejects.toThrow('killed')
          await doomed.release()

          const heir = await rig.startWorker()
          await settle(rig, heir, id)
          await heir.release()

          expect(await rig.board.effects(key)).toBe(1)
        }
      })
    }
  })

  describe('the answers of nodes:', () => {
    test('a timeout after the node accepted the transaction does not count as an answer', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      rig.endpoint.fault = async (method, _params, forward) => {
        const result = await forward()
        if (method === 'eth_sendRawTransaction') throw new Error('The request timed out.')
        return result
      }
      await worker.poll()
      expect((await rig.status(id)).state).toBe('signed')

      rig.endpoint.fault = undefined
      await settle(rig, worker, id)

      expect(await rig.board.effects('a')).toBe(1)
      expect((await rig.status(id)).nonce).toBe(0)
    })

    test('a node that knows the transaction already counts as having accepted it', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      rig.endpoint.fault = async (method, _params, forward) => {
        if (method !== 'eth_sendRawTransaction') return forward()
        await forward()
        return forward()
      }
      await worker.poll()

      expect((await rig.status(id)).state).toBe('broadcast')
    })

    test('a lost transaction is sent again as it was signed', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      const [lost] = (await worker.poll()).outbox.slots[0]?.attempts ?? []
      await rig.dropPool()
      rig.advance(rig.rules.rebroadcastAfter - 1)
      await rig.mine()
      await worker.poll()
      rig.advance(1)

      await settle(rig, worker, id)

      expect((await rig.status(id)).transaction).toBe(lost?.hash)
      expect(await rig.board.effects('a')).toBe(1)
    })

    test('a refusal by the contract costs no gas and names the decoded error', async () => {
      await setUp({ rules: { maxRefusals: 2 } })
      await rig.board.set({ refusing: true })
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')

      await settle(rig, worker, id)

      expect(await rig.status(id)).toMatchObject({
        state: 'abandoned',
        nonce: null,
        lastError: { code: 'RELAYER_REVERTED', facts: { error: 'Refused' } },
      })
      expect((await rig.status(id)).lastError?.facts.args).toContain('closed')
      expect(await rig.anvil.client.getTransactionCount({ address: rig.signer.address })).toBe(0)
    })

    test('a transaction that reverts in its block returns its intent to the queue', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      await rig.dropPool()
      await rig.board.set({ refusing: true })
      rig.advance(rig.rules.rebroadcastAfter)
      await worker.poll()
      await rig.mine(4)
      await worker.poll()
      expect(await rig.status(id)).toMatchObject({
        state: 'queued',
        lastError: { code: 'RELAYER_REVERTED' },
      })

      await rig.board.set({ refusing: false })
      rig.advance(20)
      await settle(rig, worker, id)

      expect(await rig.status(id)).toMatchObject({ state: 'final', nonce: 1 })
    })

    test('a successful transaction without effect does not finish the intent', async () => {
      await setUp({ rules: { maxRefusals: 1 } })
      await rig.board.set({ silent: true })
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')

      await settle(rig, worker, id)

      expect(await rig.status(id)).toMatchObject({
        state: 'abandoned',
        lastError: { code: 'RELAYER_NO_EFFECT' },
      })
    })

    test('an account without ether waits and continues when it is funded', async () => {
      await setUp()
      const { client } = rig.anvil
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      await rig.dropPool()
      await client.setBalance({ address: rig.signer.address, value: 1n })
      rig.advance(rig.rules.rebroadcastAfter)
      const { outbox } = await worker.poll()
      expect(outbox.slots[0]?.attempts.at(-1)?.answer).toBe('insufficient-funds')
      expect(outbox.slots[0]?.attempts).toHaveLength(1)

      await client.setBalance({ address: rig.signer.address, value: 10n ** 18n })
      rig.advance(5)
      await settle(rig, worker, id)

      expect(await rig.board.effects('a')).toBe(1)
    })
  })

  describe('fee rules:', () => {
    test('a stuck transaction is replaced with at least a tenth more on both fields', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      rig.advance(rig.rules.bumpAfter)
      const { outbox } = await worker.poll()

      const [first, second] = outbox.slots[0]?.attempts.map(({ fees }) => fees) ?? []
      expect(outbox.slots[0]?.attempts).toHaveLength(2)
      expect(second?.maxFee).toBeGreaterThanOrEqual(((first?.maxFee ?? 0n) * 11n) / 10n)
      expect(second?.tip).toBeGreaterThanOrEqual(((first?.tip ?? 0n) * 11n) / 10n)
      expect(outbox.slots[0]?.attempts.at(-1)?.answer).toBe('accepted')

      await settle(rig, worker, id)
      expect(await rig.board.effects('a')).toBe(1)
    })

    test('a base fee above the cap stops before a nonce is used', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await rig.anvil.client.setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei('500') })
      await rig.mine()
      await worker.poll()

      expect(await rig.status(id)).toMatchObject({ state: 'queued', nonce: null })
    })

    test('a nonce stuck at the cap goes to an empty transaction, the intent waits for lower fees', async () => {
      await setUp({ rules: { maxFeeCap: parseGwei('4'), cancelFeeCap: parseGwei('200') } })
      const { client } = rig.anvil
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      const spike = async () => {
        await client.setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei('5') })
        await rig.mine()
      }
      await spike()
      for (let i = 0; i < 60; i++) {
        rig.advance(rig.rules.bumpAfter)
        await worker.poll()
        await spike()
      }
      expect(await rig.status(id)).toMatchObject({
        state: 'queued',
        lastError: { code: 'RELAYER_CANCELLED' },
      })
      expect(await rig.board.effects('a')).toBe(0)

      await client.setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei('1') })
      await rig.mine()
      rig.advance(300)
      await settle(rig, worker, id)

      expect(await rig.board.effects('a')).toBe(1)
    })

    test('an expired intent frees its nonce for an empty transaction and is abandoned', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a', rig.now + 30)
      await worker.poll()
      rig.advance(31)
      await worker.poll()

      await settle(rig, worker, id)

      expect(await rig.status(id)).toMatchObject({
        state: 'abandoned',
        lastError: { code: 'RELAYER_EXPIRED' },
      })
      expect(await rig.board.effects('a')).toBe(0)
      expect(await rig.anvil.client.getTransactionCount({ address: rig.signer.address })).toBe(1)
    })
  })

  describe('foreign transactions:', () => {
    test('a nonce that another program used is detected when final, and the intent continues', async () => {
      await setUp()
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      await rig.dropPool()
      await intrude(0)
      await rig.mine()
      await worker.poll()
      expect((await rig.status(id)).state).toBe('broadcast')
      await rig.mine(3)
      await worker.poll()
      expect(await rig.status(id)).toMatchObject({
        state: 'queued',
        lastError: { code: 'RELAYER_NONCE_TAKEN' },
      })

      rig.advance(10)
      await settle(rig, worker, id)

      expect(await rig.status(id)).toMatchObject({ state: 'final', nonce: 1 })
      expect(await rig.board.effects('a')).toBe(1)
    })

    test('a foreign transaction with higher fees for the same nonce is outbid', async () => {
      await setUp()
      await intrude(0, '10')
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      const first = await worker.poll()
      expect(first.outbox.slots[0]?.attempts.map(({ answer }) => answer)).toContain('underpriced')
      for (let i = 0; i < 10; i++) await worker.poll()

      await settle(rig, worker, id)

      expect(await rig.board.effects('a')).toBe(1)
      expect((await rig.status(id)).nonce).toBe(0)
    })
  })

  describe('a reorg', () => {
    test('that drops the block sends the same transaction again', async () => {
      await setUp({ finality: { depth: 5 } })
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      await rig.mine(2)
      await worker.poll()
      const before = await rig.status(id)
      expect(before.state).toBe('mined')

      await rig.reorg(2)
      expect(await rig.board.effects('a')).toBe(0)
      await worker.poll()
      expect((await rig.status(id)).state).toBe('broadcast')
      await settle(rig, worker, id)

      expect(await rig.board.effects('a')).toBe(1)
      expect((await rig.status(id)).transaction).toBe(before.transaction)
    })

    test('deeper than finality is repaired', async () => {
      await setUp({ finality: { depth: 1 } })
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await settle(rig, worker, id)
      expect(await rig.board.effects('a')).toBe(1)

      await rig.reorg(6)
      await rig.mine(3)
      expect(await rig.board.effects('a')).toBe(0)
      await worker.poll()
      expect((await rig.status(id)).state).toBe('broadcast')
      await settle(rig, worker, id)

      expect(await rig.board.effects('a')).toBe(1)
    })
  })

  describe('slow finality', () => {
    test('does not stop new work', async () => {
      await setUp({ finality: { depth: 25 }, rules: { maxInFlight: 2 } })
      const worker = await rig.startWorker()
      const ids = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => rig.enqueue(key)))
      for (let polls = 0; polls < 6; polls++) {
        const { outbox } = await worker.poll()
        expect(outbox.slots.filter(({ state }) => state === 'broadcast').length).toBeLessThan(3)
        await rig.mine()
        rig.advance(5)
      }
      const { outbox } = await worker.poll()
      const states = await Promise.all(ids.map(async (id) => (await rig.status(id)).state))
      expect(states).toEqual(ids.map(() => 'mined'))
      // What rests is not carried from poll to poll.
      expect(outbox.slots).toEqual([])
      expect(outbox.awaitingFinality).toHaveLength(6)

      await rig.mine(30)
      await worker.poll()
      for (const id of ids) expect((await rig.status(id)).state).toBe('final')
    })

    test('is tolerated for a limited number of nonces', async () => {
      await setUp({ finality: { depth: 25 }, rules: { maxInFlight: 2, maxUnfinal: 3 } })
      const worker = await rig.startWorker()
      const ids = await Promise.all(['a', 'b', 'c', 'd'].map((key) => rig.enqueue(key)))
      const states = async () =>
        (await Promise.all(ids.map(async (id) => (await rig.status(id)).state))).sort()
      for (let polls = 0; polls < 6; polls++) {
        await worker.poll()
        await rig.mine()
        rig.advance(5)
      }
      expect(await states()).toEqual(['mined', 'mined', 'mined', 'queued'])

      await rig.mine(30)
      await worker.poll()
      await worker.poll()
      expect(await states()).toEqual(['broadcast', 'final', 'final', 'final'])
    })

    test('a reorg of a mined transaction is found at the next poll, and its effect happens once', async () => {
      await setUp({ finality: { depth: 15 }, rules: { maxInFlight: 2 } })
      const worker = await rig.startWorker()
      const keys = ['a', 'b', 'c', 'd']
      const ids = await Promise.all(keys.map((key) => rig.enqueue(key)))
      for (let polls = 0; polls < 5; polls++) {
        await worker.poll()
        await rig.mine()
        rig.advance(5)
      }
      await worker.poll()
      await rig.reorg(4)
      await worker.poll()
      const states = await Promise.all(ids.map(async (id) => (await rig.status(id)).state))
      expect(states).toContain('broadcast')

      for (const id of ids) await settle(rig, worker, id)
      for (const key of keys) expect(await rig.board.effects(key)).toBe(1)
    })
  })

  describe('an RPC quorum:', () => {
    test('a receipt from only one endpoint does not count', async () => {
      await setUp({ endpoints: 2 })
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      await worker.poll()
      await rig.mine(4)
      const silent = rig.endpoints[1]
      if (silent) {
        silent.fault = async (method, _params, forward) =>
          method === 'eth_getTransactionReceipt' ? null : forward()
      }
      await worker.poll()
      expect((await rig.status(id)).state).toBe('broadcast')
      expect(rig.disagreements).toContain('receipt')

      if (silent) silent.fault = undefined
      await settle(rig, worker, id)
      expect((await rig.status(id)).state).toBe('final')
    })

    test('a wrong answer of one endpoint of three does not count', async () => {
      await setUp({ endpoints: 3 })
      const [liar] = rig.endpoints
      if (liar) {
        liar.fault = async (method, _params, forward) => {
          if (method === 'eth_getTransactionCount') return '0x63'
          if (method === 'eth_sendRawTransaction') throw new Error('execution reverted')
          if (method === 'eth_call')
            throw Object.assign(new Error('execution reverted'), { code: 3 })
          return forward()
        }
      }
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')

      await settle(rig, worker, id)

      expect(await rig.status(id)).toMatchObject({ state: 'final', nonce: 0 })
      expect(await rig.board.effects('a')).toBe(1)
      expect(rig.disagreements).toContain('transaction count')
    })

    test('one endpoint of three that never answers delays nothing', async () => {
      await setUp({ endpoints: 3 })
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      const { endpoint } = rig
      const timeouts: (() => void)[] = []
      endpoint.fault = () =>
        new Promise((_, reject) => {
          timeouts.push(() => reject(new Error('The request timed out.')))
        })

      await settle(rig, worker, id)

      expect((await rig.status(id)).state).toBe('final')
      // Once missed, it is not waited for again.
      expect(rig.late).toEqual(['0 true'])

      for (const timeOut of timeouts) timeOut()
      endpoint.fault = undefined
      await worker.poll()
      expect(rig.late).toEqual(['0 true', '0 false'])
      endpoint.fault = async (method, _params, forward) =>
        method === 'eth_getTransactionCount' ? '0x63' : forward()
      await worker.poll()
      expect(rig.disagreements).toContain('transaction count')
    })

    test('an outage of one of two endpoints stops the poll with an outage error', async () => {
      await setUp({ endpoints: 2 })
      const worker = await rig.startWorker()
      const id = await rig.enqueue('a')
      rig.endpoint.fault = async () => {
        throw new Error('fetch failed')
      }

      await expect(worker.poll()).rejects.toMatchObject({ code: 'RELAYER_CHAIN_UNREACHABLE' })
      expect((await rig.status(id)).state).toBe('queued')
    })
  })
})
