/** Reads command-line arguments strictly: a wrong value is refused and never repaired. */

import { type Address, isAddress, zeroAddress } from 'viem'
import { supports, type VoteChoice } from '../../chain/governance/governance.ts'
import { type Kind, kindList, kindName, kindsByName } from '../../chain/kinds.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { readBytes as readFile } from '../../lib/files.ts'
import { urlSchema } from '../../lib/schema.ts'

function refuse(what: string, text: string, wanted: string): never {
  throw new AssentError('USAGE_INVALID', `${what}: expected ${wanted}, found "${text}".`, {
    facts: { argument: what, found: text },
  })
}

/** An address; if it has a checksum, the checksum must be right. */
export function readAddress(text: string, what: string): Address {
  const address = text.startsWith('0x') ? text : `0x${text}`
  if (isAddress(address)) return address
  return refuse(
    what,
    text,
    '0x and 40 hexadecimal digits, in lower case or with the right checksum',
  )
}

/**
 * Reads a 32-byte id: 64 hexadecimal digits with or without `0x`.
 *
 * @returns lower case with `0x`
 *
 * @throws INPUT_INVALID
 */
export function readId(text: string, what = 'id'): Hex {
  const [, digits] = /^(?:0x)?([0-9a-fA-F]{64})$/.exec(text) ?? []
  if (digits !== undefined) return `0x${digits.toLowerCase()}`
  return refuse(what, text, '64 hexadecimal digits')
}

/** The id of a kind; an app can also be given by its address. */
export function readIdOf(kind: Kind, text: string): Hex {
  const [, digits] = /^(?:0x)?([0-9a-fA-F]{40})$/.exec(text) ?? []
  if (kind === 'app' && digits !== undefined) return `0x${digits.toLowerCase().padStart(64, '0')}`
  return readId(text, `id of a ${kindName(kind)}`)
}

/**
 * Reads a kind by the name that `assent dao approvals` shows.
 *
 * @throws INPUT_INVALID with the list of names
 */
export function readKind(text: string): Kind {
  return kindsByName.get(text) ?? refuse('kind', text, `one of ${kindList}`)
}

/**
 * Reads `for`, `against` or `abstain`.
 *
 * @throws INPUT_INVALID
 */
export function readSupport(text: string): VoteChoice {
  if (Object.hasOwn(supports, text)) return text as VoteChoice
  return refuse('support', text, 'for, against or abstain')
}

/** Unix seconds, or a date with a time zone, because without one it is ambiguous. */
export function readTime(text: string, what: string): number {
  if (/^\d{1,11}$/.test(text)) return Number(text)
  const isDate = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})$/.test(text)
  const seconds = isDate ? Date.parse(text) / 1000 : Number.NaN
  if (Number.isSafeInteger(seconds) && seconds >= 0) return seconds
  return refuse(what, text, 'unix seconds, or a time like 2027-01-31T12:00:00Z')
}

const unitSeconds = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** `90s`, `15m`, `2h`, `14d`, or seconds. */
export function readDuration(text: string, what: string): number {
  const [, digits, unit] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? []
  if (digits === undefined)
    return refuse(what, text, 'seconds, or a duration like 90s, 15m, 2h, 14d')
  return Number(digits) * unitSeconds[(unit || 's') as keyof typeof unitSeconds]
}

/**
 * Reads a whole number from 0 to 999,999,999.
 *
 * @throws INPUT_INVALID
 */
export function readCount(text: string, what: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  return refuse(what, text, 'a whole number')
}

/** A TCP port; 0 is any free port. */
export function readPort(text: string, what: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  return refuse(what, text, 'a port from 0 to 65535')
}

/** The URL of a service. The message does not repeat it, because a URL can contain a password. */
export function readUrl(text: string, what: string): string {
  const parsed = urlSchema.safeParse(text)
  if (parsed.success) return parsed.data
  throw new AssentError('USAGE_INVALID', `${what}: expected an http:// or https:// URL.`, {
    facts: { argument: what },
  })
}

/** An amount in smallest token units, because tokens have different decimals. */
export function readUnits(text: string, what: string): bigint {
  if (/^\d{1,30}$/.test(text)) return BigInt(text)
  return refuse(what, text, 'a whole number of the token’s smallest units')
}

/**
 * Reads `yes` or `no`.
 *
 * @throws INPUT_INVALID
 */
export function readBoolean(text: string, what: string): boolean {
  if (text === 'yes' || text === 'no') return text === 'yes'
  return refuse(what, text, 'yes or no')
}

/** @throws FILE_UNREADABLE, INPUT_TOO_LARGE */
export async function readBytes(file: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(file))
}

/** @throws FILE_UNREADABLE, INPUT_TOO_LARGE, INPUT_INVALID */
export async function readJson(file: string): Promise<unknown> {
  const text = await readText(file)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AssentError('INPUT_INVALID', `${file} is not JSON.`, { cause, facts: { file } })
  }
}

/** The exact text of a file, for hashing. @throws FILE_UNREADABLE, INPUT_TOO_LARGE, INPUT_INVALID if it is not UTF-8 */
export async function readText(file: string): Promise<string> {
  const bytes = await readBytes(file)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new AssentError('INPUT_INVALID', `${file} is not UTF-8.`, { cause, facts: { file } })
  }
}

/** An address, or the zero address for the word "nobody". */
export function readAddressOrNobody(text: string, what: string): Address {
  return text === 'nobody' ? zeroAddress : readAddress(text, what)
}

/** Bytes in hexadecimal digits with `0x`, for example calldata or a signature. */
export function readCalldata(text: string, what: string): Hex {
  if (/^0x(?:[0-9a-fA-F]{2})*$/.test(text)) return text.toLowerCase() as Hex
  return refuse(what, text, '0x and an even number of hexadecimal digits')
}

/** The value of an option that is required only together with another one. @throws USAGE_INVALID */
export function requireOption(value: string | undefined, option: string): string {
  if (value !== undefined) return value
  throw new AssentError('USAGE_INVALID', `The option ${option} is missing.`, { facts: { option } })
}
