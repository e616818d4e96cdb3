/** The same simulated machines on both sides: everything follows from a seed. */
import { sha256 } from '@noble/hashes/sha2.js'

import type { KmsKeys } from '../../src/kms/keys.ts'
import { utf8ToBytes } from '../../src/lib/bytes.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'

const apps = 64
const at = Math.floor(Date.now() / 86_400_000) * 86_400

export function benchKeys(): KmsKeys {
  const key = (name: string) => sha256(utf8ToBytes(`assent bench ${name}`))
  return { ca: key('ca'), k256: key('k256'), tempCa: key('temp ca') }
}

export function createFleet() {
  const simulator = createSimulator({ at, seed: new Uint8Array(32).fill(3) })
  const host = simulator.createPlatform()
  const image = createImage()
  const own = host.createCvm({ image, compose: '{"name":"kms","no_instance_id":true}' })
  own.advance('ready', { keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) } })
  return {
    simulator,
    own,
    root: simulator.rootCertificate,
    collateral: simulator.collateral(),
    /** One instance of each of many apps. */
    boot: (): SimulatedCvm[] =>
      Array.from({ length: apps }, (_, index) =>
        host.createCvm({
          image,
          compose: `{"manifest_version":2,"name":"app-${index}"}`,
          appId: sha256(utf8ToBytes(`app ${index}`)).slice(0, 20),
        }),
      ),
  }
}
