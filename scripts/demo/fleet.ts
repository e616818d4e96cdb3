/** The demo's hosts: a host with a KMS in a simulated CVM, and one that boots apps. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { BootAuthorizer } from '../../src/chain/boot/boot.ts'
import type { KmsInfo } from '../../src/chain/registries/registry.ts'
import type { SimulatedHost } from '../../src/commands/simulate/host-folder.ts'
import {
  type AttestationRules,
  verifyAttestation,
  verifyBoot,
} from '../../src/kms/authorization/verify-attestation.ts'
import { attest } from '../../src/kms/certificates/ratls.ts'
import { type FetchedAppKeys, fetchAppKeys } from '../../src/kms/client.ts'
import { encodeSpki, k256PublicKey } from '../../src/kms/keys/derive.ts'
import { loadOrBootstrap, openKeyStore } from '../../src/kms/keys/key-store.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { createReleaseLog } from '../../src/kms/log/log.ts'
import { openNodeLog } from '../../src/kms/log/node-log.ts'
import { type RunningKms, startKms } from '../../src/kms/service.ts'
import { to0x, utf8ToBytes } from '../../src/lib/bytes.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { type Collateral, parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { fixedCollateral } from '../../src/quote/collateral/collateral-source.ts'
import { type BootInfo, bootstrapReportData } from '../../src/quote/measurements/measure.ts'
import { checkPolicy } from '../../src/quote/policy.ts'
import { createCollateralCache } from '../../src/quote/verify-cache.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createImage, type OsImage } from '../../src/tee/simulator/image.ts'
import type { Platform } from '../../src/tee/simulator/platform.ts'
import type { QuoteSource } from '../../src/tee/source.ts'

export interface Fleet {
  /** What Intel would publish about these hosts. */
  readonly collateral: Collateral
  /** The base image of apps; the KMS has one of its own. */
  readonly appImage: OsImage
  /** Its next version. */
  readonly fixedImage: OsImage
  /** Runs the KMS and the app. */
  readonly host: Platform
  /** Another host, which nobody approved. */
  readonly stranger: Platform
  /** What the DAO has to approve before this KMS may serve. */
  readonly kmsBoot: BootInfo
  /** Public root keys with the quote of their making, for the registry. */
  readonly kmsInfo: KmsInfo
  readonly kms: RunningKms
  /** Boots `compose` as app `appId`: on the host with `appImage`, unless others are named. */
  boot(compose: string, appId: Uint8Array, others?: BootedOn): SimulatedCvm
  /** Asks the KMS for the CVM's keys, over a connection of its own. */
  fetchKeys(cvm: SimulatedCvm): Promise<FetchedAppKeys>
  /** The same with whatever quotes the caller has. */
  presentQuote(source: QuoteSource, vmConfig: string): Promise<FetchedAppKeys>
  stop(): Promise<void>
}

/** A host and a base image. */
export interface BootedOn {
  readonly platform?: Platform
  readonly image?: OsImage
}

export interface FleetOptions {
  /** The host, with the base image that replaces the suspended one. */
  readonly simulatedHost: SimulatedHost
  readonly chain: BootAuthorizer
  readonly clock: Clock
}

const kmsCompose = '{"manifest_version":2,"name":"assent-kms","no_instance_id":true}'
const localProvider = { name: 'local-sgx', id: new Uint8Array(32).fill(1) } as const

/** Starts a KMS that has made its root keys and waits for the DAO to approve it. */
export async function startFleet({ simulatedHost, chain, clock }: FleetOptions): Promise<Fleet> {
  const { simulator, host, image: fixedImage } = simulatedHost
  const appImage = createImage({ name: 'assent-sim-app-1.0.0' })
  const kmsImage = createImage({ name: 'assent-sim-kms-1.0.0' })
  const collateral = parseCollateral(simulator.collateral())
  const rules: AttestationRules = {
    collateral: fixedCollateral(collateral),
    root: simulator.rootCertificate,
    accept: (verdict) => checkPolicy(verdict),
    cache: createCollateralCache(),
    images: () => [],
    clock,
  }
  const node = host.createCvm({ image: kmsImage, compose: kmsCompose })
  node.advance('ready', { keyProvider: localProvider })

  // plain keys: this KMS lives as long as the demo does
  const folder = await mkdtemp(join(tmpdir(), 'assent-kms-'))
  const { keys } = await loadOrBootstrap(openKeyStore(folder, { kind: 'insecure-plain' }))
  const caPublicKey = encodeSpki(keys.ca)
  const rootPublicKey = k256PublicKey(keys.k256)
  const bootstrapAttestation = await node.source.attest(
    bootstrapReportData(caPublicKey, rootPublicKey),
  )
  const proven = await verifyAttestation(await attest(node.source, new Uint8Array(64)), rules)

  // auditors read and copy it: docs/guides/auditor.md
  const log = createLog({ service: 'kms', level: 'silent' })
  const location = {
    folder: join(folder, 'log'),
    headFile: join(folder, 'log-head.bin'),
    key: deriveLogKey(keys.k256, 'demo-kms'),
    clock,
  }
  await createReleaseLog(location)
  const releaseLog = await openNodeLog({ location, witnesses: 'insecure-none', logger: log })
  const kms = await startKms({
    keys,
    domain: 'localhost',
    chain,
    rules,
    source: node.source,
    selfAuthorization: 'required',
    insecureAllowAnyGateway: false,
    releaseLog,
    logEntries: 'public',
    log,
    limits: { requestsPerMinute: 10_000, requestsInFlight: 64, connections: 256 },
    host: 'localhost',
    port: 0,
  })
  const client = { url: kms.url, caPublicKey, clock }
  return {
    collateral,
    appImage,
    fixedImage,
    host,
    kmsBoot: verifyBoot(proven, '', 'full', rules).bootInfo,
    kmsInfo: {
      k256Pubkey: to0x(rootPublicKey),
      caPubkey: to0x(caPublicKey),
      quote: to0x(bootstrapAttestation.quote),
      eventlog: to0x(utf8ToBytes(bootstrapAttestation.eventLog)),
    },
    kms,
    stranger: simulator.createPlatform({ name: 'stranger' }),
    boot: (compose, appId, { platform = host, image = appImage } = {}) =>
      platform.createCvm({ image, compose, appId }),
    fetchKeys: (cvm) => fetchAppKeys(client, cvm.source, cvm.vmConfig),
    presentQuote: (source, vmConfig) => fetchAppKeys(client, source, vmConfig),
    async stop() {
      await kms.stop()
      await releaseLog.close()
      await rm(folder, { recursive: true })
    },
  }
}
