/** A KMS in a simulated CVM and machines to boot apps on, over any chain that is handed in. */
import type { BootAuthorizer } from '../../src/chain/boot/boot.ts'
import type { AttestationRules } from '../../src/kms/authorization/verify-attestation.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import { startKms } from '../../src/kms/service.ts'
import { fromHex, type Hex } from '../../src/lib/bytes.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { fixedCollateral } from '../../src/quote/collateral/collateral-source.ts'
import { checkPolicy } from '../../src/quote/policy.ts'
import { createCollateralCache } from '../../src/quote/verify-cache.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import type { Platform } from '../../src/tee/simulator/platform.ts'
import type { Simulator } from '../../src/tee/simulator/simulator.ts'
import type { Registries } from '../chain/registries.ts'

const compose = '{"manifest_version":2,"name":"demo","runner":"docker-compose"}'
const kmsCompose = '{"manifest_version":2,"name":"kms","no_instance_id":true}'

export async function startNode({
  simulator,
  clock,
  view,
  chain,
  images = () => [],
  selfAuthorization = 'required',
}: {
  readonly simulator: Simulator
  readonly clock: Clock
  /** The authorizer that answers for the chain; tests replace it. */
  readonly view: () => BootAuthorizer
  readonly chain: Registries
  readonly images?: AttestationRules['images']
  readonly selfAuthorization?: 'required' | 'insecure-off'
}) {
  const host = simulator.createPlatform({ name: 'host' })
  const image = createImage()
  const own = host.createCvm({ image, compose: kmsCompose })
  own.advance('ready', { keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) } })
  const rules: AttestationRules = {
    collateral: fixedCollateral(simulator.collateral()),
    root: simulator.rootCertificate,
    accept: (verdict) => checkPolicy(verdict),
    cache: createCollateralCache(),
    images,
    clock,
  }
  const keys = generateKeys()
  const kms = await startKms({
    keys,
    domain: 'localhost',
    chain: {
      chainId: 31337,
      kms: chain.kmsAuth,
      authorize: (...asked) => view().authorize(...asked),
      facts: () => view().facts(),
      newestEpoch: async (appId, beforeRequest) => view().newestEpoch?.(appId, beforeRequest),
    },
    rules,
    source: own.source,
    selfAuthorization,
    insecureAllowAnyGateway: false,
    releaseLog: 'insecure-off',
    log: createLog({ service: 'kms', level: 'silent' }),
    limits: { requestsPerMinute: 1_000_000, requestsInFlight: 100, connections: 100 },
    host: 'localhost',
    port: 0,
  })
  return {
    kms,
    keys,
    own,
    rules,
    host,
    stranger: simulator.createPlatform({ name: 'stranger' }),
    image,
    boot: (app: Hex, machine: Platform) =>
      machine.createCvm({ image, compose, appId: fromHex(app, 'app', 20) }),
    stop: () => kms.stop(),
  }
}
