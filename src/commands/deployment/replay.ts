/**
 * `assent deployment replay`: rebuilds the state of all contracts from their events and compares every row with the chain.
 * Exit code 0 if all are equal, 1 if one is not.
 */
import { z } from 'zod'

import { replayDeployment } from '../../indexer/replay.ts'
import { colors as pc } from '../output/colors.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  holds: z.boolean(),
  block: z.int().describe('the block of the comparison'),
  rows: z.record(z.string(), z.int()).describe('rows that were compared, by table'),
  differences: z.array(
    z.strictObject({
      table: z.string(),
      id: z.string(),
      fact: z.string(),
      indexed: z.string().describe('JSON of the value from the events'),
      found: z.string().describe('JSON of the value on the chain'),
    }),
  ),
})

export function exitCode({ holds }: Pick<z.infer<typeof schema>, 'holds'>): 0 | 1 {
  return holds ? 0 : 1
}

export async function run(_: object, session: Session) {
  const { publicClient, deployment, output } = session
  const replay = await replayDeployment(publicClient, deployment, ({ block, latest }) =>
    output.progress(`Block ${block} of ${latest} is read`),
  )
  const { block, rows } = replay
  const differences = replay.differences.map(({ indexed, found, ...difference }) => ({
    ...difference,
    indexed: toText(indexed),
    found: toText(found),
  }))
  for (const [table, count] of Object.entries(rows)) output.line(`${table.padEnd(16)} ${count}`)
  for (const { table, id, fact, indexed, found } of differences) {
    output.line(`${pc.red('WRONG')}  ${table} ${id}: ${fact} is ${found}, by its events ${indexed}`)
  }
  output.heading(
    differences.length === 0
      ? `The events give the state of block ${block}.`
      : `${differences.length} facts of block ${block} do not follow from the events.`,
  )
  return { holds: differences.length === 0, block, rows, differences }
}

function toText(value: unknown): string {
  return JSON.stringify(value ?? null, (_, each) =>
    typeof each === 'bigint' ? String(each) : each,
  )
}
