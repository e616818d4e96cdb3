/**
 * The light client's store on disk: survives restarts, never goes back.
 *
 * The records (`record-folder.ts`) are named by the finalized slot. The MAC (`seal`) shows that this node wrote the file. When it is
 * read, only the execution block of the header is proven again.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x, toHex } from '../../lib/bytes.ts'
import { isAbsent, writeFlushed } from '../../lib/durable-file.ts'
import { bytes32Schema, bytesSchema } from '../../lib/schema.ts'
import type { NamedNode } from '../boot/evidence.ts'
import { listRecords, macOfRecord, storeRecord } from '../record/record-folder.ts'
import { committeeType, wireTypes } from './containers.ts'
import { executionOf } from './execution.ts'
import { type FinalityProof, maxCommittees, nameBytes } from './finality-proof.ts'
import { type Committee, toCommittee, toHeader } from './messages.ts'
import type { Network } from './network.ts'
import type { KnownHeader, LightStore } from './store.ts'

/** Keeps a `LightStore`. */
export interface StoreFolder {
  /** @throws CONSENSUS_STORE_MISSING, CONSENSUS_STORE_INVALID */
  read(): Promise<LightStore>
  /** Durable when it returns. A store that is older than the one on disk is not written. @throws CONSENSUS_STORE_UNWRITABLE */
  write(store: LightStore): Promise<void>
  /** The first store of a new node. @throws CONSENSUS_STORE_EXISTS, CONSENSUS_STORE_UNWRITABLE */
  begin(store: LightStore): Promise<void>
}

/** Folder of a light-client store, and its network. */
export interface StoreFolderOptions {
  /** Created if it does not exist. Several processes of a node can share it. */
  readonly folder: string
  /** A store of another network is refused. */
  readonly network: Network
  /** Authenticates the files; without a key they only have a checksum, which anyone can make. */
  readonly key?: Uint8Array
}

const countSchema = z.int().min(0).max(65_536)

/**
 * Version 2; version 1 had no messages. Messages that introduced committees are large and rarely change, so each is a
 * file of its own, named by its hash. The optimistic header is not kept: it only denies, and the next request brings a
 * newer one.
 */
const recordSchema = z.strictObject({
  version: z.literal(2),
  network: z.string().max(64),
  genesisValidatorsRoot: bytes32Schema,
  form: z.enum(['altair', 'capella', 'deneb', 'electra', 'gloas']),
  finalized: bytesSchema,
  current: bytesSchema,
  next: bytesSchema.nullable(),
  previousMaxSigners: countSchema,
  currentMaxSigners: countSchema,
  /** The finality update that proves the header; null: the header is that of the bootstrap. */
  final: bytesSchema.nullable(),
  /** keccak-256 of the messages that introduced committees. */
  committees: z.array(bytes32Schema).max(maxCommittees),
  seal: z.string().regex(/^[0-9a-f]{64}$/),
})

type StoredFields = Omit<z.output<typeof recordSchema>, 'seal'>

const namePattern = /^store-[0-9]{20}-[01]\.json$/
const committeePattern = /^committee-[0-9a-f]{64}\.bin$/
/** More than this are only left by processes that were killed. */
const maxCommitteeFiles = 4 * maxCommittees

/** Two committees of 4,096 members in hexadecimal digits, and a header. */
const maxFileBytes = 1_000_000

/** Opens a folder; nothing is read or written yet. */
export function openStoreFolder(options: StoreFolderOptions): StoreFolder {
  const { folder } = options
  const write = async (store: LightStore) => {
    try {
      await writeRecord(store, options)
    } catch (cause) {
      throw new AssentError(
        'CONSENSUS_STORE_UNWRITABLE',
        'The store of the light client could not be written.',
        { cause, facts: { folder } },
      )
    }
  }
  return {
    read: () => readNewest(options),
    write,
    begin: async (store) => {
      if ((await listStores(folder)).length > 0) {
        throw new AssentError(
          'CONSENSUS_STORE_EXISTS',
          `There is a store of the light client in ${folder} already.`,
          { facts: { folder } },
        )
      }
      await write(store)
    },
  }
}

