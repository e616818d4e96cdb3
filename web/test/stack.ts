/** A chain with a history, an indexer and the dashboard in this process, for tests and screenshots. */
import { setTimeout as sleep } from 'node:timers/promises'

import { type Abi, encodeFunctionData, type Hex, keccak256, toHex } from 'viem'
import { assentGovernorAbi, kmsAuthAbi } from '../../src/chain/abi.ts'
import { connectEndpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { parseDeployment } from '../../src/chain/record/deployments.ts'
import { runLocalIndexer } from '../../src/dashboard/indexer.ts'
import { readPageFiles } from '../../src/dashboard/page-files.ts'
import { serveDashboard } from '../../src/dashboard/serve.ts'
import { createRandomHistory, type RandomHistory } from '../../test/indexer/random-history.ts'
import { recordOf } from '../../test/indexer/record.ts'
import { takeTour } from '../../test/indexer/tour.ts'

/** Changes an answer of the indexer. */
export type Tamper = (path: string, answer: unknown, query: URLSearchParams) => unknown

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

/** An open proposal on which the second account can vote. @returns its id */
export async function proposeGateway(history: RandomHistory, title: string): Promise<string> {
  const { accounts, addresses, client, rpc, send } = history
  const { governor, kmsAuth } = addresses
  const voter = accounts[1] as Hex
  const abi = assentGovernorAbi as Abi
  const action = encodeFunctionData({
    abi: kmsAuthAbi,
    functionName: 'setGatewayAppId',
    args: ['0x01'],
  })
  const calls = [[kmsAuth], [0n], [action]]
  await send(voter, governor, abi, 'propose', [...calls, title])
  await rpc('evm_increaseTime', 20)
  await rpc('evm_mine')
  const id = await client.readContract({
    address: governor,
    abi,
    functionName: 'getProposalId',
    args: [...calls, keccak256(toHex(title))],
  })
  return String(id)
}

export async function startStack({ blocks = 12, seed = 7 } = {}): Promise<Stack> {
  const history = await createRandomHistory(seed)
  await takeTour(history)
  for (let block = 0; block < blocks; block++) await history.block(5)
  const deployment = parseDeployment(recordOf(history.addresses))
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
        const { pathname, searchParams } = new URL(request.url)
        return Response.json(tamper(pathname, await answer.json(), searchParams))
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
