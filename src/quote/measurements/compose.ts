/**
 * Writes an app-compose file in the same form as dstack's client SDKs, so that its hash is known before deployment.
 *
 * The compose hash covers the raw bytes of the deployed file: use `composeHash` for a file that exists already.
 */
import { AssentError } from '../../errors/index.ts'

/** Any JSON value. */
export type ComposeValue =
  | null
  | boolean
  | number
  | string
  | readonly ComposeValue[]
  | { readonly [key: string]: ComposeValue | undefined }

/** The content of an app-compose file. */
export type Compose = { readonly [key: string]: ComposeValue | undefined }

/** Options for writing the file. */
export interface ComposeOptions {
  /** Removes members that the runner does not use, as the SDKs do on request. */
  readonly normalize?: boolean
}

/**
 * Serializes a compose object: keys sorted by UTF-16 code units, no spaces, non-ASCII characters unescaped.
 *
 * @throws INPUT_INVALID for a key that is an integer: JavaScript moves such keys to the front and other languages do
 *   not, so the same object would have two hashes
 *
 * @example
 * const text = serializeCompose({ runner: 'docker-compose', name: 'app' })
 * const hash = composeHash(new TextEncoder().encode(text))
 */
export function serializeCompose(compose: Compose, options: ComposeOptions = {}): string {
  return JSON.stringify(sortKeys(options.normalize ? dropUnused(compose) : compose))
}

function sortKeys(value: ComposeValue): ComposeValue {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  const source = value as Compose
  // without a prototype, so that `__proto__` is an ordinary key
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

/** The member that each runner ignores. */
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
