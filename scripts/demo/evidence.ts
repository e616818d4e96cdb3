/** The quote that the demo starts from: recorded on real hardware, the visitor's own, or simulated. */
import { readFile } from 'node:fs/promises'

import { AssentError } from '../../src/errors/index.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import type { TrustAnchor } from '../../src/quote/certificates/trust-anchor.ts'
import { type Collateral, parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import type { Simulator } from '../../src/tee/simulator/simulator.ts'
import { readVector, readVectorJson, readVectorText, vectorsFolder } from '../vectors/vectors.ts'

/** A quote with everything that is needed to judge and to read it. */
export interface DemoEvidence {
  readonly kind: 'recorded' | 'given' | 'simulated'
  /** Where it comes from, in words. */
  readonly origin: string
  readonly quote: Uint8Array
  readonly collateral: Collateral
  /** JSON, as the guest agent renders it. */
  readonly eventLog: string
  /** The bytes of app-compose.json. */
  readonly compose: Uint8Array
  /** What the host says it booted. */
  readonly osImageHash: Uint8Array
  /** Whose quotes count here. */
  readonly root: TrustAnchor
}

/** Files of a visitor's own CVM. */
export interface GivenFiles {
  readonly quote: string
  readonly collateral: string
  readonly eventLog: string
  readonly compose: string
  /** Hex, 32 bytes. */
  readonly osImageHash: string
}

/** 2026-08-20: inside the validity of the collateral that was recorded with the real quote. */
export const recordedAt = 1_787_184_000

const recordedSet = 'dstack/external/near-mpc'

/** The recorded set, if the vectors are at hand. */
export function readRecordedEvidence(): DemoEvidence | undefined {
  if (vectorsFolder === undefined) return undefined
  const info = readVectorJson<{ event_log: string; os_image_hash: string }>(
    `${recordedSet}/tcb_info.json`,
  )
  return {
    kind: 'recorded',
    origin: 'a CVM of near/mpc on Intel hardware, recorded in August 2026 (MIT)',
    quote: readVector(`${recordedSet}/quote.bin`),
    collateral: parseCollateral(JSON.parse(readVectorText(`${recordedSet}/collateral.json`))),
    eventLog: typeof info.event_log === 'string' ? info.event_log : JSON.stringify(info.event_log),
    compose: readVector(`${recordedSet}/app_compose.json`),
    osImageHash: fromHex(info.os_image_hash, 'os_image_hash', 32),
    root: 'intel',
  }
}

/** @throws FILE_UNREADABLE, QUOTE_COLLATERAL_MALFORMED, HEX_INVALID, LENGTH_WRONG, INPUT_INVALID */
export async function readGivenEvidence(files: GivenFiles): Promise<DemoEvidence> {
  const [quote, collateral, eventLog, compose] = await Promise.all(
    [files.quote, files.collateral, files.eventLog, files.compose].map(readBytes),
  )
  return {
    kind: 'given',
    origin: files.quote,
    quote: quote as Uint8Array,
    collateral: parseCollateral(parseJson(collateral as Uint8Array, files.collateral)),
    eventLog: Buffer.from(eventLog as Uint8Array).toString('utf8'),
    compose: compose as Uint8Array,
    osImageHash: fromHex(files.osImageHash, '--os-image', 32),
    root: 'intel',
  }
}

/** Stands in where no recorded quote is at hand; every byte of the same path runs, under another root. */
export function simulateEvidence(simulator: Simulator): DemoEvidence {
  const image = createImage({ name: 'assent-sim-recorded' })
  const cvm = simulator
    .createPlatform({ name: 'recorded-host' })
    .createCvm({ image, compose: '{"manifest_version":2,"name":"recorded","no_instance_id":true}' })
  cvm.advance('ready', { keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) } })
  return {
    kind: 'simulated',
    origin: 'a simulated CVM: its quote is signed by the simulator, not by Intel',
    quote: cvm.quote(new Uint8Array(64)),
    collateral: parseCollateral({ ...simulator.collateral() }),
    eventLog: cvm.eventLog('full'),
    compose: cvm.compose,
    osImageHash: image.osImageHash,
    root: simulator.rootCertificate,
  }
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(file))
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
  }
}

function parseJson(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw new AssentError('INPUT_INVALID', `${file} is not JSON.`, { cause, facts: { file } })
  }
}

/** The first bytes of a long value, for reading. */
export function short(bytes: Uint8Array): string {
  return bytes.length <= 8 ? toHex(bytes) : `${toHex(bytes.subarray(0, 6))}…`
}
