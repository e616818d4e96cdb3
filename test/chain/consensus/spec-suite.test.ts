/** The runner of the specifications' tests, with tests of each kind in their format: what it accepts and what it refuses. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Tree } from '@chainsafe/persistent-merkle-tree'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'

import {
  type BootstrapValue,
  beaconHeader,
  type Ssz,
  type UpdateValue,
  wireTypes,
} from '../../../src/chain/consensus/containers.ts'
import { executionOf } from '../../../src/chain/consensus/execution.ts'
import { forkDigestAt, formOf } from '../../../src/chain/consensus/forks.ts'
import { type RawMessage, toHeader } from '../../../src/chain/consensus/messages.ts'
import { epochAt, forkNames } from '../../../src/chain/consensus/network.ts'
import { createBeaconChain } from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import { indicesAt } from '../../../src/chain/consensus/store.ts'
import { concatBytes, to0x } from '../../../src/lib/bytes.ts'
import { smallNetwork as network } from './networks.ts'
import { ssz } from './peer.ts'
import { networkOfPlace } from './spec-files.ts'
import { findTests, runTest } from './spec-suite.ts'

const chain = createBeaconChain({ network })
let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'spec-suite-'))
})
afterAll(() => rmSync(root, { recursive: true }))

/** Snappy's block format with literals only. */
function compress(bytes: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let rest = bytes.length; ; rest = Math.floor(rest / 128)) {
    length.push((rest % 128) + (rest >= 128 ? 128 : 0))
    if (rest < 128) break
  }
  const size = Uint8Array.of(62 << 2, 0, 0, 0)
  new DataView(size.buffer).setUint8(1, (bytes.length - 1) & 255)
  new DataView(size.buffer).setUint8(2, ((bytes.length - 1) >> 8) & 255)
  new DataView(size.buffer).setUint8(3, ((bytes.length - 1) >> 16) & 255)
  return concatBytes(Uint8Array.from(length), size, bytes)
}

type Files = Readonly<Record<string, Uint8Array | object>>

/** Writes a test. @returns its folder */
function place(path: string, files: Files): string {
  const folder = join(root, path)
  mkdirSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    const isBytes = content instanceof Uint8Array
    const data = isBytes ? compress(content) : stringify(content)
    writeFileSync(join(folder, isBytes ? `${name}.ssz_snappy` : `${name}.yaml`), data)
  }
  return folder
}

const digestAt = (slot: number) => forkDigestAt(network, epochAt(network, slot))
const formAt = (slot: number) =>
  formOf(
    network,
    network.forks.findLast(({ epoch }) => epoch <= epochAt(network, slot))?.name ?? '',
  )

function bytesOf<T>({ fork, data }: RawMessage, choose: (fork: string) => Ssz<T>): Uint8Array {
  const type = choose(fork)
  return type.serialize(type.fromJson((data as { json: unknown }).json))
}
const updateBytes = (raw: RawMessage) =>
  bytesOf<UpdateValue>(raw, (fork) => wireTypes(formOf(network, fork), 32).update)
const bootstrapBytes = (raw: RawMessage) =>
  bytesOf<BootstrapValue>(raw, (fork) => wireTypes(formOf(network, fork), 32).bootstrap)

/** The configuration as the suite writes it: hexadecimal numbers without quotes are text there. */
const config = {
  PRESET_BASE: 'minimal',
  SECONDS_PER_SLOT: network.secondsPerSlot,
  GENESIS_FORK_VERSION: network.genesisForkVersion,
  MAX_BLOBS_PER_BLOCK_ELECTRA: network.maxBlobsElectra,
  BLOB_SCHEDULE: network.blobSchedule.map(({ epoch, maxBlobs }) => ({
    EPOCH: epoch,
    MAX_BLOBS_PER_BLOCK: maxBlobs,
  })),
  ...Object.fromEntries(
    network.forks.flatMap(({ name, version, epoch }) => [
      [`${name.toUpperCase()}_FORK_VERSION`, version],
      [`${name.toUpperCase()}_FORK_EPOCH`, epoch],
    ]),
  ),
  // a fork that this version does not know and that has no date
  HEZE_FORK_VERSION: '0x08000001',
  HEZE_FORK_EPOCH: '18446744073709551615',
}

