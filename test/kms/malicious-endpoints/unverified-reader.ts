/** A reader that takes one endpoint's word: what each lie would do to somebody who checks nothing. */

import { appDenialReason } from '../../../src/chain/proven/boot-rules.ts'
import { gatherApp } from '../../../src/chain/proven/read-boot-facts.ts'
import type { ProvenReads } from '../../../src/chain/proven/state.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { to0x } from '../../../src/lib/bytes.ts'
import { type Guest, stage } from './fixture.ts'
import type { Block, Proof } from './modify-response.ts'

/** Whether it would give the guest its keys; an answer that it cannot read gives none. */
export async function wouldBeFooled(url: string, guest: Guest): Promise<boolean> {
  try {
    return await believe(url, guest)
  } catch {
    return false
  }
}

async function believe(url: string, guest: Guest): Promise<boolean> {
  const block = (await ask(url, 'eth_getBlockByNumber', ['finalized', false])) as Block
  const claim = async (address: Hex, slots: readonly Hex[]) =>
    (await ask(url, 'eth_getProof', [address, slots, block.number])) as Proof
  const reading: ProvenReads = {
    account: async (address) => {
      const { codeHash, storageHash } = await claim(address, [])
      return { codeHash, storageRoot: storageHash }
    },
    words: async (address, slots) => {
      const { storageProof } = await claim(address, slots)
      return slots.map((_, index) => BigInt(storageProof[index]?.value ?? 0))
    },
    paths: () => [],
    addresses: () => [],
  }
  const { appId, composeHash, deviceId } = stage[guest]
  const zeros: Hex = `0x${'00'.repeat(32)}`
  const { kmsAuth: kms, pinned } = stage.chain
  const { facts } = await gatherApp(
    reading,
    { kms, pinned },
    {
      appId: to0x(appId),
      composeHash: to0x(composeHash),
      deviceId: to0x(deviceId),
      mrAggregated: zeros,
      mrSystem: zeros,
      osImageHash: to0x(stage.node.image.osImageHash),
    },
  )
  return appDenialReason(facts, 'UpToDate', stage.now, 'refuse') === undefined
}

async function ask(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(1_000),
  })
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > 200_000) throw new RangeError('too long')
    chunks.push(chunk)
  }
  return (JSON.parse(Buffer.concat(chunks).toString()) as { result: unknown }).result
}
