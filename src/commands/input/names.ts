/**
 * Resolves apps, proposals, hosts, images and other ids: from a whole id (with or without `0x`), a name in the profile, the
 * name of an image on the chain, or the first digits of an id on the chain.
 */

import type { Address } from 'viem'
import { imagesAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { listProposals } from '../../chain/governance/proposals.ts'
import { type Kind, kindName } from '../../chain/kinds.ts'
import { countApprovals, listApprovals } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { closestWord } from '../../lib/closest-word.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import type { Session } from '../session/session.ts'
import { readAddress } from './arguments.ts'
import { requireDeployed } from './deployed.ts'

/** Fewer digits would often mean another id after the next approval. */
const fewestDigits = 6

/** Searching longer lists would take too long, so they need the whole id. */
const longestList = 2_000

const shownCandidates = 10

/** The address of an app. @throws USAGE_INVALID, NAME_UNKNOWN, NAME_AMBIGUOUS, CHAIN_UNREACHABLE */
export async function resolveApp(session: Session, text: string): Promise<Address> {
  const named = nameInProfile(session, text)
  if (/^(?:0x)?[0-9a-fA-F]{40}$/.test(named)) return readAddress(with0x(named), 'app')
  if (isWhole(named)) return toAppAddress(with0x(named), text, session.profile.names)
  const id = await resolveListed(
    session,
    { kind: 'app', registry: session.addresses.kmsAuth },
    text,
  )
  return toAppAddress(id, text, session.profile.names)
}

/** The id of an app is its address, filled up with zeros on the left. */
function toAppAddress(id: Hex, text: string, names: Names): Address {
  if (/^0x0{24}/.test(id)) return `0x${id.slice(26)}`
  throw unknownName('app', text, names)
}

/** The id of a proposal. @throws USAGE_INVALID, NAME_UNKNOWN, NAME_AMBIGUOUS, CHAIN_UNREACHABLE */
export async function resolveProposal(
  { publicClient, output, ...session }: Session,
  governor: Address,
  text: string,
): Promise<bigint> {
  const named = nameInProfile(session, text)
  // without 0x, digits only are decimal, as ids are printed: also 64 of them
  const isDecimal = /^\d{6,78}$/.test(named)
  if (/^\d{77,78}$/.test(named)) return BigInt(named)
  if (!isDecimal && isWhole(named)) return BigInt(with0x(named))
  if (!isDecimal && !/^0x[0-9a-fA-F]{6,63}$/.test(named)) {
    const wanted = 'its id, the first digits of it (at least 6), or a name'
    throw unreadableName('proposal', text, wanted, session.profile.names)
  }
  const page = { offset: 0, limit: longestList }
  const { ids, total } = await listProposals(publicClient, governor, page)
  const isHex = named.startsWith('0x')
  const found = ids.filter((id) =>
    isHex ? toWord(id).startsWith(named.toLowerCase()) : id.toString().startsWith(named),
  )
  // an id can be short, and older than the list
  if (found.length === 0 && /^\d{70,76}$/.test(named)) return BigInt(named)
  if (total > longestList) throw tooMany('proposal', text, total)
  const id = onlyOne('proposal', text, found.map(String), session.profile.names)
  // the whole id needs no line
  if (id !== named) output.line(`${text} is proposal ${id}`)
  return BigInt(id)
}

function toWord(value: bigint): Hex {
  return `0x${value.toString(16).padStart(64, '0')}`
}

/** A kind with the registry whose list is searched. */
export interface ListedKind {
  readonly kind: Kind
  readonly registry: Address
}

/**
 * The id of an approval that exists, or any whole id.
 *
 * @throws USAGE_INVALID, NAME_UNKNOWN, NAME_AMBIGUOUS, CHAIN_UNREACHABLE
 */
export async function resolveId(session: Session, listed: ListedKind, text: string): Promise<Hex> {
  if (listed.kind === 'app') return toId(await resolveApp(session, text))
  const named = nameInProfile(session, text)
  return isWhole(named) ? with0x(named) : resolveListed(session, listed, text)
}

function toId(app: Address): Hex {
  return `0x${app.slice(2).toLowerCase().padStart(64, '0')}`
}

/** Searches the list of one kind for a name or for first digits. */
async function resolveListed(session: Session, listed: ListedKind, text: string): Promise<Hex> {
  const { kind, registry } = listed
  const what = kindName(kind)
  const named = nameInProfile(session, text)
  const digits = named.replace(/^0x/, '').toLowerCase()
  const isPrefix = new RegExp(`^[0-9a-f]{${fewestDigits},63}$`).test(digits)
  if (!isPrefix && kind !== 'osImage') {
    throw unreadableName(
      what,
      text,
      `an id, its first digits (at least ${fewestDigits}), or a name`,
      session.profile.names,
    )
  }
  const { publicClient } = session
  const total = await countApprovals(publicClient, registry, kind)
  if (total > longestList) throw tooMany(what, text, total)
  const ids = (await listApprovals(publicClient, registry, kind)).map(({ id }) => id)
  const names = kind === 'osImage' ? await readImageNames(session, ids) : ids.map(() => '')
  const start = kind === 'app' ? `0x${'0'.repeat(24)}${digits}` : `0x${digits}`
  const found = ids.filter((id, i) => names[i] === named || (isPrefix && id.startsWith(start)))
  const id = onlyOne(what, text, found, session.profile.names) as Hex
  session.output.line(
    `${text} is the ${what} ${kind === 'app' ? toAppAddress(id, text, session.profile.names) : id}`,
  )
  return id
}

async function readImageNames(session: Session, ids: readonly Hex[]): Promise<readonly string[]> {
  const { images } = session.addresses
  if (images === undefined) return ids.map(() => '')
  return mapWithConcurrency(ids, (id) =>
    session.publicClient
      .readContract({ address: images, abi: imagesAbi, functionName: 'imageNameOf', args: [id] })
      .catch((cause: unknown) => {
        throw toChainError(cause, 'read the names of images')
      }),
  )
}

function nameInProfile({ profile }: Pick<Session, 'profile'>, text: string): string {
  return profile.names.get(text) ?? text
}

/** 32 bytes. */
function isWhole(text: string): boolean {
  return /^(?:0x)?[0-9a-fA-F]{64}$/.test(text)
}

function with0x(text: string): Hex {
  // the checksum is in the case of an address
  return (text.startsWith('0x') ? text : `0x${text}`).replace(/^0x[0-9a-fA-F]{64}$/, (id) =>
    id.toLowerCase(),
  ) as Hex
}

function onlyOne(what: string, text: string, found: readonly string[], names: Names): string {
  const [first, ...others] = found
  if (first === undefined) throw unknownName(what, text, names)
  if (others.length === 0) return first
  throw new AssentError('NAME_AMBIGUOUS', `${text} can be ${found.length} of kind ${what}.`, {
    facts: { name: text, candidates: found.slice(0, shownCandidates), total: found.length },
  })
}

function tooMany(what: string, text: string, total: number): AssentError {
  return new AssentError('NAME_UNKNOWN', `${text}: there are ${total} of kind ${what}.`, {
    facts: { kind: what, total, searched: longestList },
    hint: 'Pass the whole id.',
  })
}

/** Names of the profile. */
type Names = Session['profile']['names']

function unknownName(what: string, text: string, names: Names): AssentError {
  return new AssentError('NAME_UNKNOWN', `No ${what} here is called or begins with ${text}.`, {
    facts: { kind: what, name: text },
    ...suggestionFor(text, names),
  })
}

function unreadableName(what: string, text: string, wanted: string, names: Names): AssentError {
  return new AssentError('USAGE_INVALID', `${what}: expected ${wanted}, found "${text}".`, {
    facts: { argument: what, found: text },
    ...suggestionFor(text, names),
  })
}

/** A hint if a name of the profile is close to the text. */
function suggestionFor(text: string, names: Names): { readonly hint?: string } {
  const meant = closestWord(text, names.keys())
  return meant === undefined ? {} : { hint: `Did you mean ${meant}?` }
}

/** The device id of a host. @throws INPUT_INVALID without a host registry; USAGE_INVALID, NAME_UNKNOWN, NAME_AMBIGUOUS */
export function resolveHost(session: Session, text: string): Promise<Hex> {
  return resolveId(session, { kind: 'host', registry: requireDeployed(session, 'hosts') }, text)
}

/** The hash of a base image. @throws USAGE_INVALID, NAME_UNKNOWN, NAME_AMBIGUOUS, CHAIN_UNREACHABLE */
export function resolveImage(session: Session, text: string): Promise<Hex> {
  return resolveId(session, { kind: 'osImage', registry: session.addresses.kmsAuth }, text)
}

/** The hashes of base images. */
export async function resolveImages(session: Session, texts: readonly string[]): Promise<Hex[]> {
  const images: Hex[] = []
  for (const text of texts) images.push(await resolveImage(session, text))
  return images
}
