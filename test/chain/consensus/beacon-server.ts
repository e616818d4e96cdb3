/** Beacon APIs for tests: real HTTP servers, honest or lying. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import {
  type BeaconEndpoint,
  connectBeaconEndpoint,
} from '../../../src/chain/consensus/beacon-endpoint.ts'
import { answerBeacon, type BeaconView } from '../../../src/chain/consensus/simulator/beacon-api.ts'

export type Behaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  honest: () => void,
) => void

export interface BeaconServer {
  readonly url: string
  readonly endpoint: BeaconEndpoint
  readonly view: BeaconView
  readonly requests: string[]
  close(): Promise<void>
}

/** @param behave does something else than the honest answer */
export async function serveBeacon(
  view: BeaconView,
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

function answer(view: BeaconView, path: string, response: ServerResponse): void {
  const body = answerBeacon(view, new URL(path, 'http://beacon.test'))
  if (body === undefined) response.writeHead(404).end()
  else sendJson(response, body)
}
