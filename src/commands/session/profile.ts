/**
 * The settings of commands: from options, variables, and a profile of the project file `assent.toml`, in this order.
 *
 * A private key or password is never a setting: the file names a keystore or a signer.
 */
import { lstat, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import { parse, TomlError } from 'smol-toml'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { describeIssues, type Environment } from '../../lib/config.ts'
import { readBytes } from '../../lib/files.ts'
import { addressSchema, isRemoteHttp, urlListSchema, urlSchema } from '../../lib/schema.ts'
import type { AccountSetting, Profile, SettingOptions } from './settings.ts'

/** Name of the project file. */
export const projectFile = 'assent.toml'

const maxFile = 1 << 16
const maxNames = 1_000

const signerUrl = urlSchema.refine((url) => !isRemoteHttp(url), 'a remote signer needs https')

const accountSchema = z.union([
  z.strictObject({ keystore: z.string().min(1), passwordFile: z.string().min(1).optional() }),
  z.strictObject({ signer: signerUrl, address: addressSchema.optional() }),
  z.strictObject({ web3signer: signerUrl, address: addressSchema }),
  z.strictObject({ browser: z.literal(true), address: addressSchema.optional() }),
  z.strictObject({ node: addressSchema }),
])

const namePattern = /^(?!0x)(?=.*[g-z_-])[a-z][a-z0-9_-]{0,62}$/

/** Tells if `names` of a profile can have this name. */
export function isName(text: string): boolean {
  return namePattern.test(text)
}

const nameSchema = z
  .string()
  .regex(namePattern, 'a name: lower-case, and not only hexadecimal digits')

const idSchema = z
  .string()
  .regex(
    /^(?:0x[0-9a-fA-F]{40}|0x[0-9a-fA-F]{64}|\d{1,78})$/,
    'an address, an id of 32 bytes, or the number of a proposal',
  )

const profileSchema = z.strictObject({
  rpcUrls: urlListSchema.optional(),
  chainId: z.int().positive().optional(),
  deployments: z.string().min(1).optional(),
  account: accountSchema.optional(),
  governor: addressSchema.optional(),
  app: z.string().min(1).optional(),
  kms: urlSchema.optional(),
  relayer: urlSchema.optional(),
  indexer: urlSchema.optional(),
  pccs: urlSchema.optional(),
  simulatedHost: z.string().min(1).optional(),
  names: z
    .record(nameSchema, idSchema)
    .refine((names) => Object.keys(names).length <= maxNames, `at most ${maxNames} names`)
    .optional(),
})

const fileSchema = z.strictObject({
  /** The profile that is used without `--profile`. */
  profile: z.string().optional(),
  profiles: z.record(z.string().regex(/^[a-z0-9_-]{1,64}$/, 'a name in lower case'), profileSchema),
})

/** A profile as the file has it. */
export type ProfileSection = z.output<typeof profileSchema>

/**
 * Reads the settings of one run.
 *
 * @param from folder in which the search for the project file begins
 * @throws CONFIG_INVALID, FILE_UNREADABLE
 */
export async function readProfile(
  options: SettingOptions,
  env: Environment,
  from = process.cwd(),
): Promise<Profile> {
  const file = await findProjectFile(from)
  const wanted = options.profile ?? env.ASSENT_PROFILE
  if (file === undefined) {
    if (wanted === undefined) return merge(options, env, undefined)
    throw new AssentError(
      'CONFIG_INVALID',
      `There is no ${projectFile} with the profile ${wanted}.`,
      {
        facts: { profile: wanted, folder: from },
        hint: `Write ${projectFile} in this folder or in one above it (docs/commands.md), or omit --profile.`,
      },
    )
  }
  const { profile: standard, profiles } = await readProjectFile(file)
  const names = Object.keys(profiles)
  const name = wanted ?? standard ?? (names.length === 1 ? names[0] : undefined)
  if (name === undefined) return merge(options, env, { file })
  const section = Object.hasOwn(profiles, name) ? profiles[name] : undefined
  if (section !== undefined) return merge(options, env, { file, name, section })
  throw new AssentError('CONFIG_INVALID', `${file} has no profile ${name}.`, {
    facts: { file, found: name, expected: names },
  })
}

/** The project file of a folder or of the nearest folder above it. */
async function findProjectFile(from: string): Promise<string | undefined> {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const file = join(folder, projectFile)
    const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
      throw unreadable(file, error)
    })
    if (found?.isFile() === true) {
      await requireOwnFile(file, folder === resolve(from))
      if (found.size <= maxFile) return file
      throw new AssentError('CONFIG_INVALID', `${file} has more than ${maxFile} bytes.`, {
        facts: { file, bytes: found.size },
      })
    }
    if (folder === dirname(folder)) return undefined
  }
}

