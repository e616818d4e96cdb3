/** A whole small deployment for KMS tests: a chain with a contract, a machine, a KMS in a CVM, a CVM with an app. */
import { Writable } from 'node:stream'

import { network } from 'hardhat'
import type { Hex } from 'viem'

import { type BootChain, trustSingleEndpoint } from '../../src/chain/boot/ask-contracts.ts'
import type { AttestationRules } from '../../src/kms/authorization/verify-attestation.ts'
import { generateKeys, type KmsSecrets } from '../../src/kms/keys/key-store.ts'
import { type KmsOptions, type RunningKms, startKms } from '../../src/kms/service.ts'
import { createLog } from '../../src/lib/log.ts'
import { fixedCollateral } from '../../src/quote/collateral/collateral-source.ts'
import { checkPolicy } from '../../src/quote/policy.ts'
import type { CvmOptions, SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createImage, type OsImage } from '../../src/tee/simulator/image.ts'
import type { Platform } from '../../src/tee/simulator/platform.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { compile, fakeKmsSource } from '../chain/fakes.ts'

export const at = Date.parse('2026-08-20T12:00:00Z') / 1000
export const compose = '{"manifest_version":2,"name":"demo","runner":"docker-compose"}'
export const kmsCompose = '{"manifest_version":2,"name":"kms","no_instance_id":true}'

export interface KmsDeployment {
  readonly simulator: ReturnType<typeof createSimulator>
  readonly chain: BootChain
  readonly rules: AttestationRules
  readonly keys: KmsSecrets
  /** Every line that the KMS logged. */
  readonly logged: string[]
  readonly setBehaviour: (value: string) => Promise<void>
  readonly setGateway: (value: string) => Promise<void>
  readonly setComposeHash: (value: Uint8Array) => Promise<void>
  readonly host: Platform
  readonly image: OsImage
  readonly boot: (options?: Partial<CvmOptions>, host?: Platform) => SimulatedCvm
  readonly start: (options?: Partial<KmsOptions>) => Promise<RunningKms>
  readonly close: () => Promise<void>
}

export async function createDeployment(): Promise<KmsDeployment> {
  const connection = await network.create()
  const [wallet] = await connection.viem.getWalletClients()
  const client = await connection.viem.getPublicClient()
  const { FakeKms } = compile(fakeKmsSource)
  if (wallet === undefined || FakeKms === undefined) throw new Error('the deployment has no chain')
  const hash = await wallet.deployContract(FakeKms)
  const { contractAddress } = await client.waitForTransactionReceipt({ hash })
  const kms = contractAddress as Hex
  const write = async (functionName: string, value: unknown) => {
    const sent = await wallet.writeContract({
      address: kms,
      abi: FakeKms.abi,
      functionName,
      args: [value],
    })
    await client.waitForTransactionReceipt({ hash: sent })
  }

  const simulator = createSimulator({ at, seed: new Uint8Array(32).fill(3) })
  const host = simulator.createPlatform()
  const image = createImage()
  const rules: AttestationRules = {
    collateral: fixedCollateral(simulator.collateral()),
    root: simulator.rootCertificate,
    accept: (verdict) => checkPolicy(verdict),
    images: () => [],
    clock: () => at,
  }
  const chain: BootChain = {
    client,
    chainId: await client.getChainId(),
    kms,
    finality: { confirmations: 0 },
    maxBlockAgeSeconds: 3600,
    timeoutMs: 20_000,
    clock: () => at,
  }
  const keys = generateKeys()
  const logged: string[] = []
  const destination = new Writable({
    write: (line, _encoding, done) => {
      logged.push(String(line))
      done()
    },
  })
  const running: RunningKms[] = []
  return {
    simulator,
    chain,
    rules,
    keys,
    logged,
    setBehaviour: (value) => write('setBehaviour', value),
    setGateway: (value) => write('setGateway', value),
    setComposeHash: (value) =>
      write('setAllowedComposeHash', `0x${Buffer.from(value).toString('hex')}`),
    host,
    image,
    boot: (options = {}, on = host) => on.createCvm({ image, compose, ...options }),
    start: async (options = {}) => {
      const own = host.createCvm({ image, compose: kmsCompose })
      own.advance('ready', { keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) } })
      const started = await startKms({
        keys,
        domain: 'localhost',
        chain: trustSingleEndpoint(chain),
        rules,
        source: own.source,
        selfAuthorization: 'required',
        insecureAllowAnyGateway: false,
        releaseLog: 'insecure-off',
        log: createLog({ service: 'kms', level: 'trace', destination }),
        limits: { requestsPerMinute: 100_000, requestsInFlight: 100, connections: 100 },
        host: 'localhost',
        port: 0,
        ...options,
      })
      running.push(started)
      return started
    },
    close: async () => {
      await Promise.all(running.map((one) => one.stop()))
      await connection.close()
    },
  }
}
