import { afterAll, beforeAll, test } from 'vitest'

import { fetchAppKeys, verifyFetchedKeys } from '../../src/kms/client.ts'
import { createWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

test('a simulated CVM gets its keys, and they lead back to the root', async () => {
  const kms = await world.start()
  const cvm = world.boot()
  await world.setComposeHash(cvm.composeHash)

  const keys = await fetchAppKeys(
    { url: kms.url, clock: () => 1787000000 },
    cvm.source,
    cvm.vmConfig,
  )

  verifyFetchedKeys(cvm.appId, keys, kms.k256PublicKey)
})
