/** The KMS that is measured, in a process of its own. Speaks with its parent by messages. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'

import { fixedCollateral } from '../../src/kms/collateral.ts'
import type { EvidenceRules } from '../../src/kms/evidence.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { createReleaseLog } from '../../src/kms/log/log.ts'
import { openNodeLog } from '../../src/kms/log/node-log.ts'
import { startKms } from '../../src/kms/service.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { createCollateralCache } from '../../src/quote/cache.ts'
import { checkPolicy } from '../../src/quote/policy.ts'
import { createWarmAuthority } from './authority.ts'
import { benchKeys, createFleet } from './fleet.ts'

const folder = await mkdtemp(join(tmpdir(), 'assent-bench-'))
const fleet = createFleet()
const keys = benchKeys()
const rules: EvidenceRules = {
  collateral: fixedCollateral(fleet.collateral),
  root: fleet.root,
  accept: (verdict) => checkPolicy(verdict),
  cache: createCollateralCache(),
  images: () => [],
  clock: systemClock,
}
const place = {
  folder: join(folder, 'log'),
  headFile: join(folder, 'log-head.bin'),
  key: deriveLogKey(keys.k256, 'bench'),
  clock: systemClock,
}
const log = createLog({
  service: 'kms',
  level: 'info',
  destination: pino.destination({ dest: '/dev/null', sync: false }),
})
await createReleaseLog(place)
const releaseLog = await openNodeLog({ place, witnesses: 'insecure-none', logger: log })
const kms = await startKms({
  keys,
  domain: 'localhost',
  chain: await createWarmAuthority(),
  rules,
  source: fleet.own.source,
  selfAuthorization: 'required',
  insecureAllowAnyGateway: false,
  releaseLog,
  log,
  limits: { requestsPerMinute: 10_000_000, requestsInFlight: 1024, connections: 2048 },
  host: '127.0.0.1',
  port: 0,
})

process.on('message', async (message) => {
  if (message === 'usage') {
    globalThis.gc?.()
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuMs: (user + system) / 1000, rss: process.memoryUsage().rss })
  }
  if (message === 'stop') {
    await kms.stop()
    await releaseLog.close()
    await rm(folder, { recursive: true })
    process.exit(0)
  }
})
process.send?.({ port: Number(new URL(kms.url).port) })
