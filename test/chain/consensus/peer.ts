/** `@lodestar/light-client` as a second reader: maintained by others, with another library for signatures. */
import type { Network } from '../../../src/chain/consensus/network.ts'
import { fromHex } from '../../../src/lib/bytes.ts'

// read when the module is first loaded
process.env.LODESTAR_PRESET = 'minimal'

// its native library is of a version that cannot be installed any more, so the one in WebAssembly takes its place
const { default: bls } = await import('@chainsafe/bls')
const { getImplementation } = await import('@chainsafe/bls/getImplementation')
Object.assign(bls, await getImplementation('herumi'))

const { computeForkDigest, createBeaconConfig, createChainForkConfig, defaultChainConfig } =
  await import('@lodestar/config')
export const { genesisData, networksChainConfig } = await import('@lodestar/config/networks')
export { computeForkDigest }
export const { ssz } = await import('@lodestar/types')
export const { LightclientSpec } = await import('@lodestar/light-client/spec')

export function peerConfig(network: Network) {
  const forks = Object.fromEntries(
    network.forks.flatMap(({ name, version, epoch }) => [
      [`${name.toUpperCase()}_FORK_EPOCH`, epoch],
      [`${name.toUpperCase()}_FORK_VERSION`, fromHex(version, 'version', 4)],
    ]),
  )
  const config = createChainForkConfig({
    ...defaultChainConfig,
    ...forks,
    GENESIS_FORK_VERSION: fromHex(network.genesisForkVersion, 'version', 4),
    MAX_BLOBS_PER_BLOCK_ELECTRA: network.maxBlobsElectra,
    BLOB_SCHEDULE: network.blobSchedule.map(({ epoch, maxBlobs }) => ({
      EPOCH: epoch,
      MAX_BLOBS_PER_BLOCK: maxBlobs,
    })),
  })
  return createBeaconConfig(config, fromHex(network.genesisValidatorsRoot, 'root', 32))
}
