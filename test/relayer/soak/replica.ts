/** One replica of a soak, as a process that can be killed; its settings are one JSON argument. */
import { createPublicClient, http } from 'viem'

import type { Hex } from '../../../src/lib/bytes.ts'
import { createLog } from '../../../src/lib/log.ts'
import { openDatabase } from '../../../src/relayer/database/database.ts'
import { startRelayer } from '../../../src/relayer/service.ts'
import { createLocalSigner } from '../../../src/relayer/signer/signer.ts'
import { anvilKeys } from '../../anvil.ts'
import { createBoardTarget } from '../counter-contract.ts'

export interface ReplicaSettings {
  readonly databaseUrl: string
  readonly rpcUrl: string
  readonly board: Hex
  readonly port: number
  readonly tokenSha256: string
}

const settings = JSON.parse(process.argv[2] ?? '') as ReplicaSettings
const clock = () => Math.floor(Date.now() / 1000)
const { db } = await openDatabase({ url: settings.databaseUrl })
await startRelayer({
  chainId: 31_337,
  clients: [
    createPublicClient({
      transport: http(settings.rpcUrl, { batch: true, retryCount: 0 }),
      cacheTime: 0,
    }),
  ],
  targets: { host: createBoardTarget(settings.board) },
  signer: createLocalSigner(anvilKeys[0]),
  db,
  // The soak test is for the chain's side; verification has tests of its own.
  verifySubmission: async ({ quote }) => ({
    ok: true,
    signedBytes: quote,
    deviceId: new Uint8Array(32),
    expiresAt: clock() + 86_400,
    facts: {},
  }),
  operators: [{ name: 'soak', tokenSha256: settings.tokenSha256 }],
  rateLimit: { perMinute: 1_000_000, burst: 1_000_000 },
  clock,
  log: createLog({ service: 'soak', level: 'fatal' }),
  finality: { depth: 2 },
  rules: { maxInFlight: 64 },
  pollMs: 100,
  leaseSeconds: 3,
  port: settings.port,
})
process.send?.('ready')
