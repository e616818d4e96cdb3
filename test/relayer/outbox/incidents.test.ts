/**
 * Four public incidents of a widely used relayer, as tests of ours. Each is told by its issue at
 * github.com/OpenZeppelin/openzeppelin-relayer; the scenes are rebuilt, no code is taken.
 */
import { createWalletClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { expect, test } from 'vitest'

import type { Store } from '../../../src/relayer/outbox/store.ts'
import { poll } from '../../../src/relayer/outbox/submit.ts'
import { anvilKeys } from '../../anvil.ts'
import { truncate } from '../databases.ts'
import { describeOnDatabases, type Fault, type Rig, settle } from './outbox-fixture.ts'

/** Sends and mines one transaction past the relayer, with the relayer's own key. */
async function useNonceElsewhere(rig: Rig): Promise<void> {
  await createWalletClient({
    account: privateKeyToAccount(anvilKeys[0]),
    chain: foundry,
    transport: http(rig.anvil.url),
  }).sendTransaction({ to: '0x000000000000000000000000000000000000dead' })
  await rig.mine()
}

/** A sequencer without a pool: it takes the next nonce and no other. */
function strictNonces(rig: Rig): Fault {
  return async (method, params, forward) => {
    if (method !== 'eth_sendRawTransaction') return forward()
    const { parseTransaction } = await import('viem')
    const [raw] = params as [`0x${string}`]
    const pending = await rig.anvil.client.getTransactionCount({
      address: rig.signer.address,
      blockTag: 'pending',
    })
    if ((parseTransaction(raw).nonce ?? 0) > pending) throw new Error('nonce too high')
    return forward()
  }
}

describeOnDatabases((createRigHere) => {
  /*
   * #683: a counter kept beside the chain survived a reset of the storage, was only compared with the
   * chain at the start, and the higher of the two always won.
   */
  test('#683: after a lost database or another use of the account, the chain gives the next nonce', async () => {
    const rig = await createRigHere()
    const worker = await rig.startWorker()
    await settle(rig, worker, await rig.enqueue('before'))
    await worker.release()
    await truncate(rig.database)

    const heir = await rig.startWorker()
    const afterLoss = await rig.enqueue('after the loss')
    await settle(rig, heir, afterLoss)
    await useNonceElsewhere(rig)
    const whileRunning = await rig.enqueue('while running')
    await settle(rig, heir, whileRunning)

    expect((await rig.status(afterLoss)).nonce).toBe(1)
    expect((await rig.status(whileRunning)).nonce).toBe(3)
  })

  /*
   * #818: the counter was raised before signing; whatever failed between that and the write burned a
   * nonce, and every later transaction failed with "nonce too high".
   */
  test('#818: failures between the choice and the storage of a nonce skip no nonce', async () => {
    const rig = await createRigHere()
    rig.endpoint.fault = strictNonces(rig)
    let failures = 25
    const failing = (store: Store): Store => ({
      ...store,
      async commit(lease, changes, at) {
        if (changes.slots.length > 0 && failures-- > 0) throw new Error('the database is away')
        await store.commit(lease, changes, at)
      },
    })
    const worker = await rig.startWorker({ store: failing })
    const ids = [await rig.enqueue('a'), await rig.enqueue('b'), await rig.enqueue('c')]
    while (failures > 0) await worker.poll().catch(() => undefined)

    for (const id of ids) await settle(rig, worker, id)

    const nonces = await Promise.all(ids.map(async (id) => (await rig.status(id)).nonce))
    expect(nonces).toEqual([0, 1, 2])
  })

  test('#818: a signer that fails after the nonce is reserved leaves no gap', async () => {
    const rig = await createRigHere()
    rig.endpoint.fault = strictNonces(rig)
    let failures = 10
    const sign: Rig['signer']['sign'] = async (transaction) => {
      if (failures-- > 0) throw new Error('the signer is away')
      return rig.signer.sign(transaction)
    }
    const worker = await rig.startWorker({ signer: { ...rig.signer, sign } })
    const ids = [await rig.enqueue('a'), await rig.enqueue('b')]

    for (const id of ids) await settle(rig, worker, id)

    expect(await rig.anvil.client.getTransactionCount({ address: rig.signer.address })).toBe(2)
  })

  /*
   * #843: an outage left signed and never sent transactions on every nonce above the chain's; they
   * disarmed each recovery that looked for empty ones, while new work widened the region.
   */
  test('#843: an outage under constant load leaves a limited number of open nonces, and all are used', async () => {
    const rig = await createRigHere({ rules: { maxInFlight: 6 } })
    const strict = strictNonces(rig)
    const worker = await rig.startWorker()
    rig.endpoint.fault = async (method, params, forward) => {
      if (method === 'eth_sendRawTransaction') throw new Error('fetch failed')
      return strict(method, params, forward)
    }
    const ids: string[] = []
    for (let minute = 0; minute < 12; minute++) {
      ids.push(await rig.enqueue(`steady ${minute}`))
      await worker.poll()
      await rig.mine()
      rig.advance(5)
    }
    const { outbox } = await worker.poll()
    expect(outbox.slots.length).toBeLessThanOrEqual(6)

    rig.endpoint.fault = strict
    for (const id of ids) await settle(rig, worker, id)

    const nonces = await Promise.all(ids.map(async (id) => (await rig.status(id)).nonce))
    expect(nonces.sort((a, b) => Number(a) - Number(b))).toEqual(ids.map((_, i) => i))
    for (let i = 0; i < ids.length; i++) expect(await rig.board.effects(`steady ${i}`)).toBe(1)
  })

  /*
   * #836, PR #845: two workers prepared one transaction at a time; each read "no nonce yet", took one
   * of its own, and both were sent.
   */
  test('#845: of two workers that prepare one intent at once only one gives it a nonce', async () => {
    const rig = await createRigHere()
    const first = await rig.startWorker()
    const second = await rig.startWorker()
    const id = await rig.enqueue('a')
    let overtaken = false
    const overtake: Fault = async (method, _params, forward) => {
      const result = await forward()
      if (method !== 'eth_estimateGas' || overtaken) return result
      // The first worker has decided and not written. Its lease passes to the second, which sends.
      overtaken = true
      await first.release()
      await second.poll()
      return result
    }
    rig.endpoint.fault = overtake

    await expect(first.poll()).rejects.toMatchObject({ code: 'RELAYER_LEASE_LOST' })
    await settle(rig, second, id)

    expect(await rig.board.effects('a')).toBe(1)
    expect(await rig.anvil.client.getTransactionCount({ address: rig.signer.address })).toBe(1)
  })

  test('#845: two polls under one lease give one intent one nonce', async () => {
    const rig = await createRigHere()
    const worker = await rig.startWorker()
    const id = await rig.enqueue('a')
    const lease = await worker.submitter.store.lease('both', 60)
    if (lease === null) throw new Error('no lease')

    const results = await Promise.allSettled([1, 2, 3].map(() => poll(worker.submitter, lease)))
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason.code).toBe('RELAYER_CONFLICT')
    }
    await worker.submitter.store.release(lease)
    await settle(rig, worker, id)

    expect(await rig.board.effects('a')).toBe(1)
    expect(await rig.anvil.client.getTransactionCount({ address: rig.signer.address })).toBe(1)
  })
})