/**
 * A project file decides which endpoints and contracts are asked. In a folder that everybody can write, such as /tmp, somebody
 * else can write one. So it must belong to this user or to root; in the current folder also to the owner of the folder.
 *
 * @throws CONFIG_INVALID
 */
async function requireOwnFile(file: string, isHere: boolean): Promise<void> {
  const user = process.geteuid?.()
  if (user === undefined) return
  const trusted = [user, 0, ...(isHere ? [(await stat(dirname(file))).uid] : [])]
  // a symbolic link and the file behind it
  const owners = [(await lstat(file)).uid, (await stat(file)).uid]
  const foreign = owners.find((owner) => !trusted.includes(owner))
  if (foreign === undefined) return
  throw new AssentError('CONFIG_INVALID', `${file} belongs to another user, so it is not used.`, {
    facts: { file, owner: foreign, user },
    hint: 'Read it. If you trust it, make it your own (chown), or run the command in its folder.',
  })
}

async function readProjectFile(file: string): Promise<z.output<typeof fileSchema>> {
  const text = (await readBytes(file, maxFile)).toString('utf8')
  const parsed = fileSchema.safeParse(parseToml(text, file))
  if (parsed.success) return parsed.data
  throw new AssentError('CONFIG_INVALID', `${file}: ${describeIssues(parsed.error)}`, {
    facts: { file },
  })
}

/** The parser's message quotes lines of the file, so it is not printed. @throws CONFIG_INVALID */
export function parseToml(text: string, file: string): unknown {
  try {
    // names such as __proto__ become plain members
    return JSON.parse(JSON.stringify(parse(text)))
  } catch (cause) {
    const { line, column } = cause instanceof TomlError ? cause : { line: 0, column: 0 }
    throw new AssentError(
      'CONFIG_INVALID',
      `${file} is not TOML: line ${line}, column ${column}.`,
      {
        facts: { file, line, column },
      },
    )
  }
}

function unreadable(file: string, cause: unknown): AssentError {
  return new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
}

interface FoundSection {
  readonly file: string
  readonly name?: string
  readonly section?: ProfileSection
}

