/**
 * The trusted checkpoint: number and hash of the last final block that this node accepted. It survives restarts and
 * never goes back.
 *
 * The records (`record-folder.ts`) are named after the block number.
 */
import { timingSafeEqual } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex, type Hex, toHex } from '../../lib/bytes.ts'
import { isAbsent } from '../../lib/durable-file.ts'
import { addressSchema, bytes32Schema } from '../../lib/schema.ts'
import { listRecords, macOfRecord, storeRecord } from '../record/record-folder.ts'

/** A block that was accepted; the timestamp is in unix seconds. */
export interface BlockReference {
  /** Block number. */
  readonly number: bigint
  /** 32 bytes. */
  readonly hash: Hex
  /** Unix seconds. */
  readonly timestamp: number
}

/** The stored checkpoint of a node. */
export interface ChainCheckpoint {
  /** The checkpoint; undefined only if nothing is stored on disk by design. @throws CHAIN_CHECKPOINT_MISSING, CHAIN_CHECKPOINT_INVALID */
  read(): Promise<BlockReference | undefined>
  /** Stores a newer block; it is on the disk when this returns. @throws CHAIN_CHECKPOINT_UNWRITABLE */
  write(mark: BlockReference): Promise<void>
  /** Creates the checkpoint of a new node. @throws CHAIN_CHECKPOINT_EXISTS, CHAIN_CHECKPOINT_UNWRITABLE */
  start(mark: BlockReference): Promise<void>
}

/** Folder of the checkpoint, and the chain and contract that it belongs to. */
export interface CheckpointOptions {
  /** Created if it does not exist. Several processes of one node share it. */
  readonly folder: string
  /** A checkpoint of another chain is refused. */
  readonly chainId: number
  /** A checkpoint for another `KmsAuth` contract is refused. */
  readonly kms: Hex
  /** Key that authenticates the files. Without it they have only a checksum, which anyone can compute. */
  readonly key?: Uint8Array
}

const recordSchema = z.strictObject({
  version: z.literal(1),
  chainId: z.int(),
  kmsContract: addressSchema,
  number: z.string().regex(/^(?:0|[1-9][0-9]{0,19})$/),
  hash: bytes32Schema,
  timestamp: z.int().min(0),
  seal: z.string().regex(/^[0-9a-f]{64}$/),
})

type CheckpointFields = Omit<z.output<typeof recordSchema>, 'seal'>

const namePattern = /^block-([0-9]{20})\.json$/

/** A checkpoint in memory only: for the first start of a node, and for demos. */
export function volatileCheckpoint(): ChainCheckpoint {
  let mark: BlockReference | undefined
  const write = async (seen: BlockReference) => {
    mark = seen
  }
  return { read: async () => mark, write, start: write }
}

/** The checkpoint in a folder. */
export function openCheckpoint(options: CheckpointOptions): ChainCheckpoint {
  const { folder } = options
  const write = async (mark: BlockReference) => {
    try {
      await storeCheckpoint(mark, options)
    } catch (cause) {
      throw new AssentError(
        'CHAIN_CHECKPOINT_UNWRITABLE',
        'The trusted checkpoint could not be stored.',
        {
          cause,
          facts: { folder },
        },
      )
    }
  }
  return {
    read: () => readNewest(options),
    write,
    start: async (mark) => {
      if ((await listCheckpoints(folder)).length > 0) {
        throw new AssentError(
          'CHAIN_CHECKPOINT_EXISTS',
          `The folder ${folder} already contains a trusted checkpoint.`,
          {
            facts: { folder },
          },
        )
      }
      await write(mark)
    },
  }
}

async function readNewest(options: CheckpointOptions): Promise<BlockReference> {
  const { folder } = options
  const [newest] = await listCheckpoints(folder)
  if (newest !== undefined) return readRecord(newest, options)
  throw new AssentError(
    'CHAIN_CHECKPOINT_MISSING',
    `The folder ${folder} contains no trusted checkpoint.`,
    {
      facts: { folder },
    },
  )
}

async function listCheckpoints(folder: string): Promise<string[]> {
  try {
    return await listRecords(folder, namePattern)
  } catch (cause) {
    throw invalid('cannot be listed', folder, cause)
  }
}

async function readRecord(path: string, options: CheckpointOptions): Promise<BlockReference> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    // another process has just stored a higher block and deleted this file
    if (isAbsent(cause)) return readNewest(options)
    throw invalid('cannot be read', path, cause)
  }
  const { seal, ...fields } = parseRecord(text, path)
  if (!timingSafeEqual(fromHex(seal, 'seal', 32), macOf(fields, options))) {
    throw invalid('was changed, or written by another node', path)
  }
  const { chainId, kmsContract, number, hash, timestamp } = fields
  if (chainId !== options.chainId || kmsContract !== options.kms) {
    throw invalid('is for another chain or contract', path)
  }
  if (path !== pathOf(options.folder, BigInt(number))) throw invalid('has a wrong file name', path)
  return { number: BigInt(number), hash, timestamp }
}

function parseRecord(text: string, path: string) {
  try {
    return recordSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw invalid('is damaged', path, cause)
  }
}

async function storeCheckpoint(mark: BlockReference, options: CheckpointOptions): Promise<void> {
  const { folder, chainId, kms } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { number, hash, timestamp } = mark
  const fields: CheckpointFields = {
    version: 1,
    chainId,
    kmsContract: kms,
    number: `${number}`,
    hash,
    timestamp,
  }
  const record = { ...fields, seal: toHex(macOf(fields, options)) }
  const path = pathOf(folder, number)
  await storeRecord(path, JSON.stringify(record), namePattern)
}

function macOf(fields: CheckpointFields, { key }: CheckpointOptions): Uint8Array {
  const { version, chainId, kmsContract, number, hash, timestamp } = fields
  const text = [
    'assent-chain-memory',
    version,
    chainId,
    kmsContract,
    number,
    hash,
    timestamp,
  ].join()
  return macOfRecord(text, key)
}

function pathOf(folder: string, number: bigint): string {
  return join(folder, `block-${String(number).padStart(20, '0')}.json`)
}

function invalid(what: string, path: string, cause?: unknown): AssentError {
  return new AssentError('CHAIN_CHECKPOINT_INVALID', `The trusted checkpoint ${what}.`, {
    cause,
    facts: { path },
  })
}