function checkOf(slot: number) {
  const header = toHeader(formAt(slot), chain.header(slot))
  const execution = executionOf(network, header)?.root ?? new Uint8Array(32)
  return { slot, beacon_root: to0x(chain.root(slot)), execution_root: to0x(execution) }
}

const start = 16
const meta = {
  genesis_validators_root: network.genesisValidatorsRoot,
  trusted_block_root: to0x(chain.root(start)),
  bootstrap_fork_digest: digestAt(start),
  store_fork_digest: digestAt(start),
}
const finalOf = (slot: number) => (epochAt(network, slot) - 2) * 8
/** Slots of updates from Altair to Gloas: two in each period, so that each fork and each committee is there. */
const slots = Array.from({ length: 12 }, (_, index) => 32 * index + 34)

function syncSteps() {
  return slots.flatMap((slot) => {
    const checks = { finalized_header: checkOf(finalOf(slot)), optimistic_header: checkOf(slot) }
    const update = { update_fork_digest: digestAt(slot), update: `update_${slot}` }
    return [
      { process_update: { ...update, current_slot: slot + 1, checks } },
      { upgrade_store: { store_fork_digest: digestAt(slot), checks } },
      { force_update: { current_slot: slot + 1, checks } },
    ]
  })
}

function syncFiles(changed: Files = {}): Files {
  return {
    meta,
    config,
    bootstrap: bootstrapBytes(chain.bootstrap(start)),
    ...Object.fromEntries(slots.map((slot) => [`update_${slot}`, updateBytes(chain.update(slot))])),
    steps: syncSteps(),
    ...changed,
  }
}

const sync = 'minimal/gloas/light_client/sync/pyspec_tests'

describe('a test of the kind sync', () => {
  test('leads through all forks from Altair to Gloas', () => {
    const { held, difference } = runTest(place(`${sync}/all_forks`, syncFiles()))

    expect(difference).toBeUndefined()
    expect(held).toBe(3 * slots.length)
  })

  test('can force an update to a header without finality after the timeout', () => {
    const attested = 60
    const update = chain.update(attested, {
      after: (value) => {
        const finalizedHeader = wireTypes('altair', 32).header.defaultValue()
        const finalityBranch = value.finalityBranch.map(() => new Uint8Array(32))
        Object.assign(value, { finalizedHeader, finalityBranch })
      },
    })
    const before = { finalized_header: checkOf(start), optimistic_header: checkOf(attested) }
    const after = { finalized_header: checkOf(attested), optimistic_header: checkOf(attested) }
    const steps = [
      {
        process_update: {
          update_fork_digest: digestAt(attested),
          update: 'update',
          current_slot: attested + 1,
          checks: before,
        },
      },
      { force_update: { current_slot: start + 64, checks: before } },
      { force_update: { current_slot: start + 65, checks: after } },
    ]
    const files = { meta, config, bootstrap: bootstrapBytes(chain.bootstrap(start)), steps }
    const folder = place(`${sync}/force`, { ...files, update: updateBytes(update) })

    expect(runTest(folder)).toMatchObject({ difference: undefined, held: 3 })
  })

  test.each<[string, Files, RegExp]>([
    [
      'a step of an unknown kind',
      { steps: [{ process_slot: { current_slot: 9 } }] },
      /unknown kind/,
    ],
    [
      'another slot of the final header',
      { steps: syncSteps().map((step) => withCheck(step, 'finalized_header', { slot: 1 })) },
      /step 0 \(process_update\): finalized_header.slot is/,
    ],
    [
      'a check that is not compared',
      { steps: syncSteps().map((step) => withCheck(step, 'best_valid_update', {})) },
      /best_valid_update is unknown/,
    ],
    ['a signature of strangers', { update_34: strangersUpdate() }, /did not sign/],
    ['messages that need no signature', { meta: { ...meta, bls_setting: 2 } }, /unsigned/],
    ['no steps', { steps: [] }, /nothing was compared/],
  ])('differs for %s', (name, changed, difference) => {
    const folder = place(`${sync}/${name.replaceAll(' ', '_')}`, syncFiles(changed))

    expect(runTest(folder).difference).toMatch(difference)
  })
})