function merge(
  options: SettingOptions,
  env: Environment,
  found: FoundSection | undefined,
): Profile {
  const { file, name, section = {} } = found ?? {}
  const sources: Record<string, string> = {}
  const label = `profile ${name}`
  /** The first value that is set, and where it comes from. */
  const choose = <T>(
    key: string,
    candidates: readonly [string, T | undefined][],
  ): T | undefined => {
    const first = candidates.find(([, value]) => value !== undefined)
    if (first !== undefined) sources[key] = first[0]
    return first?.[1]
  }
  const given = options.rpcUrl?.length ? options.rpcUrl : undefined
  const inFile = (path: string | undefined) =>
    path === undefined || file === undefined ? undefined : resolve(dirname(file), path)
  return {
    name,
    file,
    rpcUrls:
      choose('rpcUrls', [
        ['--rpc-url', given === undefined ? undefined : readUrls(given, '--rpc-url')],
        ['ASSENT_RPC_URL', readUrlVariable(env)],
        [label, section.rpcUrls],
      ]) ?? [],
    chainId: choose('chainId', [[label, section.chainId]]),
    deployments: choose('deployments', [
      ['--deployments', options.deployments],
      ['ASSENT_DEPLOYMENTS', env.ASSENT_DEPLOYMENTS],
      [label, inFile(section.deployments)],
      ['default', 'deployments'],
    ]) as string,
    account: choose('account', [
      ['--browser', options.browser ? { kind: 'browser', address: options.from } : undefined],
      ['ASSENT_KEYSTORE', keystoreOf(env)],
      ['ASSENT_SIGNER', signerOf(env)],
      [label, accountOf(section.account, inFile)],
      ['default', { kind: 'node' }],
    ]) as AccountSetting,
    governor: choose('governor', [[label, section.governor]]),
    app: choose('app', [[label, section.app]]),
    kms: choose('kms', [[label, section.kms]]),
    relayer: choose('relayer', [[label, section.relayer]]),
    indexer: choose('indexer', [[label, section.indexer]]),
    pccs: choose('pccs', [[label, section.pccs]]),
    simulatedHost: choose('simulatedHost', [[label, inFile(section.simulatedHost)]]),
    names: new Map(Object.entries(choose('names', [[label, section.names]]) ?? {})),
    sources,
  }
}

function readUrlVariable({ ASSENT_RPC_URL }: Environment): readonly string[] | undefined {
  return ASSENT_RPC_URL
    ? readUrls(ASSENT_RPC_URL.split(/[\s,]+/).filter(Boolean), 'ASSENT_RPC_URL')
    : undefined
}

/** The message has no value, because a URL can contain a key. @throws CONFIG_INVALID */
function readUrls(urls: readonly string[], source: string): readonly string[] {
  const parsed = urlListSchema.safeParse(urls)
  if (parsed.success) return parsed.data
  throw new AssentError('CONFIG_INVALID', `${source}: ${describeIssues(parsed.error)}`, {
    facts: { setting: source },
    hint: 'Expected: an http:// or https:// URL. ASSENT_RPC_URL can have several, separated by commas.',
  })
}

function keystoreOf({ ASSENT_KEYSTORE, ASSENT_KEYSTORE_PASSWORD_FILE }: Environment) {
  if (ASSENT_KEYSTORE === undefined) return undefined
  return {
    kind: 'keystore',
    file: ASSENT_KEYSTORE,
    passwordFile: ASSENT_KEYSTORE_PASSWORD_FILE,
  } satisfies AccountSetting
}

function signerOf({ ASSENT_SIGNER }: Environment): AccountSetting | undefined {
  if (ASSENT_SIGNER === undefined) return undefined
  const parsed = signerUrl.safeParse(ASSENT_SIGNER)
  if (parsed.success) return { kind: 'signer', url: parsed.data }
  throw new AssentError('CONFIG_INVALID', 'ASSENT_SIGNER: a URL; to another host, with https.', {
    facts: { setting: 'ASSENT_SIGNER' },
  })
}

function accountOf(
  account: z.output<typeof accountSchema> | undefined,
  inFile: (path: string | undefined) => string | undefined,
): AccountSetting | undefined {
  if (account === undefined) return undefined
  if ('keystore' in account) {
    const { keystore, passwordFile } = account
    return {
      kind: 'keystore',
      file: inFile(keystore) ?? keystore,
      passwordFile: inFile(passwordFile),
    }
  }
  if ('signer' in account) return { kind: 'signer', url: account.signer, address: account.address }
  if ('web3signer' in account)
    return { kind: 'web3signer', url: account.web3signer, address: account.address }
  if ('browser' in account) return { kind: 'browser', address: account.address }
  return { kind: 'node', address: account.node }
}
