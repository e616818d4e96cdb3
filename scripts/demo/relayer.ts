/** The demo's relayer, and what a host operator does with it: quote, sign a permit, post. */
import { createHash, randomBytes } from 'node:crypto'

import type { Address } from 'viem'

import type { Clients } from '../../src/chain/call.ts'
import {
  bindToNewestBlock,
  hostReportData,
  signHostPermit,
} from '../../src/chain/registries/hosts.ts'
import { to0x } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import type { Collateral } from '../../src/quote/collateral/collateral.ts'
import { openDatabase } from '../../src/relayer/database/database.ts'
import { createSubmissionVerifier } from '../../src/relayer/intake/verify-quote.ts'
import { createHostTarget } from '../../src/relayer/outbox/intent-targets.ts'
import { startRelayer } from '../../src/relayer/service.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import type { DevChain } from './chain.ts'

export interface DemoRelayer {
  readonly url: string
  /** Lets the machine of `cvm` prove itself through the relayer; resolves when the chain says so. */
  proveHost(operator: Clients, cvm: SimulatedCvm): Promise<RelayedQuote>
  stop(): Promise<void>
}

export interface RelayedQuote {
  readonly id: string
  readonly state: string
  readonly transaction: `0x${string}` | null
}

export interface DemoRelayerOptions {
  readonly chain: DevChain
  readonly hosts: Address
  readonly collateral: Collateral
  readonly root: Uint8Array
  /** Index of the development account that pays. */
  readonly account: number
}

const hour = 3_600
const timeoutMs = 30_000

export async function startDemoRelayer(options: DemoRelayerOptions): Promise<DemoRelayer> {
  const { chain, hosts, collateral, root } = options
  const token = randomBytes(32).toString('base64url')
  const database = await openDatabase({ memory: true })
  const privateKey = chain.wallet(options.account).account.getHdKey().privateKey
  if (privateKey === null) throw new TypeError('A development account without a key.')
  const relayer = await startRelayer({
    chainId: chain.chain.id,
    clients: [chain.client],
    targets: { host: createHostTarget(hosts) },
    signer: createLocalSigner(to0x(privateKey)),
    db: database.db,
    verifySubmission: createSubmissionVerifier({
      collateral: async () => collateral,
      clock: chain.clock,
      root,
    }),
    operators: [{ name: 'demo', tokenSha256: createHash('sha256').update(token).digest('hex') }],
    clock: chain.clock,
    log: createLog({ service: 'relayer', level: 'silent' }),
    // a development chain has no reorgs to wait for
    finality: { depth: 0 },
    pollMs: 100,
  })
  const request = async (path: string, body?: object): Promise<RelayedQuote> => {
    const response = await fetch(`${relayer.url}${path}`, {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
    if (response.ok) return (await response.json()) as RelayedQuote
    throw new Error(`${response.status} ${await response.text()}`)
  }
  return {
    url: relayer.url,
    async proveHost(operator, cvm) {
      const { account } = operator.walletClient
      const binding = await bindToNewestBlock(operator.publicClient, hosts, account.address)
      // a block's hash is known to contracts from the next block on
      await chain.advanceTime(1)
      const quote = cvm.quote(hostReportData(binding))
      const deadline = chain.clock() + hour
      const { signature } = await signHostPermit(operator.walletClient, binding, quote, deadline)
      const { id } = await request('/v1/quotes', {
        purpose: 'host',
        quote: to0x(quote),
        eventLog: cvm.eventLog('full'),
        permit: {
          operator: account.address,
          blockNumber: Number(binding.block.number),
          deadline,
          signature,
        },
      })
      return waitUntilFinal(() => request(`/v1/quotes/${id}`))
    },
    async stop() {
      await relayer.stop()
      await database.close()
    },
  }
}

async function waitUntilFinal(ask: () => Promise<RelayedQuote>): Promise<RelayedQuote> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const status = await ask()
    if (status.state === 'final' || status.state === 'abandoned') return status
    if (performance.now() > deadline) throw new Error(`still ${status.state} after ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
