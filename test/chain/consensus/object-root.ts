/**
 * A process of its own: `node object-root.ts FORK TYPE < SSZ` prints the root of a whole state or body.
 *
 * The containers come from `@lodestar/types`, which takes one preset for a process, from `LODESTAR_PRESET`.
 */
import { readFileSync } from 'node:fs'

import { ssz } from '@lodestar/types'

interface Type {
  deserialize(bytes: Uint8Array): unknown
  hashTreeRoot(value: unknown): Uint8Array
}

const [fork = '', name = ''] = process.argv.slice(2)
const type = (ssz as unknown as Record<string, Record<string, Type>>)[fork]?.[name]
if (type === undefined) throw new Error(`no container ${name} of ${fork}`)
const value = type.deserialize(new Uint8Array(readFileSync(0)))
process.stdout.write(Buffer.from(type.hashTreeRoot(value)).toString('hex'))
