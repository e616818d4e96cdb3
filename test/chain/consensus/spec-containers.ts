/** `ssz_static` of the consensus specifications, for the containers of the light client: bytes, root and JSON. */
import { basename } from 'node:path'
import { isDeepStrictEqual } from 'node:util'

import {
  beaconHeader,
  capellaExecution,
  committeeType,
  denebExecution,
  type Ssz,
  wireTypes,
} from '../../../src/chain/consensus/containers.ts'
import { formOf } from '../../../src/chain/consensus/forks.ts'
import { equalBytes, to0x } from '../../../src/lib/bytes.ts'
import { networkOfPlace, placeOf, readSnappy, readYaml, requireSame } from './spec-files.ts'
import type { Progress } from './spec-suite.ts'

const containers = {
  LightClientHeader: 'header',
  LightClientBootstrap: 'bootstrap',
  LightClientUpdate: 'update',
  LightClientFinalityUpdate: 'finalityUpdate',
  LightClientOptimisticUpdate: 'optimisticUpdate',
  SyncCommittee: 'committee',
  BeaconBlockHeader: 'beacon',
  ExecutionPayloadHeader: 'execution',
} as const

/** Whether a folder of `ssz_static` is about a container of the light client. */
export function isContainer(folder: string): boolean {
  return basename(folder) in containers
}

/** The bytes are read and written unchanged; root and JSON form are those of the test. */
export function runContainer(folder: string, progress: Progress): void {
  const type = typeOf(folder)
  const bytes = readSnappy(folder, 'serialized')
  const value = type.deserialize(bytes)
  if (!equalBytes(type.serialize(value), bytes)) throw new Error('the bytes differ')
  const { root } = readYaml(folder, 'roots.yaml') as { root: string }
  requireSame('root', to0x(type.hashTreeRoot(value)), root)
  const json = readYaml(folder, 'value.yaml')
  if (!isDeepStrictEqual(type.toJson(value), json)) throw new Error('the values differ')
  if (!equalBytes(type.serialize(type.fromJson(json)), bytes)) throw new Error('the JSON differs')
  progress.held += 4
}

function typeOf(folder: string): Ssz<unknown> {
  const { parts } = placeOf(folder)
  const name = parts.find((part) => part in containers) as keyof typeof containers | undefined
  if (name === undefined) throw new Error('a container that the light client does not have')
  const { fork, network } = networkOfPlace(folder)
  const form = formOf(network, fork)
  const member = containers[name]
  if (member === 'committee') return committeeType(network.committeeSize) as Ssz<unknown>
  if (member === 'beacon') return beaconHeader as Ssz<unknown>
  if (member === 'execution') {
    if (form === 'altair' || form === 'gloas') {
      throw new Error(`the light client has no payload header in ${fork}`)
    }
    return (form === 'capella' ? capellaExecution : denebExecution) as Ssz<unknown>
  }
  return wireTypes(form, network.committeeSize)[member] as Ssz<unknown>
}
