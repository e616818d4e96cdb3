/**
 * Keeps the on-chain collateral current: fetches it from every service, verifies Intel's signatures, and uploads newer
 * parts through the outbox.
 *
 * Intel signs the same documents again every day. An upload is worth its gas only if a part has new content, or if the
 * stored part ends soon.
 */
import { and, eq } from 'drizzle-orm'
import { type Hex, keccak256 } from 'viem'
import { z } from 'zod'

import { quoteVerifierAbi } from '../../chain/abi.ts'
import {
  type CollateralPart,
  collateralParts,
  evaluationNumbersPart,
  readHeld,
  type StoredValidity,
} from '../../chain/verifier/collateral.ts'
import { AssentError } from '../../errors/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { bytesSchema } from '../../lib/schema.ts'
import { readTrustedRoot } from '../../quote/certificates/certificate-chain.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import {
  type EvaluationNumbers,
  nextStandard,
  readEvaluationNumbers,
  standardNumberAt,
} from '../../quote/collateral/evaluation-numbers.ts'
import {
  type CollateralUpdate,
  fetchCollateral,
  fetchEvaluationNumbers,
  type PlatformFamily,
} from '../../quote/collateral/pccs.ts'
import { verifyCollateral } from '../../quote/collateral/trusted-collateral.ts'
import { Rejection } from '../../quote/verdict.ts'
import type { Database } from '../database/database.ts'
import { collateral as table } from '../database/schema.ts'
import type { QuorumReader } from '../endpoints/quorum.ts'
import { check, type Target } from '../outbox/intent-targets.ts'
import { enqueueIntent } from '../outbox/intents.ts'

/** Kind of the intents that upload collateral. */
export const collateralKind = 'collateral'

/** The collateral to keep current; times in seconds. */
export interface CollateralUpdaterOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: QuorumReader
  /** Address of the quote verifier; it contains the collateral store. */
  readonly store: Hex
  /** Base URLs of PCS or PCCS; all are used. */
  readonly services: readonly string[]
  /** Root of trust; documents of other roots are never uploaded. */
  readonly root: TrustAnchor
  /** Platform families whose TCB info is needed. */
  readonly families: () => Promise<readonly PlatformFamily[]>
  readonly clock: Clock
  readonly log: Logger
  /** Seconds before the end of a part in which it is replaced by one with the same content. */
  readonly refreshBefore: number
  /** CA certificates (PEM) of the services, in addition to the public ones. */
  readonly ca?: string | undefined
  /** Replaces Node's HTTP client, for tests. */
  readonly fetch?: typeof globalThis.fetch
  /** Milliseconds for one request to a service. */
  readonly timeoutMs?: number
  /** Called for each service that failed, with its host name. */
  readonly onFailure?: (service: string, error: AssentError) => void
}

/** One part of the on-chain collateral after a run. */
export interface StoredPart {
  /** As `readHeld` names it: `issuer:3`, `crl:1`, `document:…` or `numbers`. */
  readonly name: string
  /** The collateral in the store now. */
  readonly held: StoredValidity
  /** The newest that the services have. */
  readonly offered: StoredValidity
  /** `put`: an upload is in the outbox. `wait`: a certificate must be stored first. `none`: the store has enough. */
  readonly action: 'none' | 'wait' | 'put'
}

/** Result of one run. */
export interface CollateralRunResult {
  /** All parts that a service offered. */
  readonly parts: readonly StoredPart[]
  /** Host names of services that failed for at least one request. */
  readonly failed: readonly string[]
  /** The current standard TCB evaluation number and the next one; undefined if no service has the list. */
  readonly standard: number | undefined
  /** The next TCB evaluation number that becomes the standard one, and when (Unix seconds). */
  readonly upcoming: { readonly number: number; readonly standardAt: number } | undefined
}

/** Updates the on-chain collateral. */
export interface CollateralUpdater {
  /** Runs once. @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES, PCCS_UNAVAILABLE if no service has collateral */
  run(): Promise<CollateralRunResult>
}

/** Creates an updater. Each run fetches everything again. */
export function createCollateralUpdater(options: CollateralUpdaterOptions): CollateralUpdater {
  return { run: () => run(options) }
}

