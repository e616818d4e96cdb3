/** What `chainView.cacheMegabytes` changes: a small cache drops proven state, and it is requested again. */
import { setTimeout } from 'node:timers/promises'

import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

import { bootChainShape, openChain, openProver } from '../../src/chain/boot/boot-config.ts'
import { endpointNames } from '../../src/chain/proven/rpc-endpoint.ts'
import { buildChain, type SyntheticChain, serveChain } from './proven/synthetic.ts'

/** Far less than the state of all apps takes, and more than one decision needs. */
const little = 2 ** -5

let chain: SyntheticChain
let nodes: Awaited<ReturnType<typeof serveChain>>[]

beforeAll(async () => {
  chain = await buildChain({ apps: 60 })
  const serve = () => serveChain((method, params) => chain.answer(method, params))
  nodes = [await serve(), await serve()]
})
afterAll(async () => {
  for (const node of nodes) await node.stop()
})

const urls = () => nodes.map(({ url }) => url)
const proofs = () => nodes.reduce((sum, { asked }) => sum + (asked.eth_getProof ?? 0), 0)

/** Settings with a cache that can be smaller than operators may set it. */
function configOf(cacheMegabytes: number) {
  const config = z.object(bootChainShape).parse({
    chainId: 31337,
    kmsContract: chain.kmsAuth,
    chainView: {
      endpoints: urls(),
      quorum: 2,
      checkpointFolder: '/nowhere',
      refreshSeconds: 1,
      pinnedCode: chain.pinned,
    },
    finality: 'finalized',
    maxBlockAgeSeconds: 1_000_000,
  })
  if ('insecureSingleEndpoint' in config.chainView) throw new Error('no view with proofs')
  return { ...config, chainView: { ...config.chainView, cacheMegabytes } }
}

/** Proofs that a second round of boots costs, at a later block in which nothing changed. */
async function proofsOfSecondRound(cacheMegabytes: number): Promise<number> {
  const clock = () => chain.head().timestamp
  const view = openChain(configOf(cacheMegabytes), { clock, checkpointKey: 'none-yet' })
  const askAll = async () => {
    for (const app of chain.apps) {
      expect(await view.authorize('isAppAllowed', chain.boot(app))).toMatchObject({ allowed: true })
    }
  }
  await askAll()
  chain.mine()
  await setTimeout(1_100)
  const before = proofs()
  await askAll()
  return proofs() - before
}

test('the cache of a chain view has the size of the setting', async () => {
  expect(await proofsOfSecondRound(64)).toBe(0)
  expect(await proofsOfSecondRound(little)).toBeGreaterThan(chain.apps.length / 2)
})

test('the cache for the proofs of all workers has the size of the setting', async () => {
  const proofsOfSecondBlock = async (cacheMegabytes: number) => {
    const prove = openProver(configOf(cacheMegabytes))
    const proveAll = async () => {
      const { number, json } = chain.head()
      const asked = {
        endpoints: endpointNames(urls()),
        block: { number, stateRoot: json.stateRoot },
        slots: [],
      }
      for (const address of chain.apps) await prove?.({ ...asked, address }, () => {})
    }
    await proveAll()
    chain.mine()
    const before = proofs()
    await proveAll()
    return proofs() - before
  }

  expect(await proofsOfSecondBlock(64)).toBe(0)
  expect(await proofsOfSecondBlock(little / 4)).toBeGreaterThan(chain.apps.length / 4)
})
