/** `assent relayer doctor`: checks everything that the relayer needs and says what to change. */
import { access, constants } from 'node:fs/promises'
import path from 'node:path'

import pg from 'pg'
import { collateralParts } from '../../chain/verifier/collateral.ts'
import { AssentError } from '../../errors/index.ts'
import { systemClock } from '../../lib/clock.ts'
import {
  type DoctorFinding,
  examineSkew,
  failed,
  guard,
  ok,
  warning,
} from '../../lib/doctor-finding.ts'
import { readBytes } from '../../lib/files.ts'
import { readTrustedRoot } from '../../quote/certificates/certificate-chain.ts'
import { checkPccs, fetchCollateralFrom } from '../../quote/collateral/pccs.ts'
import { verifyCollateral } from '../../quote/collateral/trusted-collateral.ts'
import { Rejection } from '../../quote/verdict.ts'
import { createAgentClient } from '../../tee/agent.ts'
import type { RelayerConfig } from '../config.ts'
import { countMigrations } from '../database/database.ts'
import {
  type ChainDoctorOptions,
  dateOf,
  examineContracts,
  examineEndpoints,
  examineHeld,
  examineSigner,
} from './chain.ts'

export { type DoctorFinding, exitCodeOf } from '../../lib/doctor-finding.ts'
/** The subjects of the doctor's checks. */
export interface DoctorOptions extends ChainDoctorOptions {
  /** CA certificates (PEM) of a PCCS, in addition to the public ones. */
  readonly readPccsCa?: () => Promise<string | undefined>
}

/** Runs all checks, also after one failed. Changes nothing. */
export async function examine(options: DoctorOptions): Promise<DoctorFinding[]> {
  const groups = await Promise.all([
    guard('database', () => examineDatabase(options.config)),
    guard('endpoints', () => examineEndpoints(options)),
    guard('signer', () => examineSigner(options)),
    guard('contracts', () => examineContracts(options)),
    guard('collateral', () => examineCollateral(options)),
    guard('host agents', () => examineAgents(options.config)),
  ])
  return groups.flat()
}

/* DATABASE */

/** Checks connection, migrations, waiting intents and clock of the database. It applies nothing. */
async function examineDatabase({
  databaseUrl,
  dataFolder,
}: RelayerConfig): Promise<DoctorFinding[]> {
  if (databaseUrl === undefined) return [await examineFolder(dataFolder)]
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 })
  try {
    await client.connect()
  } catch {
    // the URL contains a password, and the error may too
    return [
      failed('database', 'the server does not answer', 'Check the URL, the user and the network.'),
    ]
  }
  try {
    const { rows } = await client.query('select now() as now')
    const skew = systemClock() - Math.floor(new Date(rows[0].now).getTime() / 1_000)
    const apart = Math.abs(skew)
    return [
      await examineMigrations(client),
      await examineWork(client),
      examineSkew('clock of the database', apart, 30),
    ]
  } finally {
    await client.end()
  }
}

/**
 * Compares applied migrations with those of this version. More applied than known means that a newer relayer used the
 * database.
 */
async function examineMigrations(client: pg.Client): Promise<DoctorFinding> {
  const check = 'migrations'
  const known = await countMigrations()
  const applied = await client
    .query('select count(*)::int as count from drizzle.__drizzle_migrations')
    .then(({ rows }) => rows[0].count as number)
    .catch(() => 0)
  if (applied === known) return ok(check, `${applied} of ${known} applied`)
  if (applied < known) {
    return warning(
      check,
      `${applied} of ${known} applied`,
      'Nothing: the next start applies the others. Make a backup before it.',
    )
  }
  return failed(
    check,
    `${applied} applied, ${known} known`,
    'A newer relayer has used this database: run that version.',
  )
}

/** Number and age of unfinished intents; a missing table counts as empty. */
async function examineWork(client: pg.Client): Promise<DoctorFinding> {
  const check = 'outbox'
  const text = `select count(*)::int as count,
    coalesce(extract(epoch from now())::int - min(created_at), 0)::int as age
    from intents where state in ('queued', 'sending')`
  const work = await client.query(text).then(
    ({ rows }) => rows[0] as { count: number; age: number },
    () => ({ count: 0, age: 0 }),
  )
  const found = `${work.count} unfinished, the oldest for ${work.age} s`
  return work.count > 0 && work.age > staleAfter
    ? warning(check, found, 'See docs/operate-relayer.md: what holds intents up.')
    : ok(check, found)
}

/** Seconds, as in the alert RelayerIntentsDelayed. */
const staleAfter = 1_800

/** Checks only that the folder can be written: opening it would lock out a running relayer. */
async function examineFolder(folder: string): Promise<DoctorFinding> {
  const check = 'database'
  for (const place of [folder, path.dirname(path.resolve(folder))]) {
    try {
      await access(place, constants.W_OK)
      return ok(check, `embedded, in ${folder}`)
    } catch {}
  }
  return failed(
    check,
    `${folder} cannot be written`,
    'Give the user of the relayer the folder, or set `dataFolder`.',
  )
}

/* COLLATERAL */

