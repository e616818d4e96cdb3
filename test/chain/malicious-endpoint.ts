/** An HTTP endpoint in front of a real node that lies about chosen answers, and counts how often it did. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Asks the real node. */
export type Real = (method: string, params: readonly unknown[]) => Promise<unknown>

/** The result to send instead; a function writes the raw answer. `undefined`: the true result is sent. */
export type Told = unknown | ((response: ServerResponse) => void)

export type Lie = (method: string, params: readonly unknown[], real: Real) => Promise<Told> | Told

export interface Liar {
  readonly url: string
  /** Answers that were not the truth. */
  liesSent: number
  lie: Lie | undefined
  stop(): Promise<void>
}

/** @param known answers of a chain that changes no more, by what was asked */
export async function startLiar(
  target: string,
  known: () => Map<string, Promise<unknown>> | undefined = () => undefined,
): Promise<Liar> {
  const real: Real = (method, params) => {
    const asked = JSON.stringify([method, params])
    const answer = known()?.get(asked) ?? askNode(method, params)
    known()?.set(asked, answer)
    answer.catch(() => known()?.delete(asked))
    return answer.then((result) => structuredClone(result))
  }
  const askNode: Real = async (method, params) => {
    const response = await fetch(target, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    })
    const { result, error } = (await response.json()) as { result?: unknown; error?: unknown }
    if (error !== undefined) throw new Error(JSON.stringify(error))
    return result
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString())
      const send = (answer: object) =>
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
      try {
        const lie = await liar.lie?.(method, params, real)
        if (lie !== undefined) liar.liesSent++
        if (typeof lie === 'function') return lie(response)
        send({ result: lie === undefined ? await real(method, params) : lie })
      } catch (error) {
        send({ error: { code: -32000, message: String(error) } })
      }
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const liar: Liar = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    liesSent: 0,
    lie: undefined,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
  return liar
}