function withCheck(step: object, name: string, value: object): object {
  const [[kind, values] = ['', {}]] = Object.entries(step) as [string, { checks?: object }][]
  return { [kind]: { ...values, checks: { ...values.checks, [name]: value } } }
}

function strangersUpdate(): Uint8Array {
  return updateBytes(chain.update(34, { signFor: { period: 3 } }))
}

describe('a test of the kind update ranking', () => {
  const updates = [
    chain.update(40),
    chain.update(40, { signers: 25 }),
    chain.update(41, { signers: 25 }),
    chain.update(40, { signers: 20 }),
  ].map(updateBytes)
  const filesOf = (order: readonly number[]): Files => ({
    meta: { updates_count: order.length },
    ...Object.fromEntries(
      order.map((of, index) => [`updates_${index}`, updates[of] as Uint8Array]),
    ),
  })
  const folder = 'minimal/altair/light_client/update_ranking/pyspec_tests'

  test('holds in the order of the specification only', () => {
    expect(runTest(place(`${folder}/sorted`, filesOf([0, 1, 2, 3])))).toMatchObject({ held: 3 })
    expect(runTest(place(`${folder}/swapped`, filesOf([0, 2, 1, 3]))).difference).toMatch(/higher/)
  })
})

describe.each(forkNames)('containers and proofs of %s', (fork) => {
  const place1 = (path: string, files: Files) => place(`minimal/${fork}/${path}`, files)
  const { network: at } = networkOfPlace(`/minimal/${fork}/x`)
  const form = formOf(at, fork)

  test.each(['LightClientHeader', 'LightClientUpdate'] as const)('%s', (name) => {
    const types = wireTypes(form, 32)
    const type = (name === 'LightClientHeader' ? types.header : types.update) as Ssz<unknown>
    const value = type.defaultValue()
    const files = {
      serialized: type.serialize(value),
      roots: { root: to0x(type.hashTreeRoot(value)) },
      value: type.toJson(value) as object,
    }
    const path = `ssz_static/${name}/ssz_zero`

    expect(runTest(place1(`${path}/case_0`, files))).toMatchObject({ held: 4 })
    const roots = { root: to0x(new Uint8Array(32)) }
    expect(runTest(place1(`${path}/case_1`, { ...files, roots })).difference).toMatch(/^root is/)
    const longer = concatBytes(files.serialized, Uint8Array.of(0))
    expect(
      runTest(place1(`${path}/case_2`, { ...files, serialized: longer })).difference,
    ).toBeDefined()
  })

  test('single Merkle proof in a state of another implementation', () => {
    const state = ssz[fork].BeaconState.defaultViewDU()
    const path = 'light_client/single_merkle_proof/BeaconState'
    for (const [name, index] of Object.entries(indicesAt(at, 0))) {
      const leaf = new Tree(state.node).getNode(BigInt(index)).root
      const branch = new Tree(state.node).getSingleProof(BigInt(index))
      const proof = { leaf: to0x(leaf), leaf_index: index, branch: branch.map(to0x) }
      const files = { object: state.serialize(), proof }

      expect(runTest(place1(`${path}/${name}`, files))).toMatchObject({ held: 1 })
      const other = { ...proof, leaf_index: index ^ 8 }
      expect(
        runTest(place1(`${path}/${name}_other`, { ...files, proof: other })).difference,
      ).toMatch(/does not know the index/)
    }
  }, 60_000)
})

