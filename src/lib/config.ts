/** Configuration of the services: a JSON file, overridden by environment variables, checked as a whole. */
import { z } from 'zod'

import { boundedText } from '../errors/bounded.ts'
import { AssentError } from '../errors/index.ts'
import { readBytes } from './files.ts'

/** Environment variables, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Arguments of a service's `main`. */
export interface ProcessOptions {
  /** Path of the JSON configuration. */
  readonly configFile?: string | undefined
  /** Default: `process.env`. */
  readonly env?: Environment
  /** Stops the service when it is aborted. */
  readonly signal: AbortSignal
}

/** Sources of the settings of a service. */
export interface ConfigSource {
  /** Path of a JSON file whose members are the settings. */
  readonly file?: string | undefined
  /** Variables named `<prefix>_<SETTING_IN_CAPITALS>`. They override the file. */
  readonly env: Environment
  /** For example `ASSENT_KMS`. */
  readonly prefix: string
}

/**
 * Reads a service's configuration from a file and the environment, and checks it as a whole.
 *
 * An unknown setting in the file and an unknown variable with the prefix are errors, because a misspelt name would
 * silently leave the default in place.
 *
 * @throws CONFIG_INVALID if a setting is missing, unknown or wrong; the message names the settings
 * @throws FILE_UNREADABLE
 *
 * @example
 * const config = await loadConfig(kmsSchema, { file, env: process.env, prefix: 'ASSENT_KMS' })
 */
export async function loadConfig<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  source: ConfigSource,
): Promise<z.output<z.ZodObject<S>>> {
  const fromFile = source.file === undefined ? {} : await readJsonFile(source.file)
  const fromEnv = readEnvironment(schema, source)
  const parsed = schema.strict().safeParse({ ...fromFile, ...fromEnv })
  if (!parsed.success) {
    throw new AssentError('CONFIG_INVALID', `Configuration: ${describeIssues(parsed.error)}`, {
      facts: { file: source.file ?? null, prefix: source.prefix },
    })
  }
  return parsed.data
}

/** `rpcUrls` becomes `<prefix>_RPC_URLS`. */
function variableName(prefix: string, setting: string): string {
  return `${prefix}_${setting.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`
}

function readEnvironment<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  { env, prefix }: ConfigSource,
): Record<string, unknown> {
  const settingOfVariable = new Map(
    Object.keys(schema.shape).map((setting) => [variableName(prefix, setting), setting]),
  )
  const settings: Record<string, unknown> = {}
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(`${prefix}_`) || value === undefined) continue
    const setting = settingOfVariable.get(variable)
    if (setting === undefined) {
      throw new AssentError('CONFIG_INVALID', `${variable} is not a setting.`, {
        facts: { variable, known: [...settingOfVariable.keys()] },
      })
    }
    settings[setting] = parseVariable(value)
  }
  return settings
}

/** Lists, objects, numbers and booleans are JSON. Every other value is text. */
function parseVariable(value: string): unknown {
  if (!/^([[{]|true$|false$|-?(0|[1-9][0-9]{0,14})$)/.test(value)) return value
  try {
    return JSON.parse(value)
  } catch (cause) {
    throw new AssentError('CONFIG_INVALID', 'A variable looks like JSON and is not.', { cause })
  }
}

/** Reads a JSON object. @throws FILE_UNREADABLE, CONFIG_INVALID */
async function readJsonFile(file: string): Promise<Record<string, unknown>> {
  const text = (await readBytes(file)).toString('utf8')
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text))
  } catch (cause) {
    throw new AssentError('CONFIG_INVALID', `${file} is not a JSON object.`, {
      cause,
      facts: { file },
    })
  }
}

const maxIssues = 5
const maxIssue = 200

/**
 * Describes the first five issues that zod found in one line, with at most 200 characters each. The limits are needed
 * because names and values can come from a peer.
 *
 * An issue of a union names the wrong field inside of it, not only the union.
 */
export function describeIssues(error: z.ZodError): string {
  const issues = flattenUnions(error.issues)
  const shown = issues
    .slice(0, maxIssues)
    .map((issue) => boundedText(`${pathOf(issue)}: ${issue.message}`, maxIssue))
  const rest = issues.length - shown.length
  return [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ')
}

/** Lists the members of the first five issues, for the facts of an error. */
export function namesOfIssues(error: z.ZodError): string[] {
  const issues = flattenUnions(error.issues)
  return issues.slice(0, maxIssues).map((issue) => boundedText(pathOf(issue), maxIssue))
}

interface FlatIssue {
  readonly code: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** Replaces an issue of a union by the issues of the alternative that the value is meant for. */
function flattenUnions(
  issues: readonly z.core.$ZodIssue[],
  above: readonly PropertyKey[] = [],
): FlatIssue[] {
  return issues.flatMap((issue): FlatIssue[] => {
    const { code, message } = issue
    const path = [...above, ...issue.path]
    if (issue.code !== 'invalid_union') return [{ code, path, message }]
    const alternatives = issue.errors.map((errors) => flattenUnions(errors, path))
    // a value of the alternative's type has wrong members at most, and no wrong type
    const [meant] = alternatives
      .filter((each) => !each.some((found) => isWrongType(found, path)))
      .sort((a, b) => a.length - b.length)
    if (meant !== undefined) return meant
    const messages = alternatives.map(([first]) => first?.message.replace(/^Invalid input: /, ''))
    const distinct = [...new Set(messages.filter((each) => each !== undefined))]
    return [{ code, path, message: distinct.length === 0 ? message : distinct.join(', or ') }]
  })
}

function isWrongType({ code, path }: FlatIssue, of: readonly PropertyKey[]): boolean {
  return path.length === of.length && /^invalid_(type|value|union)$/.test(code ?? '')
}

function pathOf({ path }: Pick<FlatIssue, 'path'>): string {
  return path.map(String).join('.') || '(root)'
}
