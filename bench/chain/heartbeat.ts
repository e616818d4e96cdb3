/** What a heartbeat costs. The first post of an account writes a new slot; later ones change it. */
import { encodeFunctionData } from 'viem'

import { heartbeatAbi } from '../../src/chain/abi.ts'
import { sendCall } from '../../src/chain/call.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { connect, place } from '../registry/hardhat-chain.ts'
import type { BenchRow } from '../result-row.ts'

export async function heartbeatRows(): Promise<BenchRow[]> {
  const clients = await connect()
  const to = await place(clients, 'Heartbeat', [])
  const post = async (byte: string) => {
    const args = [`0x${byte.repeat(32)}` as Hex] as const
    const data = encodeFunctionData({ abi: heartbeatAbi, functionName: 'beat', args })
    return Number((await sendCall(clients, { to, data, summary: 'post a heartbeat' })).gasUsed)
  }
  const none = { section: 'chain', unit: 'gas', peer: null, peerValue: null }
  return [
    { ...none, name: 'heartbeat.gas', value: await post('a1'), aim: 45_000 },
    { ...none, name: 'heartbeat.next', value: await post('b2'), aim: 28_000 },
  ]
}