describe('a test of the kind data collection', () => {
  const attested = 40
  const message = (kind: string, slot: number) => ({ fork_digest: digestAt(slot), data: kind })
  const files = (imported: readonly number[], changed: object = {}): Files => ({
    config,
    initial_state: concatBytes(
      new Uint8Array(8),
      Buffer.from(network.genesisValidatorsRoot.slice(2), 'hex'),
      new Uint8Array(64),
    ),
    ...Object.fromEntries(
      imported.map((slot) => [
        `block_${slot}`,
        concatBytes(new Uint8Array(100), beaconHeader.serialize(chain.header(slot).beacon)),
      ]),
    ),
    bootstrap: bootstrapBytes(chain.bootstrap(finalOf(attested))),
    update: updateBytes(chain.update(attested)),
    finality: bytesOf(chain.finalityUpdate(attested), () => wireTypes('altair', 32).finalityUpdate),
    optimistic: bytesOf(
      chain.optimisticUpdate(attested),
      () => wireTypes('altair', 32).optimisticUpdate,
    ),
    steps: [
      ...imported.map((slot) => ({ new_block: message(`block_${slot}`, slot) })),
      {
        new_head: {
          head_block_root: to0x(chain.root(attested + 1)),
          checks: {
            latest_finalized_checkpoint: { epoch: 3, root: to0x(chain.root(finalOf(attested))) },
            bootstraps: [
              {
                block_root: to0x(chain.root(finalOf(attested))),
                bootstrap: message('bootstrap', finalOf(attested)),
              },
              { block_root: to0x(chain.root(0)) },
            ],
            best_updates: [{ period: 0, update: message('update', attested) }, { period: 1 }],
            latest_finality_update: message('finality', attested),
            latest_optimistic_update: message('optimistic', attested),
            ...changed,
          },
        },
      },
    ],
  })
  const folder = 'minimal/altair/light_client/data_collection/pyspec_tests'

  test('holds if each message is verified', () => {
    const result = runTest(place(`${folder}/held`, files([finalOf(attested), attested])))

    expect(result).toMatchObject({ difference: undefined, held: 3 })
  })

  test.each<[string, Files, RegExp]>([
    ['a header of a block that was not imported', files([finalOf(attested)]), /was not imported/],
    [
      'a signature of another committee',
      {
        ...files([finalOf(attested), attested]),
        update: updateBytes(chain.update(attested, { signFor: { period: 2 } })),
      },
      /did not sign/,
    ],
    ['a check that is not compared', files([finalOf(attested), attested], { head: {} }), /unknown/],
  ])('differs for %s', (name, changed, difference) => {
    const path = `${folder}/${name.replaceAll(' ', '_')}`

    expect(runTest(place(path, changed)).difference).toMatch(difference)
  })
})

describe('a folder of the suite', () => {
  const script = new URL('../../../scripts/vectors/light-client-vectors.ts', import.meta.url)
  const run = (folder: string) => {
    const { status, stdout } = spawnSync(process.execPath, [script.pathname, folder], {
      encoding: 'utf8',
    })
    return { status, last: stdout.trim().split('\n').at(-1) }
  }

  test('is run whole; other parts of the suite are counted', () => {
    place('whole/minimal/altair/light_client/sync/pyspec_tests/all', syncFiles())
    place('whole/minimal/altair/fork_choice/on_block/pyspec_tests/one', { steps: [] })
    place('whole/minimal/altair/ssz_static/Validator/ssz_zero/case_0', { roots: {} })

    expect(findTests(join(root, 'whole'))).toMatchObject({ others: 2 })
    expect(run(join(root, 'whole'))).toEqual({
      status: 0,
      last: '1 tests: 1 hold, 0 differ; 36 steps hold; 2 tests of other parts of the suite were not run',
    })
  })

  test('fails for a test of an unknown kind, for a difference and for no test', () => {
    place('unknown/light_client/sync_v2/one', { other: {} })
    place('different/light_client/sync/one', syncFiles({ update_34: strangersUpdate() }))
    mkdirSync(join(root, 'empty'))

    expect(run(join(root, 'unknown'))).toEqual({
      status: 1,
      last: '1 tests: 0 hold, 1 differ; 0 steps hold',
    })
    expect(run(join(root, 'different'))).toMatchObject({ status: 1 })
    expect(run(join(root, 'empty'))).toMatchObject({ status: 1 })
  }, 30_000)
})
