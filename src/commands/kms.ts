/** The group `kms`: the commands of a node, and those of its operator. */
import { aliasOf, defineCommand } from './command.ts'
import { kmsNodeCommands } from './kms-node.ts'
import { rootKey, verify } from './log.ts'
import { ownerOptions, ownerSends } from './options.ts'

export const predict = defineCommand({
  path: ['kms', 'predict'],
  summary: 'Predict the measurements of a KMS node before its first boot',
  examples: [
    'kms predict app-compose.json --like quote.bin --key-provider local-sgx --key-provider-id 8c31…',
    'kms predict app-compose.json --image ./image --memory 2147483648 --qemu 9.2.1 --acpi acpi.json --key-provider none',
  ],
  arguments: { file: { description: 'app-compose.json as it will be deployed, byte for byte' } },
  options: {
    like: {
      value: 'FILE',
      description: 'a quote of any CVM with the same image and machine shape',
    },
    image: {
      value: 'FOLDER',
      description: 'or the image: sha256sum.txt and measurement.tdx.cbor',
    },
    memory: { value: 'BYTES', description: 'memory of the machine, with --image' },
    qemu: { value: 'VERSION', description: 'QEMU of the host, x.y.z, with --image' },
    acpi: {
      value: 'FILE',
      description: 'event log (JSON) with the ACPI digests of that machine shape, with --image',
    },
    keyProvider: {
      value: 'NAME',
      description: 'where the CVM gets its own keys',
      choices: ['local-sgx', 'tpm', 'none'],
      isRequired: true,
    },
    keyProviderId: { value: 'HEX', description: 'measurement of the local key provider' },
    storageFs: {
      value: 'NAME',
      description: 'file system of the data disk',
      choices: ['zfs', 'ext4'],
      default: 'zfs',
    },
    appId: { value: 'HEX', description: 'app id, if the deployment states one' },
    noGpuPolicy: { description: 'for images before 0.6, which measure none' },
    noMrConfigId: { description: 'the host does not set MRCONFIGID' },
  },
  needs: 'nothing',
  reads: 'the file, and the quote or the image',
  load: () => import('./kms/predict.ts'),
})

export const compose = defineCommand({
  path: ['kms', 'compose'],
  summary: 'Write the app-compose.json with which the KMS runs as a dstack app',
  examples: [
    'kms compose --container-image ghcr.io/example/kms@sha256:… --config kms.json --key-provider-id 8c31… > app-compose.json',
  ],
  options: {
    containerImage: {
      value: 'NAME@SHA256',
      description: 'the container image of the KMS, by digest',
      isRequired: true,
    },
    config: {
      value: 'FILE',
      description: 'the settings, which become part of the compose hash',
      isRequired: true,
    },
    keyProviderId: {
      value: 'HEX',
      description: 'measurement of the local key provider',
      isRequired: true,
    },
    name: { value: 'NAME', description: 'name of the app', default: 'assent-kms' },
    pccsCa: {
      value: 'FILE',
      description: 'certificates (PEM) that the settings name as collateral.caFile',
    },
  },
  needs: 'nothing',
  reads: 'the settings',
  load: () => import('./kms/compose.ts'),
})

export const pinnedCode = defineCommand({
  path: ['kms', 'pinned-code'],
  summary: 'Print the pinnedCode setting for a deployment',
  help: `Registries that are deployed and not set yet are pinned too, if the deployment record names them: a node that does not pin them releases nothing once the DAO sets them (an outage, CHAIN_CONTRACT_UNKNOWN).`,
  examples: [
    'kms pinned-code',
    'kms pinned-code --rpc-url http://127.0.0.1:8545 --kms-contract 0x… > pins.json',
  ],
  options: {
    kmsContract: {
      value: 'ADDRESS',
      description: 'the KmsAuth contract (default: from the deployment record)',
    },
  },
  needs: 'chain',
  reads: 'the code of the contracts, and the deployment record; it trusts the endpoint',
  load: () => import('./kms/pinned-code.ts'),
})

export const status = defineCommand({
  path: ['kms', 'status'],
  summary: 'Show a running KMS node: health, chain view, root keys, release log, peers',
  help: `Everything that the node says is a claim, except the head of its log, which is signed for this question. The root keys are compared with the chain. Exit code 1: it cannot release keys, or is not what the chain stores.`,
  examples: ['kms status', 'kms status --kms-url https://kms-1.example.org:8000 --json'],
  options: { kmsUrl: { value: 'URL', description: 'a KMS node (default: from the profile)' } },
  reads: 'GetMeta, /health, /metrics and /log/head of the node, and the root keys on-chain',
  load: () => import('./kms/status.ts'),
})

/* ON THE CHAIN */

export const registerRoot = defineCommand({
  path: ['kms', 'register-root'],
  summary: 'Register the root keys of a KMS with its bootstrap quote; the DAO approves them later',
  examples: ['kms register-root bootstrap.json'],
  arguments: { file: { description: 'output of assent kms bootstrap' } },
  reads: 'the file',
  sends: 'prove to RootKeys, which verifies the quote',
  load: () => import('./kms/register-root.ts'),
})

export const setInfo = defineCommand({
  path: ['kms', 'set-info'],
  summary: 'Publish the root keys of the KMS with quote and event log, for dstack’s tools',
  examples: ['kms set-info bootstrap.json'],
  arguments: { file: { description: 'output of assent kms bootstrap' } },
  options: ownerOptions,
  reads: 'the file, and the owner of KmsAuth',
  sends: ownerSends,
  load: () => import('./kms/set-info.ts'),
})

export const setGateway = defineCommand({
  path: ['kms', 'set-gateway'],
  summary: 'Set the gateway app that guests accept',
  examples: ['kms set-gateway any'],
  arguments: { id: { description: 'app id, or "any" to switch the check off' } },
  options: ownerOptions,
  reads: 'the owner of KmsAuth',
  sends: ownerSends,
  load: () => import('./kms/set-gateway.ts'),
})

export const kmsCommands = [
  ...kmsNodeCommands,
  status,
  predict,
  compose,
  pinnedCode,
  registerRoot,
  setInfo,
  setGateway,
  aliasOf(verify, ['kms', 'log', 'verify']),
  aliasOf(rootKey, ['kms', 'log', 'root-key']),
]
