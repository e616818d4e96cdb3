import { readFile } from 'node:fs/promises'

import { z } from 'zod'

import { boundedText } from '../errors/bounded.ts'
import { AssentError } from '../errors/index.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** How a service process is started. */
export interface ProcessOptions {
  readonly configFile?: string | undefined
  readonly env?: Environment
  /** Stops the service. */
  readonly signal: AbortSignal
}

export interface ConfigSource {
  /** A JSON file with the settings under the schema's names. */
  readonly file?: string | undefined
  /** Variables `<prefix>_<SETTING_IN_CAPITALS>`; they win over the file. */
  readonly env: Environment
  readonly prefix: string
}

/**
 * Reads a service's configuration from a file and the environment and checks it whole.
 *
 * Unknown settings are refused in the file, and so are unknown variables under the prefix: a misspelt
 * name must not silently leave a default in force.
 *
 * @throws CONFIG_INVALID naming every wrong setting, FILE_UNREADABLE
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

/** `rpcUrls` ↔ `RPC_URLS` */
function variableName(prefix: string, setting: string): string {
  return `${prefix}_${setting.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`
}

function readEnvironment<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  { env, prefix }: ConfigSource,
): Record<string, unknown> {
  const known = new Map(
    Object.keys(schema.shape).map((setting) => [variableName(prefix, setting), setting]),
  )
  const settings: Record<string, unknown> = {}
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(`${prefix}_`) || value === undefined) continue
    const setting = known.get(variable)
    if (setting === undefined) {
      throw new AssentError('CONFIG_INVALID', `${variable} is not a setting.`, {
        facts: { variable, known: [...known.keys()] },
      })
    }
    settings[setting] = parseVariable(value)
  }
  return settings
}

/** Lists and objects are written as JSON, and so are numbers and booleans; anything else is text. */
function parseVariable(value: string): unknown {
  if (!/^([[{]|true$|false$|-?(0|[1-9][0-9]{0,14})$)/.test(value)) return value
  try {
    return JSON.parse(value)
  } catch (cause) {
    throw new AssentError('CONFIG_INVALID', 'A variable looks like JSON and is not.', { cause })
  }
}

/** @throws FILE_UNREADABLE, CONFIG_INVALID */
async function readJsonFile(file: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read the configuration ${file}.`, {
      cause,
      facts: { file },
    })
  }
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
 * One line for the first five things that zod found, each at most 200 characters: names and values in it may be a
 * peer's.
 */
export function describeIssues(error: z.ZodError): string {
  const { issues } = error
  const shown = issues
    .slice(0, maxIssues)
    .map((issue) => boundedText(`${pathOf(issue)}: ${issue.message}`, maxIssue))
  const rest = issues.length - shown.length
  return [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ')
}

/** The members that the first issues are about, for the facts of an error. */
export function namesOfIssues(error: z.ZodError): string[] {
  return error.issues.slice(0, maxIssues).map((issue) => boundedText(pathOf(issue), maxIssue))
}

function pathOf({ path }: z.core.$ZodIssue): string {
  return path.map(String).join('.') || '(root)'
}
