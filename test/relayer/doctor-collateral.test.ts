/** The doctor reports each part of the on-chain collateral that registered hosts need and that is missing or expired. */
import { type PublicClient, pad } from 'viem'
import { expect, test } from 'vitest'

import { qeIdentityFamily } from '../../src/chain/verifier/collateral.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import type { RelayerConfig } from '../../src/relayer/config.ts'
import { examineHeld } from '../../src/relayer/doctor/chain.ts'

const day = 86_400
const now = 1_800_000_000
const verifier: Hex = `0x${'bb'.repeat(20)}`
const hosts: Hex = `0x${'aa'.repeat(20)}`
const approved: Hex = `0x${'01'.repeat(32)}`
const configured: Hex = `0x${'02'.repeat(32)}`
const family = (fmspc: Hex) => pad(fmspc, { dir: 'right', size: 32 })
const [first, second, third] = ['0x000000000001', '0x000000000002', '0x000000000003'] as const

/** Seconds until the parts end, by name; a part without an entry was never stored. */
type Store = Readonly<Record<string, number>>

const complete: Store = {
  'issuer:3': 90 * day,
  'crl:0': 30 * day,
  'crl:1': 30 * day,
  [`document:${family(first)}:20`]: 30 * day,
  [`document:${family(second)}:20`]: 30 * day,
  [`document:${family(third)}:20`]: 30 * day,
  [`document:${qeIdentityFamily}:20`]: 30 * day,
}

/** A chain whose verifier holds these parts, and whose registry knows one approved and one configured host. */
function createClient(store: Store, standard = { standard: 0, standardUntil: 0 }): PublicClient {
  const part = (name: string) => {
    const rest = store[name]
    return {
      issuedAt: rest === undefined ? 0 : now - day,
      until: rest === undefined ? 0 : now + rest,
    }
  }
  const answer = (functionName: string, args: readonly unknown[] = []): unknown => {
    switch (functionName) {
      case 'issuerValidity': {
        const { issuedAt, until } = part(`issuer:${args[0]}`)
        return [BigInt(issuedAt), BigInt(until)]
      }
      case 'crl': {
        const { issuedAt, until } = part(`crl:${args[0]}`)
        return { thisUpdate: issuedAt, until }
      }
      case 'listed':
        return family('0x00')
      case 'freshness':
        return { ...standard, revoked: 0 }
      case 'document':
        return { ...part(`document:${args[0]}:${args[1]}`), signer: 0 }
      case 'heldNumbers':
        return Object.keys(store).reduce((bits, name) => {
          const [, of, number] = name.split(':')
          return of === args[0] ? bits | (1n << BigInt(number ?? 0)) : bits
        }, 0n)
      case 'hostOf':
        return { fmspc: args[0] === approved ? first : second, expiresAt: now + day }
      case 'count':
        return 1n
      case 'page':
        return [[approved], [1n << 160n]]
      default:
        throw new Error(`${functionName} is not expected`)
    }
  }
  return {
    getBlockNumber: async () => 1_000n,
    readContract: async ({ functionName, args }: { functionName: string; args?: unknown[] }) =>
      answer(functionName, args),
  } as unknown as PublicClient
}

async function examine(
  store: Store,
  settings: object = {},
  standard?: { standard: number; standardUntil: number },
) {
  const config = {
    verifier,
    hosts,
    hostAgents: [{ deviceId: configured }],
    keepCollateral: false,
    refreshBefore: 7 * day,
    ...settings,
  } as unknown as RelayerConfig
  const options = {
    config,
    clients: [createClient(store, standard)],
    clock: () => now,
    openSigner: () => Promise.reject(new Error('not needed')),
    readRoot: () => Promise.reject(new Error('not needed')),
  }
  const [finding] = await examineHeld(options, [], [third.slice(2)])
  return finding
}

test('complete collateral of every host passes', async () => {
  expect(await examine(complete)).toMatchObject({ status: 'ok' })
})

test.each(Object.keys(complete))('an expired or missing %s fails and is named', async (name) => {
  const found = expect.stringContaining(name.endsWith(':20') ? name.slice(0, -3) : name)
  expect(await examine({ ...complete, [name]: -1 })).toMatchObject({ status: 'failed', found })
  const { [name]: _removed, ...without } = complete
  expect(await examine(without)).toMatchObject({ status: 'failed', found })
  expect(await examine(without, { keepCollateral: true })).toMatchObject({ status: 'warning' })
})

test.each(['crl:2', 'crl:9', 'crl:16'])('an expired CRL of another CA, %s, warns', async (name) => {
  expect(await examine({ ...complete, [name]: 10 * day })).toMatchObject({ status: 'ok' })
  const found = expect.stringContaining(name)
  expect(await examine({ ...complete, [name]: -1 })).toMatchObject({ status: 'warning', found })
})

test('the documents of the standard evaluation number count, not those of a higher one', async () => {
  const early = Object.fromEntries(
    Object.keys(complete).flatMap((name) =>
      name.endsWith(':20') ? [[name.replace(/20$/, '21'), 30 * day]] : [],
    ),
  )
  const store = { ...complete, ...early, [`document:${family(first)}:20`]: -1 }
  const inForce = { standard: 20, standardUntil: now + day }
  expect(await examine(store, {}, inForce)).toMatchObject({ status: 'failed' })
  // without a list of evaluation numbers the verifier uses the highest number that it holds
  expect(await examine(store)).toMatchObject({ status: 'ok' })
})