/** One run: fetch from all services, compare with the store, put uploads into the outbox, remember what was seen. */
async function run(options: CollateralUpdaterOptions): Promise<CollateralRunResult> {
  const offers = await gather(options)
  const at = options.clock()
  const newest = newestByName(offers.parts, at)
  if (newest.length === 0) {
    throw new AssentError('PCCS_UNAVAILABLE', 'No collateral service returned usable collateral.', {
      facts: { failed: offers.failed },
    })
  }
  const known = await readRows(options)
  const held = await readAllHeld(options, newest)
  const standardHeld = await readStandard(options)
  const standard = offers.numbers === undefined ? undefined : standardNumberAt(offers.numbers, at)

  const due = new Set(
    newest
      .filter((part) => {
        const isStale = part.name === 'numbers' && standard !== standardHeld
        return isStale || isDue(part, heldOf(held, part.name), known.get(part.name), at, options)
      })
      .map(({ name }) => name),
  )
  const parts: StoredPart[] = []
  for (const part of newest) {
    const action = chooseAction(part, due, held)
    const contentKnown = known.get(part.name)
    if (action === 'put') await put(options, part, standard, at)
    await remember(options, part, heldOf(held, part.name), action, contentKnown, at)
    const { name, issuedAt, until } = part
    parts.push({ name, held: heldOf(held, name), offered: { issuedAt, until }, action })
  }
  const upcoming = offers.numbers && nextStandard(offers.numbers, at)
  return {
    parts,
    failed: offers.failed,
    standard,
    upcoming: upcoming && { number: upcoming.number, standardAt: upcoming.standardAt },
  }
}

/* COLLATERAL OF THE SERVICES */

interface AvailableCollateral {
  readonly parts: readonly CollateralPart[]
  readonly numbers: EvaluationNumbers | undefined
  readonly failed: readonly string[]
}

/** Collateral of the standard evaluation number and of the early one. */
const updates: readonly CollateralUpdate[] = ['standard', 'early']

/** All parts that verify, from all services. A service that fails or sends old documents does not affect the others. */
async function gather(options: CollateralUpdaterOptions): Promise<AvailableCollateral> {
  const families = await options.families()
  const failed = new Set<string>()
  const parts: CollateralPart[] = []
  const lists: { part: CollateralPart; numbers: EvaluationNumbers }[] = []
  const attempt = async (url: string, step: () => Promise<void>) => {
    try {
      await step()
    } catch (error) {
      const reason = toReason(error)
      const service = new URL(url).host
      failed.add(service)
      options.onFailure?.(service, reason)
      options.log.warn({ err: reason, service }, 'a collateral service failed')
    }
  }
  await Promise.all(
    options.services.flatMap((url) => [
      ...families.flatMap((family) =>
        updates.map((update) =>
          attempt(url, async () => {
            const found = await fetchParts(options, url, family, update)
            parts.push(...found)
            requireCurrent(found, options.clock())
          }),
        ),
      ),
      // a PCCS may not have the list
      fetchList(options, url).then(
        (list) => lists.push(list),
        (error) =>
          isAbsence(error)
            ? options.log.debug(
                { service: new URL(url).host },
                'the service has no list of evaluation numbers',
              )
            : attempt(url, () => Promise.reject(error)),
      ),
    ]),
  )
  const best = lists.reduce<(typeof lists)[number] | undefined>(
    (newest, each) =>
      newest === undefined || each.part.issuedAt > newest.part.issuedAt ? each : newest,
    undefined,
  )
  return {
    parts: best === undefined ? parts : [...parts, best.part],
    numbers: best?.numbers,
    failed: [...failed],
  }
}

/**
 * Fetches and verifies the collateral of one family from one service. A service that answers with another family is
 * faulty.
 */
async function fetchParts(
  options: CollateralUpdaterOptions,
  url: string,
  family: PlatformFamily,
  update: CollateralUpdate,
): Promise<CollateralPart[]> {
  const bundle = await fetchCollateral(family, update, pccsOptions(options, url))
  verifyCollateral(bundle, readTrustedRoot(options.root))
  const parts = collateralParts(options.store, bundle)
  const wanted = `document:0x${family.fmspc.toLowerCase()}`
  if (parts.some(({ name }) => name.startsWith(wanted))) return parts
  throw new AssentError(
    'PCCS_UNAVAILABLE',
    'The service returned the TCB info of another platform family.',
    {
      facts: { host: new URL(url).host, fmspc: family.fmspc, found: 'another FMSPC' },
    },
  )
}

