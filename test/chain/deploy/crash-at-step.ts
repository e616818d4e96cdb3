/** Processes that are killed at a step, and what they left on the chain. */
import { once } from 'node:events'
import { join } from 'node:path'

import type { Anvil } from '../../anvil.ts'
import { startChild } from '../../child-process.ts'
import type { Order, StepKind } from './crash-process.ts'

export interface Survived {
  // what deployments and tasks return has no common type
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly value: any
  readonly steps: readonly StepKind[]
}

/** Runs it in a process of its own; undefined if it was killed. */
export async function attempt(order: Order): Promise<Survived | undefined> {
  const script = join(import.meta.dirname, 'crash-process.ts')
  const child = startChild(process.execPath, [script, JSON.stringify(order)])
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const [code, signal] = await once(child, 'close')
  if (signal === 'SIGKILL') return undefined
  if (code !== 0) throw new Error(`It ended with ${code}: ${output}`)
  return JSON.parse(output.trim().split('\n').at(-1) ?? '')
}

/** How many contracts were created on a chain by transactions. */
export async function countCreations({ client }: Anvil): Promise<number> {
  const head = await client.getBlockNumber({ cacheTime: 0 })
  let created = 0
  for (let blockNumber = 0n; blockNumber <= head; blockNumber++) {
    const block = await client.getBlock({ blockNumber, includeTransactions: true })
    created += block.transactions.filter(({ to }) => to === null).length
  }
  return created
}
