/** The group `image`: base images and their measurement sets. */
import { defineCommand } from './command.ts'
import { ownerOptions, ownerSends, timeOptions } from './options.ts'

const images = {
  description: 'images: os_image_hash, its first digits, or the name',
  isVariadic: true,
} as const

export const measurements = defineCommand({
  path: ['image', 'approve-measurements'],
  summary: 'Approve a measurement set of a base image',
  examples: ['image approve-measurements a1a1a1 tdx 0x… --evidence evidence.json'],
  arguments: {
    image: { description: 'the image: os_image_hash, its first digits, or its name' },
    variant: {
      description: 'TEE variant',
      choices: ['tdx', 'gcp-tdx', 'nitro-enclave', 'amd-sev-snp', 'aws-nitro-tpm'],
    },
    registers: { description: 'measurement set in hex; for TDX: MRTD, RTMR0, RTMR1, RTMR2' },
  },
  options: {
    ...ownerOptions,
    evidence: {
      value: 'FILE',
      description: 'evidence document (JSON: source.repository, source.commit, recipe)',
    },
    ...timeOptions,
  },
  reads: 'the owner of the image registry',
  sends: ownerSends,
  load: () => import('./image/approve-measurements.ts'),
})

export const setName = defineCommand({
  path: ['image', 'set-name'],
  summary: 'Set the name of a base image',
  examples: ['image set-name a1a1a1 dstack-0.6.0'],
  arguments: {
    image: { description: 'the image: os_image_hash or its first digits' },
    name: { description: 'name of the image' },
  },
  options: ownerOptions,
  reads: 'the owner of the image registry',
  sends: ownerSends,
  load: () => import('./image/set-name.ts'),
})

export const close = defineCommand({
  path: ['image', 'close'],
  summary: 'Close base images: they boot only with an approved measurement set',
  examples: ['image close dstack-0.6.0'],
  arguments: { images },
  options: ownerOptions,
  reads: 'the owner of the image registry',
  sends: ownerSends,
  load: () => import('./image/close.ts'),
})

export const open = defineCommand({
  path: ['image', 'open'],
  summary: 'Open closed base images again',
  examples: ['image open dstack-0.6.0'],
  arguments: { images },
  options: ownerOptions,
  reads: 'the owner of the image registry',
  sends: ownerSends,
  load: () => import('./image/open.ts'),
})

export const imageCommands = [measurements, setName, close, open]
