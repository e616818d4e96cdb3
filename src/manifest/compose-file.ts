/** Docker Compose files: YAML 1.2 with bounded size, nesting and aliases. */
import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml'

import { AssentError } from '../errors/index.ts'
import { asWritten } from './as-written.ts'

/** One service as it is written, with anchors and merge keys resolved. */
export type Service = Readonly<Record<string, unknown>>

/** A parsed Docker Compose file. Anchors and aliases are resolved; sizes and depth are limited. */
export interface ComposeFile {
  /** The text as written. */
  readonly text: string
  /** The whole file as JSON values. */
  readonly content: Readonly<Record<string, unknown>>
  /** As `content`, for comparison: a value that YAML readers can read differently is its text, see {@link asWritten}. */
  readonly written: Readonly<Record<string, unknown>>
  /** Services by name, in the order of the file. */
  readonly services: ReadonlyMap<string, Service>
}

/** The library needs up to two seconds for a hostile file of this size. */
const maxBytes = 128 * 1024
/** Deepest nesting; real files have about six levels. */
const maxDepth = 32
/** Most aliases that are replaced by their anchor. */
const maxAliases = 100

/**
 * Parses a Docker Compose file.
 *
 * @throws COMPOSE_INVALID, INPUT_TOO_LARGE
 * @example parseComposeFile('services: { web: { image: "nginx@sha256:…" } }').services.get('web')
 */
export function parseComposeFile(text: string): ComposeFile {
  const { document, content: values } = parseYaml(text)
  const content = toRecord(values, 'the file')
  const listed = toRecord(content.services ?? {}, 'services')
  const services = new Map(
    Object.entries(listed).map(([name, service]) => [name, toRecord(service, `services.${name}`)]),
  )
  if (services.size === 0) throw invalid('It has no services.')
  return { text, content, written: toRecord(readWritten(document), 'the file'), services }
}

/** Replaces the image names of services in the text. Everything else keeps its bytes. @throws COMPOSE_INVALID */
export function replaceImages(text: string, images: ReadonlyMap<string, string>): string {
  const { document } = parseYaml(text)
  const spots = [...images].map(([service, image]) => {
    const node = document.getIn(['services', service, 'image'], true)
    if (!isScalar(node) || node.range == null) {
      throw invalid(`The image of ${service} comes from an anchor or merge key.`)
    }
    return { node: node as Scalar, image }
  })
  // an anchor that several services share is one place in the text
  const byStart = new Map(spots.map(({ node, image }) => [node.range?.[0] ?? 0, { node, image }]))
  return [...byStart]
    .sort(([a], [b]) => b - a)
    .reduce((rest, [start, { node, image }]) => {
      const end = node.range?.[1] ?? start
      return rest.slice(0, start) + image + rest.slice(end)
    }, text)
}

function parseYaml(text: string) {
  const size = Buffer.byteLength(text)
  if (size > maxBytes) throw tooLarge('too many bytes', `at most ${maxBytes}`)
  const lineCounter = new LineCounter()
  try {
    // the library's own search for duplicate keys and its messages take quadratic time
    const options = { lineCounter, uniqueKeys: false, prettyErrors: false, merge: true } as const
    const document = parseDocument(text, { ...options, logLevel: 'error' })
    const [problem] = [...document.errors, ...document.warnings, ...findDuplicate(document)]
    if (problem !== undefined) {
      const { line, col } = lineCounter.linePos(problem.pos[0])
      throw invalid(`${problem.message.split('\n', 1)[0]} (line ${line}, column ${col})`)
    }
    if (!isMap(document.contents)) throw invalid('It is not a mapping.')
    const content: unknown = document.toJS({ maxAliasCount: maxAliases })
    if (depthOf(content, maxDepth) > maxDepth) {
      throw tooLarge('nested too deeply', `at most ${maxDepth} levels`)
    }
    return { document, content }
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    // the library nests function calls as deeply as the text nests
    if (cause instanceof RangeError)
      throw tooLarge('nested too deeply', `at most ${maxDepth} levels`)
    if (cause instanceof ReferenceError) throw invalid('It has too many aliases.')
    throw new AssentError('COMPOSE_INVALID', 'The Docker Compose file cannot be read.', { cause })
  }
}

/** Changes the document: each scalar gets the value that comparisons use. */
function readWritten(document: Document): unknown {
  visit(document, {
    Scalar: (key, node) => {
      const { value, source = '', type, tag } = node
      // a merge key
      if (typeof value === 'symbol') return
      const isPlain = type === 'PLAIN'
      node.value = asWritten(value, { source, isPlain, tag, isKey: key === 'key' })
    },
  })
  return document.toJS({ maxAliasCount: maxAliases })
}

interface Problem {
  readonly message: string
  readonly pos: readonly [number, ...number[]]
}

/** The first key that a mapping has twice, if there is one. */
function findDuplicate(document: Document): Problem[] {
  const found: Problem[] = []
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>()
      for (const { key } of items) {
        const name = isScalar(key) ? String(key.value) : key
        if (seen.has(name)) {
          const start = isScalar(key) ? (key.range?.[0] ?? 0) : 0
          found.push({ message: `The key ${name} is there twice.`, pos: [start] })
          return visit.BREAK
        }
        seen.add(name)
      }
    },
  })
  return found
}

/** Depth of nesting; stops below `limit`. */
function depthOf(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (limit < 0) return 1
  const inner = Object.values(value).map((each) => depthOf(each, limit - 1))
  return 1 + Math.max(0, ...inner)
}

function toRecord(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw invalid(`${place} is not a mapping.`)
}

function invalid(problem: string): AssentError {
  return new AssentError('COMPOSE_INVALID', `Docker Compose file: ${problem}`)
}

function tooLarge(found: string, expected: string): AssentError {
  return new AssentError('INPUT_TOO_LARGE', `The Docker Compose file is refused: ${found}.`, {
    facts: { found, expected },
  })
}
