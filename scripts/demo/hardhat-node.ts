/** Hardhat's in-process node behind a JSON-RPC port, so that services and visitors reach it alike. */
import { network } from 'hardhat'

export interface RunningNode {
  readonly url: string
  stop(): Promise<void>
}

/** @param startsAt Unix seconds of the first block; later blocks follow real time. */
export async function startHardhatNode(startsAt: number, port = 0): Promise<RunningNode> {
  const server = await network.createServer(
    {
      network: 'default',
      override: { initialDate: new Date(startsAt * 1000), loggingEnabled: false },
    },
    '127.0.0.1',
    port,
  )
  const { address, port: opened } = await server.listen()
  return { url: `http://${address}:${opened}`, stop: () => server.close() }
}
