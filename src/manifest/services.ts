/** Members of a Compose service in one form, for each spelling that a file can use. */
import type { Service } from './compose-file.ts'

/** Environment of a service by name; null: the value comes from the environment of the CVM. */
export function environmentOf({ environment }: Service): ReadonlyMap<string, string | null> {
  if (Array.isArray(environment)) {
    const pairs = environment.filter((each) => typeof each === 'string').map(splitPair)
    return new Map(pairs)
  }
  if (typeof environment !== 'object' || environment === null) return new Map()
  return new Map(
    Object.entries(environment).map(([name, value]) => [
      name,
      value === null ? null : String(value),
    ]),
  )
}

function splitPair(pair: string): [string, string | null] {
  const at = pair.indexOf('=')
  return at === -1 ? [pair, null] : [pair.slice(0, at), pair.slice(at + 1)]
}

/** A mount of a service. `source` is undefined for an anonymous volume. */
export interface Mount {
  /** Host path or volume name; undefined for an anonymous volume. */
  readonly source: string | undefined
  /** Path inside the container. */
  readonly target: string
  /** Whether the source is a path of the CVM and not a named volume. */
  readonly isBind: boolean
}

/** Volumes of a service, from the short and the long syntax. */
export function mountsOf({ volumes }: Service): readonly Mount[] {
  if (!Array.isArray(volumes)) return []
  return volumes.flatMap((each): Mount[] => {
    if (typeof each === 'string') return [readShortMount(each)]
    if (typeof each !== 'object' || each === null) return []
    const { type, source, target } = each as Record<string, unknown>
    const from = typeof source === 'string' ? source : undefined
    return [
      {
        source: from,
        target: String(target ?? ''),
        isBind: type === 'bind' || (from !== undefined && isPath(from)),
      },
    ]
  })
}

/** `source:target:mode`, or only a target. */
function readShortMount(text: string): Mount {
  const [first = '', second] = text.split(':')
  if (second === undefined) {
    return { source: undefined, target: first, isBind: false }
  }
  return { source: first, target: second, isBind: isPath(first) }
}

function isPath(source: string): boolean {
  return /^[./~$]/.test(source)
}

/** A member that is a list of texts, or one text. */
export function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}
