/** Images of the legacy scheme, which nobody can measure here: what counts is what the chain approves. */
import { network } from 'hardhat'
import { concat, type EIP1193Provider } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { imagesAbi } from '../../src/chain/abi.ts'
import { kinds, noEnd } from '../../src/chain/approval.ts'
import type { ChainView } from '../../src/chain/proven/view.ts'
import { type Hex, to0x, toHex } from '../../src/lib/bytes.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { viewOf } from '../chain/endpoints.ts'
import {
  appCall,
  deployRegistries,
  imagesCall,
  kmsCall,
  type Registries,
} from '../chain/registries.ts'
import { askForKeys, mint } from './http-fixture.ts'
import { startNode } from './node-fixture.ts'

let connection: Awaited<ReturnType<typeof network.create>>
let chain: Registries
let node: Awaited<ReturnType<typeof startNode>>
let now: number
let cvm: SimulatedCvm
let vmConfig: string

beforeAll(async () => {
  connection = await network.create()
  const provider = connection.provider as unknown as EIP1193Provider
  chain = await deployRegistries(provider, 'hardhat')
  now = Number((await chain.client.getBlock()).timestamp) + 60
  node = await startNode({
    simulator: createSimulator({ at: now }),
    clock: () => now,
    view: look,
    chain,
    images: 'on-chain',
    selfAuthorization: 'insecure-off',
  })
  const app = await chain.createApp({ allowAnyDevice: true })
  cvm = node.boot(app, node.host)
  const osImageHash = toHex(node.image.osImageHash)
  vmConfig = JSON.stringify({ os_image_hash: osImageHash, memory_size: 2 ** 31 })
  const { kmsAuth, send } = chain
  await send(kmsAuth, kmsCall('addOsImageHash', [`0x${osImageHash}`]))
  await send(kmsAuth, kmsCall('setGatewayAppId', ['gateway']))
  await send(app, appCall('addComposeHash', [to0x(cvm.composeHash)]))
})
afterAll(async () => {
  await node.stop()
  await connection.close()
})

/** A new view for each question, as after `refreshSeconds`. */
function look(): ChainView {
  return viewOf(connection.provider as unknown as EIP1193Provider, chain, () => now)
}

async function answer(config = vmConfig) {
  const identity = await mint(node.keys, {
    attestation: (reportData) => cvm.attestation(reportData),
  })
  return askForKeys(node.kms, identity, config)
}

function approveSet(registers: Hex) {
  const { osImageHash } = node.image
  const set = { osImageHash: to0x(osImageHash), variant: 0, registers, activeFrom: 0, expiresAt: 0 }
  return chain.send(
    chain.images,
    imagesCall('approveMeasurementSets', [[{ ...set, evidence: '0x' }], noEnd]),
  )
}

const notApproved = {
  status: 400,
  code: 'KMS_BOOT_DENIED',
  error: expect.stringContaining('Measurements are not allowed for this OS image'),
}

describe('KMS: a base image of the legacy scheme', () => {
  test('is denied if there is no image registry', async () => {
    expect(await answer()).toMatchObject(notApproved)
  })

  test('needs an approved measurement set, whether the image is closed or not', async () => {
    await chain.send(chain.kmsAuth, kmsCall('setImages', [chain.images, noEnd]))
    expect(await answer()).toMatchObject(notApproved)

    const { mrTd, rtmrs } = cvm.registers
    const [rtmr0, rtmr1, rtmr2] = rtmrs.map((each) => to0x(each)) as [Hex, Hex, Hex]
    await approveSet(concat([to0x(mrTd), rtmr0, rtmr1, `0x${'00'.repeat(48)}`]))
    expect(await answer()).toMatchObject(notApproved)

    await approveSet(concat([to0x(mrTd), rtmr0, rtmr1, rtmr2]))
    expect(await answer()).toMatchObject({ status: 200 })
  })

  test('is verified with the description from the host', async () => {
    expect(await answer(cvm.vmConfig)).toMatchObject({ status: 200 })
    const claimed = JSON.parse(cvm.vmConfig) as Record<string, unknown>
    const lying = JSON.stringify({ ...claimed, memory_size: 2 ** 32 })
    expect(await answer(lying)).toMatchObject({ code: 'IMAGE_NOT_PROVEN' })
  })

  test('is denied after its measurement set is withdrawn', async () => {
    const sets = await chain.client.getContractEvents({
      address: chain.images,
      abi: imagesAbi,
      eventName: 'MeasurementSetDescribed',
      fromBlock: 0n,
    })
    const ids = sets.map(({ args }) => args.id)
    await chain.send(chain.images, kmsCall('withdraw', [kinds.measurements, ids]))

    expect(await answer()).toMatchObject(notApproved)
  })
})
