/**
 * App manifests: dstack's app-compose.json, as raw bytes and as JSON.
 *
 * The compose hash covers the raw bytes. dstack's guest reads some members with Rust and others with jq, so members that
 * it does not know are ignored and not refused.
 */
import { AssentError } from '../errors/index.ts'
import { type Hex, to0x } from '../lib/bytes.ts'
import { readJson } from '../lib/json.ts'
import { composeHash } from '../quote/measurements/measure.ts'

/** A manifest whose members are not checked yet. */
export interface Manifest {
  /** The bytes that dstack measures. */
  readonly raw: Uint8Array
  /** SHA-256 of the raw bytes: the id of the release. */
  readonly composeHash: Hex
  /** The bytes as UTF-8. */
  readonly text: string
  /** Parsed JSON object; unknown members are kept. */
  readonly members: Readonly<Record<string, unknown>>
}

/** Bytes. dstack's guest accepts 50 MiB; a proposal carries at most 64 KiB. */
export const maxManifestBytes = 1024 * 1024

/** The largest manifest that a release can publish on-chain, bytes. */
export const maxPublishedBytes = 65_536

const jsonLimits = { depth: 64, values: 50_000 }

/**
 * Reads a manifest.
 *
 * @throws INPUT_TOO_LARGE, MANIFEST_INVALID
 * @example
 * const { composeHash } = readManifest(await readFile('app-compose.json'))
 */
export function readManifest(raw: Uint8Array): Manifest {
  if (raw.length > maxManifestBytes) {
    throw new AssentError('INPUT_TOO_LARGE', 'The manifest is too large.', {
      facts: { found: raw.length, expected: `at most ${maxManifestBytes} bytes` },
    })
  }
  const text = decodeText(raw)
  const members = parseMembers(text)
  return { raw, composeHash: to0x(composeHash(raw)), text, members }
}

function decodeText(raw: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw)
  } catch (cause) {
    throw new AssentError('MANIFEST_INVALID', 'The manifest is not UTF-8 text.', { cause })
  }
}

function parseMembers(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = readJson(text, jsonLimits).value
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw new AssentError('MANIFEST_INVALID', 'The manifest is not JSON.', { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw new AssentError('MANIFEST_INVALID', 'The manifest is not a JSON object.')
}

/** A member that is a text; undefined if it is absent or something else. */
export function textMember({ members }: Manifest, name: string): string | undefined {
  const value = members[name]
  return typeof value === 'string' ? value : undefined
}

/** The texts of a list member; empty if it is absent or something else. */
export function listMember({ members }: Manifest, name: string): readonly string[] {
  const value = members[name]
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}

/** The runners that start `docker_compose_file`. */
export const composeRunners: readonly string[] = ['docker-compose', 'nerdctl-compose']

/** The text of the Docker Compose file that the runner starts; undefined if it starts none. */
export function composeText(manifest: Manifest): string | undefined {
  const runner = textMember(manifest, 'runner')
  if (runner === undefined || !composeRunners.includes(runner)) return undefined
  return textMember(manifest, 'docker_compose_file')
}
