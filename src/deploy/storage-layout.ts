/** Storage layouts of upgradeable contracts, as lines of text that can be compared. */
import { readFile } from 'node:fs/promises'

import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'

/** Storage layouts by contract: one line for each variable, then one for each member of every struct. */
export type Layouts = Readonly<Record<string, readonly string[]>>

interface Variable {
  readonly label: string
  readonly slot: string
  readonly offset: number
  readonly type: string
}

interface Type {
  readonly label: string
  readonly numberOfBytes: string
  readonly members?: readonly Variable[]
}

interface Layout {
  readonly storage: readonly Variable[]
  readonly types: Readonly<Record<string, Type>> | null
}

/**
 * Lines of the earlier layout that are missing in the new one. A new variable can take space from a gap if the gap ends at
 * the same slot, and a struct in a mapping can grow at its end.
 */
export function moved(before: Layouts, now: Layouts): string[] {
  return Object.entries(before).flatMap(([contract, lines]) => {
    const known = new Set((now[contract] ?? []).map(keyOf))
    return lines.filter((line) => !known.has(keyOf(line))).map((line) => `${contract}: ${line}`)
  })
}

/** The comparable part of a line: a gap counts by its end. */
function keyOf(line: string): string {
  const gap = /^slot (\d+) byte 0: uint256\[(\d+)\] __gap /.exec(line)
  if (gap !== null) return `gap until ${Number(gap[1]) + Number(gap[2])}`
  return line
}

/** Reads the storage layout of a compiled contract from its build output. */
export async function layoutOf(
  { artifacts }: Pick<HardhatRuntimeEnvironment, 'artifacts'>,
  contract: string,
): Promise<string[]> {
  const { buildInfoId, inputSourceName } = await artifacts.readArtifact(contract)
  const file = buildInfoId && (await artifacts.getBuildInfoOutputPath(buildInfoId))
  if (!file || !inputSourceName) throw new Error(`There is no build of ${contract}.`)
  const { output } = JSON.parse(await readFile(file, 'utf8')) as {
    output: { contracts: Record<string, Record<string, { storageLayout: Layout }>> }
  }
  const layout = output.contracts[inputSourceName]?.[contract]?.storageLayout
  if (layout === undefined) throw new Error(`The build of ${contract} has no storage layout.`)
  return describe(layout)
}

function describe({ storage, types }: Layout): string[] {
  const say = ({ label, slot, offset, type }: Variable) => {
    const { label: name, numberOfBytes } = types?.[type] ?? { label: type, numberOfBytes: '?' }
    return `slot ${slot} byte ${offset}: ${name} ${label} (${numberOfBytes} bytes)`
  }
  const structs = Object.values(types ?? {})
    .filter(({ members }) => members !== undefined)
    .sort((a, b) => (a.label < b.label ? -1 : 1))
    .flatMap(({ label, members = [] }) => members.map((member) => `${label}, ${say(member)}`))
  return [...storage.map(say), ...structs]
}
