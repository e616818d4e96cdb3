/** A manifest in one form: defaults filled in, the Compose file parsed, so that equal meaning gives equal values. */
import { isAssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { readWrittenJson } from './as-written.ts'
import { parseComposeFile, type Service } from './compose-file.ts'
import { readEnvironmentPin, withoutEnvironmentPin } from './environment-pin.ts'
import { parseImageReference } from './image-reference.ts'
import { composeText, listMember, type Manifest, textMember } from './manifest.ts'
import { defaults } from './members.ts'
import { environmentOf } from './services.ts'

/** A JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }

/** A manifest in short, for reviews and commands. */
export interface ManifestDescription {
  /** SHA-256 of the manifest's bytes: the id of the release. */
  readonly composeHash: Hex
  readonly name: string
  /** Services in order of their names. */
  readonly services: readonly ServiceSummary[]
  /** Names of the sealed variables, sorted. */
  readonly variableNames: readonly string[]
  /** SHA-256 of the sealed environment that the release pins; null if it pins none. */
  readonly environmentPin: Hex | null
  /** Members of the manifest that are neither above nor at their default. */
  readonly flags: { readonly [name: string]: Json }
}

/** A service of the Compose file in short. */
export interface ServiceSummary {
  readonly name: string
  /** As written. */
  readonly image: string
  /** `sha256:…`; null: the image is not pinned. */
  readonly digest: string | null
}

/**
 * What a release is: name, services with their images, environment, flags.
 *
 * @example describeManifest(readManifest(raw)).services // [{ name: 'web', image: 'nginx@sha256:…', digest: … }]
 */
export function describeManifest(manifest: Manifest): ManifestDescription {
  const services = servicesOf(manifest)
  const shown = ['name', 'docker_compose_file', 'allowed_envs']
  const flags = Object.entries(manifest.members).filter(
    ([name, value]) => !shown.includes(name) && !equalJson(value, Object(defaults)[name]),
  )
  return {
    composeHash: manifest.composeHash,
    name: textMember(manifest, 'name') ?? '',
    services: [...services].sort(byName).map(([name, { image }]) => summarize(name, image)),
    variableNames: [...listMember(manifest, 'allowed_envs')].sort(),
    environmentPin: readEnvironmentPin(textMember(manifest, 'pre_launch_script') ?? '') ?? null,
    flags: Object.fromEntries(flags.sort(byName)) as { [name: string]: Json },
  }
}

function summarize(name: string, image: unknown): ServiceSummary {
  const text = typeof image === 'string' ? image : ''
  return { name, image: text, digest: digestOf(text) }
}

function digestOf(image: string): string | null {
  try {
    return parseImageReference(image).digest ?? null
  } catch {
    return null
  }
}

function servicesOf(manifest: Manifest): ReadonlyMap<string, Service> {
  const text = composeText(manifest)
  try {
    return text === undefined ? new Map() : parseComposeFile(text).services
  } catch (error) {
    if (isAssentError(error)) return new Map()
    throw error
  }
}

/**
 * The whole content of a manifest as one JSON value, for comparison. A Compose file that cannot be parsed stays a text.
 * Numbers that two readers can read differently are their texts, see {@link readWrittenJson}.
 */
export function normalizeManifest(manifest: Manifest): { readonly [key: string]: Json } {
  const {
    docker_compose_file: text,
    pre_launch_script: script,
    allowed_envs: names,
    ...rest
  } = readWrittenJson(manifest.text) as Manifest['members']
  const prelaunch = typeof script === 'string' ? script : ''
  return {
    ...(defaults as { [key: string]: Json }),
    ...(rest as { [key: string]: Json }),
    allowed_envs: Array.isArray(names) ? ([...new Set(names)].sort() as Json) : [],
    environment_pin: readEnvironmentPin(prelaunch) ?? null,
    pre_launch_script: withoutEnvironmentPin(prelaunch),
    docker_compose_file: normalizeCompose(manifest) ?? (text === undefined ? null : (text as Json)),
  }
}

function normalizeCompose(manifest: Manifest): Json | undefined {
  const text = composeText(manifest)
  if (text === undefined) return undefined
  try {
    const { written } = parseComposeFile(text)
    const services = Object.entries((written.services ?? {}) as Record<string, Service>)
    const normalized = services.map(([name, service]) => [
      name,
      isEnvironment(service.environment)
        ? { ...service, environment: Object.fromEntries(environmentOf(service)) }
        : service,
    ])
    // through JSON, so that dates and other YAML values compare by their text
    return JSON.parse(JSON.stringify({ ...written, services: Object.fromEntries(normalized) }))
  } catch (error) {
    if (isAssentError(error)) return undefined
    throw error
  }
}

/** Whether both forms of an environment can hold it without a loss: texts, or names with scalar values. */
function isEnvironment(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((each) => typeof each === 'string')
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).every((each) => typeof each !== 'object' || each === null)
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function equalJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
