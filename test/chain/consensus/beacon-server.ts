/** Beacon APIs for tests: real HTTP servers, honest or lying. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import {
  type BeaconEndpoint,
  connectBeaconEndpoint,
} from '../../../src/chain/consensus/beacon-endpoint.ts'
import type { RawMessage } from '../../../src/chain/consensus/messages.ts'
import { startOfPeriod } from '../../../src/chain/consensus/network.ts'
import { to0x } from '../../../src/lib/bytes.ts'
import type { BeaconChain } from './beacon-chain.ts'

/** What a server shows: the chain up to a slot. */
export interface View {
  readonly chain: BeaconChain
  /** Newest slot that is attested; the signature is in the next slot. */
  head: number
}

export type Behaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  honest: () => void,
) => void

export interface BeaconServer {
  readonly url: string
  readonly endpoint: BeaconEndpoint
  readonly view: View
  readonly requests: string[]
  close(): Promise<void>
}

/** @param behave does something else than the honest answer */
export async function serveBeacon(
  view: View,
  behave: Behaviour = (_request, _response, honest) => honest(),
  timeoutMs = 20_000,
): Promise<BeaconServer> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(request.url ?? '')
    behave(request, response, () => answer(view, request.url ?? '', response))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    endpoint: connectBeaconEndpoint({ url, name: url, timeoutMs }),
    view,
    requests,
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

export function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** As the API writes it, with a member that nobody knows. */
export function asAnswer({ fork, data }: RawMessage): object {
  return { version: fork, data: (data as { json: unknown }).json, execution_optimistic: false }
}

function answer(view: View, path: string, response: ServerResponse): void {
  const body = bodyOf(view, new URL(path, 'http://beacon.test'))
  if (body === undefined) response.writeHead(404).end()
  else sendJson(response, body)
}

function bodyOf({ chain, head }: View, { pathname, searchParams }: URL): object | undefined {
  const name = pathname.replace('/eth/v1/beacon/light_client/', '')
  if (name.startsWith('bootstrap/')) {
    const slot = [...Array(Math.floor(head / 8) + 1).keys()]
      .map((index) => index * 8)
      .find((each) => to0x(chain.root(each)) === name.slice('bootstrap/'.length))
    return slot === undefined ? undefined : asAnswer(chain.bootstrap(slot))
  }
  if (name === 'updates') {
    const start = Number(searchParams.get('start_period'))
    return Array.from({ length: Number(searchParams.get('count')) }, (_, index) =>
      // late enough that its finalized block is of the same period
      Math.min(startOfPeriod(chain.network, start + index + 1) - 3, head),
    )
      .filter((slot, index) => slot >= startOfPeriod(chain.network, start + index))
      .map((slot) => asAnswer(chain.update(slot)))
  }
  if (name === 'finality_update') return asAnswer(chain.finalityUpdate(head))
  if (name === 'optimistic_update') return asAnswer(chain.optimisticUpdate(head))
  if (name !== '/eth/v1/config/fork_schedule') return undefined
  return {
    data: chain.network.forks.map(({ version, epoch }) => ({
      previous_version: version,
      current_version: version,
      epoch: String(epoch),
    })),
  }
}
