/** The sealed variables of an app: the file with their values, and the limits of the guest. */
import { AssentError } from '../errors/index.ts'
import { listMember, type Manifest } from './manifest.ts'
import { isVariableName } from './variables.ts'

/** Variables by name. Values are secret: they are in no error and no log. */
export type Environment = ReadonlyMap<string, string>

const maxFileBytes = 256 * 1024
/** Limits of dstack's guest (`parse_env_file.rs`). */
const maxVariables = 1024
const maxValueBytes = 128 * 1024

/**
 * Reads a file with one `NAME=value` per line. Empty lines and lines that begin with `#` are skipped.
 *
 * A value with spaces, quotes, `#` or `$` is put in single or double quotes, and then taken as it is. Nothing is
 * replaced in it.
 *
 * @throws ENV_INVALID with the number of the line, INPUT_TOO_LARGE
 */
export function parseEnvironment(text: string): Environment {
  if (text.length > maxFileBytes) {
    throw new AssentError('INPUT_TOO_LARGE', 'The file with the environment is too large.', {
      facts: { found: text.length, expected: `at most ${maxFileBytes}` },
    })
  }
  const environment = new Map<string, string>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    if (line.trim() === '' || line.startsWith('#')) continue
    const at = line.indexOf('=')
    const name = line.slice(0, Math.max(at, 0))
    if (!isVariableName(name)) {
      throw invalid(`Line ${index + 1} is not NAME=value.`, { line: index + 1 })
    }
    if (environment.has(name)) throw invalid(`${name} is there twice.`, { name })
    environment.set(name, readValue(line.slice(at + 1), name))
  }
  requireLimits(environment)
  return environment
}

function readValue(text: string, name: string): string {
  const [, quote, quoted] = /^(['"])(.*)\1$/.exec(text) ?? []
  if (quote !== undefined && quoted !== undefined && !quoted.includes(quote)) return quoted
  if (!/[\s'"#$\\]/.test(text)) return text
  throw invalid(`The value of ${name} needs quotes around it, and none of the same kind in it.`, {
    name,
  })
}

/** @throws ENV_INVALID */
function requireLimits(environment: Environment): void {
  if (environment.size === 0) throw invalid('The file has no variables.', {})
  if (environment.size > maxVariables) {
    throw invalid(`There are more than ${maxVariables} variables.`, { found: environment.size })
  }
  for (const [name, value] of environment) {
    if (Buffer.byteLength(value) > maxValueBytes) {
      throw invalid(`The value of ${name} has more than ${maxValueBytes} bytes.`, { name })
    }
    // the guest would deliver a line feed as the two characters \n
    if (/[\n\r\0]/.test(value)) throw invalid(`The value of ${name} has a line break.`, { name })
  }
}

/**
 * Checks that the environment has exactly the variables that a manifest declares. The guest drops others silently, and a
 * missing one is empty in the containers.
 *
 * @throws ENV_INVALID
 */
export function requireDeclared(environment: Environment, manifest: Manifest): void {
  const declared = listMember(manifest, 'allowed_envs')
  const unknown = [...environment.keys()].filter((name) => !declared.includes(name))
  const missing = declared.filter((name) => !environment.has(name))
  if (unknown.length > 0) {
    throw invalid(`The manifest does not declare ${unknown.join(', ')}.`, { unknown })
  }
  if (missing.length > 0) {
    throw invalid(`The environment lacks ${missing.join(', ')}.`, { missing })
  }
}

function invalid(message: string, facts: Readonly<Record<string, unknown>>): AssentError {
  return new AssentError('ENV_INVALID', message, { facts })
}
