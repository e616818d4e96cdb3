/**
 * Writing an app-compose.json the way dstack's client SDKs do, so that its hash can be known beforehand.
 *
 * What boots is the raw file: hash the bytes that are deployed (`composeHash`), and use this only to write
 * them or to predict what an SDK writes.
 */
import { AssentError } from '../../errors/index.ts'

export type ComposeValue =
  | null
  | boolean
  | number
  | string
  | readonly ComposeValue[]
  | { readonly [key: string]: ComposeValue | undefined }

export type Compose = { readonly [key: string]: ComposeValue | undefined }

export interface ComposeOptions {
  /** drops what the runner does not use, as the SDKs do on request */
  readonly normalize?: boolean
}

/**
 * Serialises a compose object: keys sorted by UTF-16 code units, no spaces, non-ASCII literal.
 *
 * @throws INPUT_INVALID for keys that look like integers: JavaScript moves them to the front, other
 *   languages do not, so that the same file would get two hashes
 */
export function serializeCompose(compose: Compose, options: ComposeOptions = {}): string {
  return JSON.stringify(sortKeys(options.normalize ? dropUnused(compose) : compose))
}

function sortKeys(value: ComposeValue): ComposeValue {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  const source = value as Compose
  // without a prototype, so that a key __proto__ is a key like any other
  const sorted: Record<string, ComposeValue> = Object.create(null)
  for (const key of Object.keys(source).sort()) {
    if (/^(?:0|[1-9][0-9]*)$/.test(key)) {
      throw new AssentError('INPUT_INVALID', `The key "${key}" has no order that all SDKs share.`, {
        facts: { field: key },
      })
    }
    const member = source[key]
    if (member !== undefined) sorted[key] = sortKeys(member)
  }
  return sorted
}

/** Which script the runner ignores. */
const unusedBy: Record<string, string> = {
  bash: 'docker_compose_file',
  'docker-compose': 'bash_script',
  'nerdctl-compose': 'bash_script',
}

function dropUnused(compose: Compose): Compose {
  const { runner, pre_launch_script: preLaunch } = compose
  const unused = typeof runner === 'string' ? unusedBy[runner] : undefined
  const kept = Object.entries(compose).filter(
    ([key]) => key !== unused && !(key === 'pre_launch_script' && preLaunch === ''),
  )
  return Object.fromEntries(kept)
}