/** Reads the store of a node and keeps what is newer in memory: for a program that changes nothing. */
export function readOnlyStoreFolder(options: StoreFolderOptions): StoreFolder {
  const disk = openStoreFolder(options)
  const { read, write, begin } = volatileStoreFolder()
  return {
    read: () =>
      read().catch((error: unknown) => {
        if (isAssentError(error, 'CONSENSUS_STORE_MISSING')) return disk.read()
        throw error
      }),
    write,
    begin,
  }
}

/** Keeps the store for as long as the process lives: for demonstrations and tests. */
export function volatileStoreFolder(): StoreFolder {
  let kept: LightStore | undefined
  const write = async (store: LightStore) => {
    kept = store
  }
  return {
    read: async () => {
      if (kept !== undefined) return kept
      throw new AssentError('CONSENSUS_STORE_MISSING', 'No store of the light client was begun.')
    },
    write,
    begin: write,
  }
}

/* READING */

async function readNewest(options: StoreFolderOptions): Promise<LightStore> {
  const { folder } = options
  // a file may go while it is read, because another process is further: then there is a newer one
  for (let attempt = 0; attempt < 8; attempt++) {
    const [newest] = await listStores(folder)
    if (newest === undefined) break
    const text = await readBounded(newest)
    if (text !== undefined) {
      const fields = parseRecord(text.toString('utf8'), newest, options)
      return toStore(fields, newest, { ...options, proof: await readProof(fields, folder) })
    }
  }
  throw new AssentError(
    'CONSENSUS_STORE_MISSING',
    `There is no store of the light client in ${folder}.`,
    { facts: { folder } },
  )
}

async function listStores(folder: string): Promise<string[]> {
  try {
    return await listRecords(folder, namePattern)
  } catch (cause) {
    throw invalid('cannot be listed', folder, cause)
  }
}

/** Messages that are lost are left out: then others cannot check the signatures before them. */
async function readProof(
  { final, committees: names }: StoredFields,
  folder: string,
): Promise<FinalityProof> {
  const read = await Promise.all(names.map((name) => readCommitteeFile(folder, name)))
  return {
    committees: read.slice(read.lastIndexOf(undefined) + 1) as NamedNode[],
    final: final === null ? undefined : nameBytes(fromHex(final, 'finality update')),
  }
}

async function readCommitteeFile(folder: string, name: Hex): Promise<NamedNode | undefined> {
  const bytes = await readBounded(committeePath(folder, name))
  const message = bytes && nameBytes(bytes)
  return message?.[0] === name ? message : undefined
}

async function readBounded(path: string): Promise<Buffer | undefined> {
  try {
    const { size } = await stat(path)
    if (size > maxFileBytes) throw invalid(`has ${size} bytes`, path)
    return await readFile(path)
  } catch (cause) {
    if (isAbsent(cause)) return undefined
    if (isAssentError(cause)) throw cause
    throw invalid('cannot be read', path, cause)
  }
}

function parseRecord(text: string, path: string, options: StoreFolderOptions): StoredFields {
  let record: z.output<typeof recordSchema>
  try {
    record = recordSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw invalid('is damaged', path, cause)
  }
  const { seal, ...fields } = record
  if (!timingSafeEqual(fromHex(seal, 'seal', 32), macOf(fields, options))) {
    throw invalid('was changed, or written by another node', path)
  }
  const { name, genesisValidatorsRoot } = options.network
  const isOurs = fields.network === name && fields.genesisValidatorsRoot === genesisValidatorsRoot
  if (!isOurs) throw invalid('is of another network', path)
  return fields
}

