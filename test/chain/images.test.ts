/** Reads of the registry of base images, on a chain. */

import { network } from 'hardhat'
import {
  concat,
  createPublicClient,
  custom,
  type EIP1193Provider,
  type PublicClient,
  sha256,
  zeroHash,
} from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noEnd } from '../../src/chain/approval.ts'

import { listMeasurementSets, readRegisteredImage } from '../../src/chain/registries/images.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { deployRegistries, imagesCall, type Registries } from './registries.ts'

const named: Hex = `0x${'a1'.repeat(32)}`
const unknown: Hex = `0x${'a2'.repeat(32)}`
/** MRTD and RTMR0 to RTMR2. */
const registers: Hex = `0x${'b7'.repeat(4 * 48)}`

let connection: Awaited<ReturnType<typeof network.create>>
let chain: Registries
let client: PublicClient

beforeAll(async () => {
  connection = await network.create()
  chain = await deployRegistries(connection.provider as unknown as EIP1193Provider, 'hardhat')
  client = chain.client as PublicClient
  const set = { osImageHash: named, variant: 0, registers, activeFrom: 0, expiresAt: 0 }
  for (const [name, ...args] of [
    ['setImageName', named, 'dstack-0.5.7'],
    ['closeImages', [named]],
    ['approveMeasurementSets', [{ ...set, evidence: '0x' }], noEnd],
  ] as const) {
    await chain.send(chain.images, imagesCall(name, args))
  }
})
afterAll(() => connection.close())

describe('the image registry', () => {
  test('has the name of an image, and whether it is closed', async () => {
    expect(await readRegisteredImage(client, chain.images, named)).toEqual({
      name: 'dstack-0.5.7',
      isClosed: true,
    })
    expect(await readRegisteredImage(client, chain.images, unknown)).toEqual({
      name: '',
      isClosed: false,
    })
  })

  test('lists measurement sets with the image and the variant they are for', async () => {
    const [found, ...others] = await listMeasurementSets(client, chain.images)

    expect(others).toEqual([])
    expect(found).toMatchObject({
      osImageHash: named,
      variant: 0,
      // 32 zero bytes stand for no key provider
      mrSystem: sha256(concat([registers, zeroHash])),
      approval: { version: 1, revoked: false },
    })
  })

  test('that does not answer is an outage', async () => {
    const silent = createPublicClient({
      transport: custom({ request: () => Promise.reject(new Error('down')) }, { retryCount: 0 }),
    })

    await expect(readRegisteredImage(silent, chain.images, named)).rejects.toMatchObject({
      code: 'CHAIN_UNREACHABLE',
    })
    await expect(listMeasurementSets(silent, chain.images)).rejects.toMatchObject({
      code: 'CHAIN_UNREACHABLE',
    })
  })
})
