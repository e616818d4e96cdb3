/** The group `image`: base images and their measurement sets. */
import { teeVariants } from '../chain/tee-variants.ts'
import { defineCommand } from './command.ts'
import { ownerOptions, ownerSends, pageOptions, timeOptions } from './options.ts'

const images = {
  description: 'images: os_image_hash, its first digits, or the name',
  isVariadic: true,
} as const

const oneImage = { description: 'the image: os_image_hash, its first digits, or its name' }

export const list = defineCommand({
  path: ['image', 'list'],
  summary: 'List base images: name, approval, and whether they are closed',
  examples: ['image list', 'image list --json'],
  options: pageOptions,
  reads: 'the images of KmsAuth, and the image registry',
  load: () => import('./image/list.ts'),
})

export const status = defineCommand({
  path: ['image', 'status'],
  summary: 'Show a base image: approval, name, and its measurement sets',
  examples: ['image status dstack-0.6.0', 'image status a1a1a1'],
  arguments: { image: oneImage },
  reads: 'KmsAuth and the image registry',
  load: () => import('./image/status.ts'),
})

export const approve = defineCommand({
  path: ['image', 'approve'],
  summary: 'Approve a base image with its name and measurement sets, in one proposal',
  help: `From the folder of an unpacked image, the hash is the SHA-256 of its sha256sum.txt, which is published with the evidence. A measurement set is given as registers, or taken from a quote of a CVM with this image and machine shape.`,
  examples: [
    'image approve ./dstack-0.6.0 --name dstack-0.6.0 --evidence evidence.json --draft kms-draft.json',
    'image approve a1a1…a1 --like quote.json --close --evidence evidence.json',
  ],
  arguments: {
    image: { description: 'os_image_hash, or the folder of the image with sha256sum.txt' },
  },
  options: {
    ...ownerOptions,
    name: { value: 'NAME', description: 'name of the image on the chain' },
    registers: {
      value: 'HEX',
      description:
        'measurement set; for TDX: MRTD, RTMR0, RTMR1, RTMR2, joined. Several are separated by commas',
    },
    like: {
      value: 'FILE',
      description: 'quote of a CVM with this image, whose registers are a measurement set',
    },
    variant: {
      value: 'NAME',
      description: 'TEE variant of the registers',
      choices: teeVariants,
      default: 'tdx',
    },
    close: { description: 'close the image: it boots only with an approved measurement set' },
    evidence: {
      value: 'FILE',
      description: 'evidence document (JSON: source.repository, source.commit, recipe)',
    },
    ...timeOptions,
  },
  reads: 'the files, and the owners of KmsAuth and of the image registry',
  sends: ownerSends,
  load: () => import('./image/approve.ts'),
})

export const measurements = defineCommand({
  path: ['image', 'approve-measurements'],
  summary: 'Approve a measurement set of a base image',
  examples: ['image approve-measurements a1a1a1 tdx 0x… --evidence evidence.json'],
  arguments: {
    image: oneImage,
    variant: { description: 'TEE variant', choices: teeVariants },
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

export const imageCommands = [approve, list, status, measurements, setName, close, open]
