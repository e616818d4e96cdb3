/** Writes a name of an id into the profile, so that nobody has to copy the id. */
import { isDeepStrictEqual } from 'node:util'

import { AssentError } from '../../errors/index.ts'
import { readBytes, rewriteFile } from '../../lib/files.ts'
import { isName, parseToml } from './profile.ts'
import type { Profile } from './settings.ts'

/**
 * Tells before a transaction if the name can be written.
 *
 * @throws USAGE_INVALID for a name that is not allowed or in use, CONFIG_INVALID without a profile
 */
export function requireNewName({ file, name: profile, names }: Profile, name: string): void {
  if (!isName(name)) {
    throw new AssentError(
      'USAGE_INVALID',
      `"${name}" is not a name: lower-case letters, digits, - and _, and not only hexadecimal digits.`,
      { facts: { found: name } },
    )
  }
  if (file === undefined || profile === undefined) {
    throw new AssentError(
      'CONFIG_INVALID',
      'A name is written into a profile, and there is none.',
      {
        hint: 'Write assent.toml with a profile (docs/commands.md), or omit --name.',
      },
    )
  }
  if (names.has(name)) {
    throw new AssentError('USAGE_INVALID', `The profile ${profile} has the name ${name} already.`, {
      facts: { file, name, found: names.get(name) },
    })
  }
}

/**
 * Adds `name = "id"` to `[profiles.<profile>.names]`. Every other byte of the file stays, and its mode.
 *
 * @throws CONFIG_INVALID if the file is written in a way that this cannot extend, FILE_UNREADABLE, FILE_UNWRITABLE
 */
export async function rememberName(profile: Profile, name: string, id: string): Promise<void> {
  requireNewName(profile, name)
  const file = profile.file as string
  const section = profile.name as string
  const before = (await readBytes(file)).toString('utf8')
  const line = `${name} = "${id}"`
  const after = withLine(before, `[profiles.${section}.names]`, line)
  if (!adds(parseToml(before, file), parseOrNothing(after, file), section, name, id)) {
    throw new AssentError('CONFIG_INVALID', `The name ${name} could not be written to ${file}.`, {
      facts: { file, name, id },
      hint: `Add it to the names of the profile ${section} yourself: ${line}`,
    })
  }
  await rewriteFile(file, after)
}

/** After the header of the table, or with a new table at the end. */
function withLine(text: string, header: string, line: string): string {
  const lines = text.split('\n')
  const at = lines.findIndex((each) => each.trim() === header)
  if (at >= 0) return [...lines.slice(0, at + 1), line, ...lines.slice(at + 1)].join('\n')
  return `${text.trimEnd()}\n\n${header}\n${line}\n`
}

function parseOrNothing(text: string, file: string): unknown {
  try {
    return parseToml(text, file)
  } catch {
    return undefined
  }
}

interface Parsed {
  profiles: Record<string, { names?: Record<string, string> }>
}

/** Tells if the only difference is the new name. */
function adds(before: unknown, after: unknown, profile: string, name: string, id: string): boolean {
  const expected = structuredClone(before) as Parsed
  const section = expected.profiles[profile]
  if (section === undefined) return false
  section.names = { ...section.names, [name]: id }
  return isDeepStrictEqual(after, expected)
}