function toStore(
  fields: StoredFields,
  path: string,
  options: StoreFolderOptions & { readonly proof: FinalityProof },
): LightStore {
  const { network, folder, proof } = options
  try {
    const finalized = readHeader(fields, network)
    const store = {
      finalized,
      optimistic: finalized,
      current: readCommittee(fields.current, network),
      next: fields.next === null ? undefined : readCommittee(fields.next, network),
      previousMaxSigners: fields.previousMaxSigners,
      currentMaxSigners: fields.currentMaxSigners,
      proof,
    }
    if (path !== pathOf(folder, store)) throw invalid('is misnamed', path)
    return store
  } catch (cause) {
    if (isAssentError(cause, 'CONSENSUS_STORE_INVALID')) throw cause
    throw invalid('is damaged', path, cause)
  }
}

function readHeader({ form, finalized }: StoredFields, network: Network): KnownHeader {
  const type = wireTypes(form, network.committeeSize).header
  const header = toHeader(form, type.deserialize(fromHex(finalized, 'header')))
  return { ...header, execution: executionOf(network, header) }
}

function readCommittee(hex: string, { committeeSize }: Network): Committee {
  return toCommittee(committeeType(committeeSize).deserialize(fromHex(hex, 'committee')))
}

/* WRITING */

async function writeRecord(store: LightStore, options: StoreFolderOptions): Promise<void> {
  const { folder, network } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = pathOf(folder, store)
  const [newest] = await listStores(folder)
  if (newest !== undefined && newest >= path) return
  const { finalized, current, next, previousMaxSigners, currentMaxSigners, proof } = store
  await writeCommittees(folder, proof.committees)
  const committees = committeeType(network.committeeSize)
  const fields: StoredFields = {
    version: 2,
    network: network.name,
    genesisValidatorsRoot: network.genesisValidatorsRoot,
    form: finalized.form,
    finalized: to0x(
      wireTypes(finalized.form, network.committeeSize).header.serialize(finalized.value),
    ),
    current: to0x(committees.serialize(current.value)),
    next: next === undefined ? null : to0x(committees.serialize(next.value)),
    previousMaxSigners,
    currentMaxSigners,
    final: proof.final === undefined ? null : proof.final[1],
    committees: proof.committees.map(([name]) => name),
  }
  const record = { ...fields, seal: toHex(macOf(fields, options)) }
  await storeRecord(path, JSON.stringify(record), namePattern)
}

/** Writes the messages that are not there. Files that no process uses any more are deleted at times. */
async function writeCommittees(folder: string, messages: readonly NamedNode[]): Promise<void> {
  const files = (await readdir(folder)).filter((name) => committeePattern.test(name))
  const used = new Set<string>()
  for (const [name, message] of messages) {
    const path = committeePath(folder, name)
    used.add(basename(path))
    if (files.includes(basename(path))) continue
    const aside = `${path}.new-${process.pid}-${randomBytes(4).toString('hex')}`
    await writeFlushed(aside, fromHex(message, 'message'))
    await rename(aside, path)
  }
  if (files.length <= maxCommitteeFiles) return
  const unused = files.filter((name) => !used.has(name))
  await Promise.all(unused.map((name) => rm(join(folder, name), { force: true })))
}

function committeePath(folder: string, name: Hex): string {
  return join(folder, `committee-${name.slice(2)}.bin`)
}

/** A store that knows the next committee is further than one that does not. */
function pathOf(folder: string, { finalized, next }: Pick<LightStore, 'finalized' | 'next'>) {
  const slot = String(finalized.slot).padStart(20, '0')
  return join(folder, `store-${slot}-${next === undefined ? 0 : 1}.json`)
}

function macOf(fields: StoredFields, { key }: StoreFolderOptions): Uint8Array {
  const names = Object.keys(fields).sort() as (keyof StoredFields)[]
  const text = JSON.stringify(['assent-light-client-store', ...names.map((name) => fields[name])])
  return macOfRecord(text, key)
}

function invalid(what: string, path: string, cause?: unknown): AssentError {
  return new AssentError('CONSENSUS_STORE_INVALID', `The store of the light client ${what}.`, {
    cause,
    facts: { path },
  })
}
