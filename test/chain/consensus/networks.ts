/** Networks for tests: the minimal preset with all forks close together, and one of the size of public networks. */
import { forkNames, type Network } from '../../../src/chain/consensus/network.ts'

/** 64 slots a period, 32 members. The forks begin in the middle of periods and epochs. */
export const smallNetwork: Network = {
  name: 'small',
  chainId: 31_337,
  slotsPerEpoch: 8,
  epochsPerPeriod: 8,
  committeeSize: 32,
  secondsPerSlot: 6,
  genesisTime: 1_700_000_000,
  genesisValidatorsRoot: `0x${'5a'.repeat(32)}`,
  genesisForkVersion: '0x00000001',
  forks: forkNames.map((name, index) => ({
    name,
    version: `0x0${index + 1}000001` as const,
    epoch: index === 0 ? 0 : index * 6,
  })),
  blobSchedule: [{ epoch: 33, maxBlobs: 15 }],
  maxBlobsElectra: 9,
  weakSubjectivityEpochs: 100,
}

/** 512 members, as on public networks, of which Electra and Fulu are in force from the genesis. */
export const largeNetwork: Network = {
  ...smallNetwork,
  name: 'large',
  slotsPerEpoch: 32,
  epochsPerPeriod: 256,
  committeeSize: 512,
  secondsPerSlot: 12,
  forks: smallNetwork.forks.slice(0, 6).map((fork) => ({ ...fork, epoch: 0 })),
  blobSchedule: [],
  weakSubjectivityEpochs: 100_000,
}