/** Reports a service that sends expired documents. The parts themselves are left out later. */
function requireCurrent(parts: readonly CollateralPart[], at: number): void {
  const stale = parts.filter((part) => !isCurrent(part, at)).map(({ name }) => name)
  if (stale.length === 0) return
  throw new AssentError(
    'RELAYER_COLLATERAL_STALE',
    'The service returned documents that are expired or not valid yet.',
    {
      facts: { stale, at },
    },
  )
}

/** Whether the part is valid now. */
function isCurrent({ issuedAt, until }: CollateralPart, at: number): boolean {
  return issuedAt <= at && at < until
}

async function fetchList(options: CollateralUpdaterOptions, url: string) {
  const document = await fetchEvaluationNumbers(pccsOptions(options, url))
  const numbers = readEvaluationNumbers(document, options.root)
  return { part: evaluationNumbersPart(options.store, document, numbers), numbers }
}

function pccsOptions({ ca, fetch, timeoutMs }: CollateralUpdaterOptions, url: string) {
  return {
    urls: [url],
    ca,
    ...(fetch === undefined ? {} : { fetch }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
}

/** Whether the service answered that it has no such document, which is no failure of the service. */
function isAbsence(error: unknown): boolean {
  const cause = error instanceof AssentError ? error.cause : undefined
  return cause instanceof AssentError && cause.facts.status === 404
}

function toReason(error: unknown): AssentError {
  if (error instanceof AssentError) return error
  if (error instanceof Rejection) {
    const { code, message, facts } = error.verdict
    return new AssentError(code, message, { facts })
  }
  throw error
}

/** For each name the newest part that is valid now. */
function newestByName(parts: readonly CollateralPart[], at: number): CollateralPart[] {
  const newest = new Map<string, CollateralPart>()
  for (const part of parts) {
    if (!isCurrent(part, at)) continue
    const known = newest.get(part.name)
    if (known === undefined || part.issuedAt > known.issuedAt) newest.set(part.name, part)
  }
  return [...newest.values()].sort((a, b) => a.tier - b.tier || (a.name < b.name ? -1 : 1))
}

/* COLLATERAL ON-CHAIN */

type CollateralRow = typeof table.$inferSelect

async function readRows({
  db,
  chainId,
  store,
}: CollateralUpdaterOptions): Promise<Map<string, CollateralRow>> {
  const rows = await db
    .select()
    .from(table)
    .where(and(eq(table.chainId, chainId), eq(table.store, store)))
  return new Map(rows.map((row) => [row.name, row]))
}

/** Reads what the store has, at the final block. An upload that a reorg may remove does not count. */
async function readAllHeld(
  { reader, store }: CollateralUpdaterOptions,
  parts: readonly CollateralPart[],
): Promise<Map<string, StoredValidity>> {
  const { final } = await reader.heights()
  const pairs = await Promise.all(
    parts.map(async ({ name }) => {
      const held = await reader.agree('collateral', (client) =>
        readHeld(client, store, name, final),
      )
      return [name, held] as const
    }),
  )
  return new Map(pairs)
}

/** The standard evaluation number that the store uses at the final block. */
async function readStandard({ reader, store }: CollateralUpdaterOptions): Promise<number> {
  const { final } = await reader.heights()
  const fresh = await reader.agree('collateral', (client) =>
    client.readContract({
      address: store,
      abi: quoteVerifierAbi,
      functionName: 'freshness',
      blockNumber: final,
    }),
  )
  return fresh.standard
}

function heldOf(held: ReadonlyMap<string, StoredValidity>, name: string): StoredValidity {
  return held.get(name) ?? { issuedAt: 0, until: 0 }
}

/* DECISION */

/** Whether a part is worth the gas of its upload. Pure; `at` and `refreshBefore` in seconds. */
export function isDue(
  part: Pick<CollateralPart, 'issuedAt' | 'content' | 'until'>,
  held: StoredValidity,
  known: Pick<CollateralRow, 'putContent' | 'putIssuedAt'> | undefined,
  at: number,
  { refreshBefore }: Pick<CollateralUpdaterOptions, 'refreshBefore'>,
): boolean {
  if (part.issuedAt <= held.issuedAt) return false
  if (held.issuedAt === 0) return true
  // the content of a part that another account uploaded is not known, so a newer part may differ
  const isKnown = known?.putIssuedAt === held.issuedAt
  if (!isKnown || known.putContent !== part.content) return true
  return held.until - at < refreshBefore && part.until > held.until
}

/** A part waits until the certificate that verifies its signature is stored. */
function chooseAction(
  part: CollateralPart,
  due: ReadonlySet<string>,
  held: ReadonlyMap<string, StoredValidity>,
): StoredPart['action'] {
  if (!due.has(part.name)) return 'none'
  const issuer = issuerOf(part.name)
  if (issuer === undefined) return 'put'
  const names = [...held.keys()].filter((name) => name.startsWith(issuer))
  const isThere = names.every((name) => heldOf(held, name).issuedAt > 0 && !due.has(name))
  return isThere ? 'put' : 'wait'
}

/** Prefix of the certificates that must be stored before this part. */
function issuerOf(name: string): string | undefined {
  if (name.startsWith('document:') || name === 'numbers') return 'issuer:3'
  return /^crl:[12]/.test(name) ? name.replace('crl', 'issuer') : undefined
}

/* UPLOAD */

/** Puts an upload into the outbox. The key contains part, date and content, so the same document is uploaded once. */
async function put(
  { db, chainId, store, log }: CollateralUpdaterOptions,
  part: CollateralPart,
  standard: number | undefined,
  at: number,
): Promise<void> {
  const { name, issuedAt, until, call } = part
  const isList = name === 'numbers' && standard !== undefined
  const payload = { name, issuedAt, data: call.data, ...(isList ? { standard } : {}) }
  // the same list is sent again after another number has become the standard one
  const key = `${store}:${name}:${issuedAt}:${keccak256(call.data)}${isList ? `:${standard}` : ''}`
  const intent = await enqueueIntent(db, {
    chainId,
    kind: collateralKind,
    key,
    payload,
    expiresAt: until,
    at,
    isMissing: true,
  })
  if (intent.isNew)
    log.info(
      { intent: intent.id, name, issuedAt, until },
      'an upload of collateral was put into the outbox',
    )
}

/** Stores the outcome for `GET /v1/collateral` and for the next run. */
async function remember(
  { db, chainId, store }: CollateralUpdaterOptions,
  part: CollateralPart,
  held: StoredValidity,
  action: StoredPart['action'],
  known: CollateralRow | undefined,
  at: number,
): Promise<void> {
  const isPut = action === 'put'
  const values = {
    heldIssuedAt: held.issuedAt,
    heldUntil: held.until,
    offeredIssuedAt: part.issuedAt,
    offeredUntil: part.until,
    putContent: isPut ? part.content : (known?.putContent ?? null),
    putIssuedAt: isPut ? part.issuedAt : (known?.putIssuedAt ?? null),
    checkedAt: at,
  }
  await db
    .insert(table)
    .values({ chainId, store, name: part.name, ...values })
    .onConflictDoUpdate({ target: [table.chainId, table.store, table.name], set: values })
}

/* TARGET */

const payloadSchema = z.strictObject({
  name: z.string(),
  issuedAt: z.int(),
  data: bytesSchema,
  /** For the list of evaluation numbers: the number that must be the standard one. */
  standard: z.int().optional(),
})

/** Target of uploads. Done when the store has a part that is as new, no matter who uploaded it. */
export function createCollateralTarget(store: Hex): Target {
  return {
    errors: quoteVerifierAbi,
    encode: ({ payload }) => ({ to: store, data: check(payloadSchema, payload, 'Payload').data }),
    async isDone({ payload }, client, blockNumber) {
      const { name, issuedAt, standard } = check(payloadSchema, payload, 'Payload')
      const held = await readHeld(client, store, name, blockNumber)
      if (held.issuedAt < issuedAt) return false
      if (standard === undefined) return true
      const fresh = await client.readContract({
        address: store,
        abi: quoteVerifierAbi,
        functionName: 'freshness',
        blockNumber,
      })
      return fresh.standard === standard || held.issuedAt > issuedAt
    },
  }
}

/** All parts after the last run, as `GET /v1/collateral` returns them. */
export async function listCollateral(db: Database, chainId: number) {
  const rows = await db.select().from(table).where(eq(table.chainId, chainId)).orderBy(table.name)
  return rows.map(({ putContent: _content, putIssuedAt: _put, chainId: _chain, ...row }) => row)
}
