/** A chain with a history, an indexer and the dashboard in this process, for tests and screenshots. */
import { setTimeout as sleep } from 'node:timers/promises'

import type { Hex } from 'viem'
import { connectEndpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { type Deployment, parseDeployment } from '../../src/chain/record/deployments.ts'
import { runLocalIndexer } from '../../src/dashboard/indexer.ts'
import { readPageFiles } from '../../src/dashboard/page-files.ts'
import { serveDashboard } from '../../src/dashboard/serve.ts'
import { createRandomHistory, type RandomHistory } from '../../test/indexer/random-history.ts'
import { takeTour } from '../../test/indexer/tour.ts'

/** Changes an answer of the indexer. */
export type Tamper = (path: string, answer: unknown) => unknown

export interface Stack {
  readonly history: RandomHistory
  /** The dashboard over the honest indexer. */
  readonly url: string
  /** Another dashboard over the same chain. */
  serve(options?: {
    readonly tamper?: Tamper
    readonly endpoints?: readonly string[]
    readonly required?: number
    readonly names?: Readonly<Record<string, string>>
  }): Promise<string>
  /** Waits until the indexer has the newest block. */
  sync(): Promise<void>
  stop(): Promise<void>
}

/** A record with nothing but addresses. */
function recordOf(addresses: Readonly<Record<string, Hex>>): Deployment {
  const contracts = Object.fromEntries(
    Object.entries(addresses).map(([name, address], nonce) => [
      name,
      {
        address,
        contract: 'Some',
        block: 0,
        transaction: `0x${'00'.repeat(32)}`,
        deployer: address,
        nonce,
        arguments: [],
      },
    ]),
  )
  const compiler = { version: '0.8.35', settings: {} }
  return parseDeployment({ chainId: 31337, commit: 'c0ffee', compiler, contracts })
}

export async function startStack({ blocks = 12, seed = 7 } = {}): Promise<Stack> {
  const history = await createRandomHistory(seed)
  await takeTour(history)
  for (let block = 0; block < blocks; block++) await history.block(5)
  const deployment = recordOf(history.addresses)
  const indexer = await runLocalIndexer({
    rpcUrls: [history.url],
    chainId: 31337,
    deployment,
    folder: undefined,
    finality: { depth: 64 },
    pollMs: 100,
  })
  const files = await readPageFiles()
  const open: { stop(): Promise<void> }[] = []
  const serve: Stack['serve'] = async ({
    tamper,
    endpoints = [history.url],
    required = endpoints.length,
    names = {},
  } = {}) => {
    const running = await serveDashboard({
      files,
      settings: {
        name: 'anvil',
        chainId: 31337,
        addresses: history.addresses,
        fromBlock: 0,
        endpoints: endpoints.map((_, place) => ({ name: 'anvil', url: `rpc/${place}` })),
        required,
        indexer: 'indexer',
        collateral: null,
        names,
      },
      endpoints: endpoints.map((url, place) =>
        connectEndpoint({ url, name: `${place + 1}:anvil`, timeoutMs: 5_000 }),
      ),
      indexer: async (request) => {
        const answer = await indexer.answer(request)
        if (tamper === undefined || !answer.ok) return answer
        return Response.json(tamper(new URL(request.url).pathname, await answer.json()))
      },
      port: 0,
    })
    open.push(running)
    return running.url
  }
  const sync = async () => {
    const head = Number(await history.client.getBlockNumber({ cacheTime: 0 }))
    for (;;) {
      const answer = await indexer.answer(new Request('http://indexer/v1/status'))
      const { block } = (await answer.json()) as { block: number }
      if (block >= head) return
      await sleep(100)
    }
  }
  await sync()
  const url = await serve()
  return {
    history,
    url,
    serve,
    sync,
    async stop() {
      await Promise.all(open.map((each) => each.stop()))
      await indexer.stop()
      await history.stop()
    },
  }
}
