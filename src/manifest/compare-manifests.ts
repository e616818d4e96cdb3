/** The difference between two manifests in meaning: services, images, environment, flags. */
import type { Hex } from '../lib/bytes.ts'
import { escapeText } from '../lib/printable.ts'
import { type Json, normalizeManifest } from './describe-manifest.ts'
import type { Manifest } from './manifest.ts'

/** The kind of a difference. */
export type ChangeKind = 'added' | 'removed' | 'changed'

/** One difference. */
export interface ManifestChange {
  readonly kind: ChangeKind
  /** Path in the manifest or its Compose file, such as `services.web.image`. */
  readonly place: string
  /**
   * null if it was added. A value that readers of YAML or JSON can read differently is its text and ` (unquoted)`.
   */
  readonly before: Json
  /** null if it was removed. */
  readonly after: Json
}

/** Differences between two manifests, by meaning and not by text. */
export interface ManifestComparison {
  /** Compose hash, 32 bytes. */
  readonly before: Hex
  /** Compose hash, 32 bytes. */
  readonly after: Hex
  /** `same-bytes`: one release. `same-meaning`: two releases that differ in form only. */
  readonly result: 'same-bytes' | 'same-meaning' | 'different'
  /** In order of their places. */
  readonly changes: readonly ManifestChange[]
}

/**
 * Compares two manifests. The result is deterministic: equal inputs give the same JSON.
 *
 * @example compareManifests(old, next).changes // [{ kind: 'changed', place: 'services.web.image', … }]
 */
export function compareManifests(before: Manifest, after: Manifest): ManifestComparison {
  const changes = compare(normalizeManifest(before), normalizeManifest(after), '').sort((a, b) =>
    a.place < b.place ? -1 : a.place > b.place ? 1 : 0,
  )
  const isSame = before.composeHash === after.composeHash
  return {
    before: before.composeHash,
    after: after.composeHash,
    result: isSame ? 'same-bytes' : changes.length === 0 ? 'same-meaning' : 'different',
    changes,
  }
}

function compare(
  before: Json | undefined,
  after: Json | undefined,
  place: string,
): ManifestChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys.flatMap((key) =>
      compare(ownMember(before, key), ownMember(after, key), join(place, key)),
    )
  }
  if (isObject(before) && after === undefined) return membersAsChanges(before, place, 'removed')
  if (before === undefined && isObject(after)) return membersAsChanges(after, place, 'added')
  if (isTexts(before) && isTexts(after)) return compareLists(before, after, place)
  return [{ kind: kindOf(before, after), place, before: before ?? null, after: after ?? null }]
}

/** A new or removed service is shown member by member. */
function membersAsChanges(
  value: { readonly [key: string]: Json },
  place: string,
  kind: ChangeKind,
) {
  const entries = Object.entries(value)
  const shown: ManifestChange[] = entries.flatMap(([key, each]) =>
    kind === 'added'
      ? compare(undefined, each, join(place, key))
      : compare(each, undefined, join(place, key)),
  )
  const itself = {
    kind,
    place,
    before: kind === 'added' ? null : {},
    after: kind === 'added' ? {} : null,
  }
  return shown.length > 0 ? shown : [itself]
}

/** Elements that only one of the lists has; a list in another order is changed as a whole. */
function compareLists(
  before: readonly string[],
  after: readonly string[],
  place: string,
): ManifestChange[] {
  const removed = before.filter((each) => !after.includes(each))
  const added = after.filter((each) => !before.includes(each))
  if (removed.length === 0 && added.length === 0) {
    return [{ kind: 'changed', place, before: [...before], after: [...after] }]
  }
  return [
    ...removed.map(
      (each): ManifestChange => ({ kind: 'removed', place, before: each, after: null }),
    ),
    ...added.map((each): ManifestChange => ({ kind: 'added', place, before: null, after: each })),
  ]
}

/** The Compose file is one level up, because its services are what people look for. */
function join(place: string, key: string): string {
  if (place === '' || place === 'docker_compose_file') return key
  return `${place}.${key}`
}

function kindOf(before: Json | undefined, after: Json | undefined): ChangeKind {
  if (before === undefined) return 'added'
  return after === undefined ? 'removed' : 'changed'
}

function ownMember(value: { readonly [key: string]: Json }, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTexts(value: Json | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

/**
 * The changes as text, one line each: `+` added, `-` removed, `~` changed. Control characters are escaped, because a
 * manifest from the chain can be written by anybody.
 */
export function formatComparison({ result, changes }: ManifestComparison): readonly string[] {
  if (result === 'same-bytes') return ['The manifests are the same file.']
  if (result === 'same-meaning') {
    return ['The manifests mean the same and differ in form, so they are two releases.']
  }
  return changes.map(({ kind, place, before, after }) => {
    const name = escapeText(place)
    if (kind === 'added') return `+ ${name}: ${shorten(after)}`
    if (kind === 'removed') return `- ${name}: ${shorten(before)}`
    return `~ ${name}: ${shorten(before)} → ${shorten(after)}`
  })
}

const maxShown = 400

function shorten(value: Json): string {
  const text = escapeText(typeof value === 'string' ? value : JSON.stringify(value))
  return text.length > maxShown ? `${text.slice(0, maxShown)}… (${text.length} characters)` : text
}