/** Each service for each platform family: does it answer, does its collateral verify, until when is it valid. */
async function examineCollateral(options: DoctorOptions): Promise<DoctorFinding[]> {
  const { pccsUrls, families } = options.config
  const known = await readKnownFamilies(options.config)
  if (pccsUrls === undefined) {
    return [
      warning('collateral services', 'a fixed file is used', 'Set `pccsUrls` for real quotes.'),
      ...(await examineHeld(options, [], known)),
    ]
  }
  const checks = await Promise.all(
    pccsUrls.flatMap((url) =>
      families.length === 0
        ? [knock(options, url)]
        : families.map((family) => examineService(options, url, family)),
    ),
  )
  const names = checks.flatMap(({ names }) => names)
  return [...checks.map(({ finding }) => finding), ...(await examineHeld(options, names, known))]
}

/**
 * FMSPCs of the hosts in the database of the relayer: in an open registry hosts have no approvals that list them. None
 * if the database cannot be read (`examineDatabase` reports that) or is a folder, which the running relayer locks.
 */
async function readKnownFamilies({ databaseUrl }: RelayerConfig): Promise<string[]> {
  if (databaseUrl === undefined) return []
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 })
  const text = `select distinct fmspc from hosts
    where fmspc is not null and expires_at > extract(epoch from now()) limit 100`
  try {
    await client.connect()
    return (await client.query(text)).rows.map(({ fmspc }: { fmspc: string }) => fmspc)
  } catch {
    return []
  } finally {
    await client.end().catch(() => undefined)
  }
}

interface ServiceCheck {
  readonly finding: DoctorFinding
  /** Names of the parts that it has. */
  readonly names: readonly string[]
}

/**
 * Fetches the collateral of one platform family from one service, verifies it against the root of trust, and reports
 * until when it is valid.
 */
async function examineService(
  { readRoot, readPccsCa, clock }: DoctorOptions,
  url: string,
  family: RelayerConfig['families'][number],
): Promise<ServiceCheck> {
  const check = `collateral service ${new URL(url).host}`
  try {
    const ca = await readPccsCa?.()
    const bundle = await fetchCollateralFrom(url, family, 'standard', { ca, timeoutMs: 10_000 })
    verifyCollateral(bundle, readTrustedRoot(await readRoot()))
    // The address of the store is not used: nothing is sent.
    const parts = collateralParts('0x', bundle)
    const names = parts.map(({ name }) => name)
    const until = Math.min(...parts.map((part) => part.until))
    const found = `${family.fmspc} until ${dateOf(until)}`
    return until > clock()
      ? { finding: ok(check, found), names }
      : {
          finding: failed(check, found, 'Its collateral has expired: refresh its cache.'),
          names: [],
        }
  } catch (error) {
    const nextStep = 'Check that it runs and serves this platform; add another one.'
    return { finding: failed(check, describe(error), nextStep), names: [] }
  }
}

/** A failure without secrets: the message of a typed error, else a fixed text. A URL can contain a key. */
function describe(error: unknown): string {
  if (error instanceof Rejection) return error.verdict.message
  return error instanceof AssentError ? error.message : 'no answer'
}

/** Without a configured platform family: checks only if the service answers. */
async function knock({ readPccsCa }: DoctorOptions, url: string): Promise<ServiceCheck> {
  const check = `collateral service ${new URL(url).host}`
  try {
    await checkPccs(url, { ca: await readPccsCa?.(), timeoutMs: 10_000 })
    return { finding: ok(check, 'it answers'), names: [] }
  } catch (error) {
    const nextStep = 'Check that it is a PCS or PCCS of API version 4.'
    return { finding: failed(check, describe(error), nextStep), names: [] }
  }
}

/* AGENTS */

type AgentSetting = RelayerConfig['hostAgents'][number]
type SocketSetting = Extract<AgentSetting, { socket: string }>
type HookSetting = Extract<AgentSetting, { url: string }>

async function examineAgents({ hostAgents }: RelayerConfig): Promise<DoctorFinding[]> {
  return Promise.all(
    hostAgents.map((agent) => ('socket' in agent ? examineSocket(agent) : examineHook(agent))),
  )
}

function nameOf({ deviceId }: AgentSetting): string {
  return `agent of ${deviceId.slice(0, 10)}…`
}

async function examineSocket(agent: SocketSetting): Promise<DoctorFinding> {
  const { socket } = agent
  try {
    await createAgentClient({ socket, timeoutMs: 5_000 }).info()
    return ok(nameOf(agent), socket)
  } catch {
    const nextStep = 'Check the path, its permissions and that the agent runs.'
    return failed(nameOf(agent), `${socket} does not answer`, nextStep)
  }
}

/** Checks that the hook answers and accepts the token. It does not request a quote: that would be work for the host. */
async function examineHook(agent: HookSetting): Promise<DoctorFinding> {
  const check = nameOf(agent)
  const { url, tokenFile } = agent
  const { host } = new URL(url)
  try {
    const token =
      tokenFile === undefined ? undefined : (await readBytes(tokenFile)).toString('utf8').trim()
    const { status } = await fetch(url, {
      signal: AbortSignal.timeout(5_000),
      redirect: 'manual',
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    })
    if (status === 401 || status === 403) {
      return failed(check, `${host} refuses the token`, 'Correct `tokenFile`.')
    }
    if (status >= 500) return failed(check, `${host} gives status ${status}`, 'See its log.')
    return token === undefined
      ? warning(check, `${host}, no token`, 'Protect the hook with a token.')
      : ok(check, host)
  } catch (error) {
    const isFile = (error as NodeJS.ErrnoException).path === tokenFile && tokenFile !== undefined
    return isFile
      ? failed(check, `${tokenFile} cannot be read`, 'Check the path and its permissions.')
      : failed(check, `${host} does not answer`, 'Check the address and that the hook runs.')
  }
}
