/** Opens the port of the dashboard on the loopback interface. */
import { createServer } from 'node:http'

import { getRequestListener } from '@hono/node-server'

import { openIngress } from '../lib/ingress/ingress.ts'
import { openLimits } from '../lib/ingress/settings.ts'
import { createDashboard, type DashboardOptions, maxQuestionBytes } from './app.ts'

/** A dashboard that listens. */
export interface RunningDashboard {
  /** `http://127.0.0.1:port/` */
  readonly url: string
  stop(): Promise<void>
}

const stopAfterMs = 1_000

/** @throws ADDRESS_IN_USE, ADDRESS_UNUSABLE */
export async function serveDashboard({
  port,
  ...options
}: Omit<DashboardOptions, 'host'> & { readonly port: number }): Promise<RunningDashboard> {
  let host = ''
  const app = createDashboard({ ...options, host: () => host })
  // every client is this computer, so it gets half of each total
  const limits = { connections: 128, requestsInFlight: 64, sharedAddresses: ['127.0.0.1'] }
  const ingress = openIngress(createServer(), getRequestListener(app.fetch), {
    limits: openLimits(limits),
    proxied: 'x-forwarded-for',
    maxBodyBytes: ({ method }) => (method === 'POST' ? maxQuestionBytes : 0),
    explain: (refusal) => ({
      status: refusal === 'too-large' ? 413 : refusal === 'target' ? 400 : 429,
      headers: { 'content-type': 'text/plain' },
      body: refusal,
    }),
  })
  host = await ingress.listen({ host: '127.0.0.1', port })
  return { url: `http://${host}/`, stop: () => ingress.stop(stopAfterMs) }
}
