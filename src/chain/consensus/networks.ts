/**
 * Public networks, as data. Update it when a fork is scheduled: nothing else changes for a fork that keeps the form
 * of the messages.
 *
 * Sources: `ethereum/consensus-specs` (`configs/mainnet.yaml`, `presets`), `eth-clients/sepolia`, `eth-clients/hoodi`,
 * `gnosischain/configs` (`metadata/config.yaml`, `mainnet/config.yaml`).
 *
 * `weakSubjectivityEpochs` follows `compute_weak_subjectivity_period` of Electra. It depends on the total stake, which
 * a light client does not know: the values are for the stake in the comment next to them.
 */
import type { Network } from './network.ts'

/** Preset `mainnet` of the consensus specifications. */
const mainnetPreset = {
  slotsPerEpoch: 32,
  epochsPerPeriod: 256,
  committeeSize: 512,
  secondsPerSlot: 12,
} as const

/** Ethereum mainnet: `configs/mainnet.yaml` of the consensus specifications. */
export const mainnet: Network = {
  ...mainnetPreset,
  name: 'mainnet',
  chainId: 1,
  genesisTime: 1_606_824_023,
  genesisValidatorsRoot: '0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95',
  genesisForkVersion: '0x00000000',
  forks: [
    { name: 'altair', version: '0x01000000', epoch: 74_240 },
    { name: 'bellatrix', version: '0x02000000', epoch: 144_896 },
    { name: 'capella', version: '0x03000000', epoch: 194_048 },
    { name: 'deneb', version: '0x04000000', epoch: 269_568 },
    { name: 'electra', version: '0x05000000', epoch: 364_032 },
    { name: 'fulu', version: '0x06000000', epoch: 411_392 },
  ],
  blobSchedule: [
    { epoch: 412_672, maxBlobs: 15 },
    { epoch: 419_072, maxBlobs: 21 },
  ],
  maxBlobsElectra: 9,
  // 8 million ETH and more, before Gloas: 15.7 days
  weakSubjectivityEpochs: 3_532,
}

/** Ethereum's Sepolia testnet. */
export const sepolia: Network = {
  ...mainnetPreset,
  name: 'sepolia',
  chainId: 11_155_111,
  genesisTime: 1_655_733_600,
  genesisValidatorsRoot: '0xd8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078',
  genesisForkVersion: '0x90000069',
  forks: [
    { name: 'altair', version: '0x90000070', epoch: 50 },
    { name: 'bellatrix', version: '0x90000071', epoch: 100 },
    { name: 'capella', version: '0x90000072', epoch: 56_832 },
    { name: 'deneb', version: '0x90000073', epoch: 132_608 },
    { name: 'electra', version: '0x90000074', epoch: 222_464 },
    { name: 'fulu', version: '0x90000075', epoch: 272_640 },
    { name: 'gloas', version: '0x90000076', epoch: 353_024 },
  ],
  blobSchedule: [
    { epoch: 274_176, maxBlobs: 15 },
    { epoch: 275_712, maxBlobs: 21 },
  ],
  maxBlobsElectra: 9,
  // the validators are a closed group that is known by name, so the formula does not apply: 15.7 days
  weakSubjectivityEpochs: 3_532,
}

/** Ethereum's Hoodi testnet. */
export const hoodi: Network = {
  ...mainnetPreset,
  name: 'hoodi',
  chainId: 560_048,
  genesisTime: 1_742_213_400,
  genesisValidatorsRoot: '0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f',
  genesisForkVersion: '0x10000910',
  forks: [
    { name: 'altair', version: '0x20000910', epoch: 0 },
    { name: 'bellatrix', version: '0x30000910', epoch: 0 },
    { name: 'capella', version: '0x40000910', epoch: 0 },
    { name: 'deneb', version: '0x50000910', epoch: 0 },
    { name: 'electra', version: '0x60000910', epoch: 2_048 },
    { name: 'fulu', version: '0x70000910', epoch: 50_688 },
  ],
  blobSchedule: [
    { epoch: 52_480, maxBlobs: 15 },
    { epoch: 54_016, maxBlobs: 21 },
  ],
  maxBlobsElectra: 9,
  // 8 million ETH and more, before Gloas: 15.7 days
  weakSubjectivityEpochs: 3_532,
}

/** Gnosis Chain, which has its own preset: shorter slots and smaller epochs. */
export const gnosis: Network = {
  name: 'gnosis',
  chainId: 100,
  slotsPerEpoch: 16,
  epochsPerPeriod: 512,
  committeeSize: 512,
  secondsPerSlot: 5,
  genesisTime: 1_638_993_340,
  genesisValidatorsRoot: '0xf5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47',
  genesisForkVersion: '0x00000064',
  forks: [
    { name: 'altair', version: '0x01000064', epoch: 512 },
    { name: 'bellatrix', version: '0x02000064', epoch: 385_536 },
    { name: 'capella', version: '0x03000064', epoch: 648_704 },
    { name: 'deneb', version: '0x04000064', epoch: 889_856 },
    { name: 'electra', version: '0x05000064', epoch: 1_337_856 },
    { name: 'fulu', version: '0x06000064', epoch: 1_714_688 },
  ],
  blobSchedule: [],
  maxBlobsElectra: 2,
  // the churn quotient of 4,096 makes it short: 10.2 hours
  weakSubjectivityEpochs: 460,
}

/** Public networks by the name in the settings. */
export const publicNetworks = { mainnet, sepolia, hoodi, gnosis } as const
