/**
 * Whether the proven state grants what the log says was given: the approvals behind it, and the key epochs.
 *
 * Written from docs/contracts.md, "Storage". Devices, hosts and measurements of images are not judged again.
 */
import type { ProvenState } from './evidence.ts'
import { keccak } from './trie.ts'

/** Numbers of contracts/types/Kind.sol. */
const kinds = { osImage: 0, kmsMeasurement: 1, kmsDevice: 2, app: 3, release: 4 } as const

/** How long a decision may lie before the time at which it was written down. */
const toleranceSeconds = 60

/** What speaks against it; undefined if nothing does. */
export function whyNotGranted(
  kind: string,
  grounds: Readonly<Record<string, unknown>>,
  writtenAt: number,
  state: ProvenState,
): string | undefined {
  const boot = (grounds.boot ?? {}) as Record<string, unknown>
  try {
    if (kind === 'handover' || kind === 'onboarded') requireKms(boot, state)
    else requireRelease(boot, state)
    if (kind === 'release') requireEpochs(boot, grounds.epochs, writtenAt, state)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

function requireKms(boot: Record<string, unknown>, state: ProvenState): void {
  const { kmsContract } = state
  requireActive(state, kmsContract, 'osImage', asId(boot.osImageHash, 32))
  requireActive(state, kmsContract, 'kmsMeasurement', asId(boot.mrAggregated, 32))
  requireActive(state, kmsContract, 'kmsDevice', asId(boot.deviceId, 32))
}

function requireRelease(boot: Record<string, unknown>, state: ProvenState): void {
  requireActive(state, state.kmsContract, 'osImage', asId(boot.osImageHash, 32))
  requireActive(state, state.kmsContract, 'app', asId(boot.appId, 20))
  // a foreign app answered for itself, and only endpoints say so
  if (state.executedBy.length > 0) return
  requireActive(state, addressOf(boot), 'release', asId(boot.composeHash, 32))
  const { index, oldest } = standingOf(boot, state, state.blockTime)
  if (index < oldest) throw new RangeError(`its release ${index} was superseded by ${oldest}`)
}

function requireEpochs(
  boot: Record<string, unknown>,
  told: unknown,
  writtenAt: number,
  state: ProvenState,
): void {
  if (state.executedBy.length > 0) {
    if (told !== null) throw new RangeError('epochs of an app that counts none')
    return
  }
  const { write, read } = (told ?? {}) as { write?: unknown; read?: unknown }
  const then = standingOf(boot, state, state.blockTime)
  const later = standingOf(boot, state, Math.max(state.blockTime, writtenAt - toleranceSeconds))
  const isGranted =
    write === then.write &&
    typeof read === 'number' &&
    read >= Math.max(then.read, later.read) &&
    read <= then.write
  if (isGranted) return
  const granted = `write ${then.write}, read from ${Math.max(then.read, later.read)}`
  throw new RangeError(`it gave epochs ${JSON.stringify(told)}; granted were ${granted}`)
}

/** App.epochsOf and the number of the oldest release, at a time. */
function standingOf(boot: Record<string, unknown>, state: ProvenState, at: number) {
  const app = addressOf(boot)
  const rules = wordOf(state, app, uint(4n), 'the rules of its app')
  const ends = wordOf(state, app, uint(5n), 'the rules of its app')
  const release = wordOf(state, app, approvalSlot('release', asId(boot.composeHash, 32)), 'release')
  const [opened, oldest] = [bits(rules, 184, 32), bits(rules, 216, 32)]
  const [nextOldest, endFrom, endOpens] = [bits(ends, 0, 32), bits(ends, 32, 40), bits(ends, 72, 8)]
  const index = bits(release, 192, 32)
  const epoch = opened + 1
  const migrating = endOpens !== 0 && at < endFrom
  return {
    index,
    oldest: at < endFrom ? oldest : nextOldest,
    write: migrating && index < nextOldest ? epoch - 1 : epoch,
    read: migrating ? epoch - 1 : epoch,
  }
}

function requireActive(
  state: ProvenState,
  address: string,
  kind: keyof typeof kinds,
  id: string,
): void {
  const word = wordOf(state, address, approvalSlot(kind, id), `the approval (${kind})`)
  const [from, until, suspended] = [bits(word, 0, 40), bits(word, 40, 40), bits(word, 80, 40)]
  const [endedAt, version, revoked] = [bits(word, 120, 40), bits(word, 160, 32), bits(word, 224, 1)]
  const at = state.blockTime
  const isActive =
    version !== 0 &&
    revoked === 0 &&
    endedAt === 0 &&
    (until === 0 || at < until) &&
    at >= suspended &&
    at >= from
  if (!isActive) throw new RangeError(`${kind} ${id} was not active at its block`)
}

function wordOf(state: ProvenState, address: string, slot: string, what: string): bigint {
  const word = state.contracts.get(address)?.slots.get(slot)
  if (word === undefined) throw new RangeError(`its evidence does not show ${what}`)
  return word
}

function approvalSlot(kind: keyof typeof kinds, id: string): string {
  const list = hash(uint(BigInt(kinds[kind])) + uint(0n).slice(2))
  return hash(id + list.slice(2))
}

function addressOf(boot: Record<string, unknown>): string {
  return `0x${String(boot.appId)}`
}

/** As the contracts key it: 32 bytes, an address in the lower 20. */
function asId(text: unknown, length: number): string {
  if (typeof text !== 'string' || !new RegExp(`^[0-9a-f]{${2 * length}}$`).test(text)) {
    throw new TypeError('it does not say what booted')
  }
  return `0x${text.padStart(64, '0')}`
}

function bits(word: bigint, from: number, width: number): number {
  return Number((word >> BigInt(from)) & ((1n << BigInt(width)) - 1n))
}

function uint(value: bigint): string {
  return `0x${value.toString(16).padStart(64, '0')}`
}

function hash(hex: string): string {
  return `0x${keccak(Buffer.from(hex.slice(2), 'hex')).toString('hex')}`
}
