/** The group `deployment`: creating, checking and changing the contracts of a deployment. */
import { defineCommand, type OptionTable } from './command.ts'
import { appOption, ownerOptions, ownerSends } from './options.ts'

const contract = { description: 'kmsAuth, images, hosts, rootKeys or hostBonds' }

const implementation = {
  description:
    'address of deployed code (default: the code of these sources, which is deployed if necessary)',
  isOptional: true,
} as const

const codeOption = {
  code: {
    value: 'CONTRACT',
    description:
      'contract in these sources that becomes the new implementation (default: the current one)',
  },
} as const satisfies OptionTable

export const create = defineCommand({
  path: ['deployment', 'create'],
  summary: 'Deploy Assent and hand it to its DAO; after a crash, run it again',
  examples: ['deployment create parameters.json'],
  arguments: {
    parameters: {
      description:
        'JSON file: the DAO, the root of trust for quotes, the rules for hosts (docs/governance.md)',
    },
  },
  needs: 'chain',
  reads: 'the file, the files that it names, and the compiled contracts',
  sends: 'about 30 transactions that create the contracts; each is recorded before it is sent',
  load: () => import('./deployment/create.ts'),
})

export const check = defineCommand({
  path: ['deployment', 'check'],
  summary: 'Check code, owners, roles and settings of a deployment',
  help: 'Exit code 0 only if every finding is as expected.',
  examples: ['deployment check --root intel', 'deployment check --without-code --json'],
  options: {
    root: {
      value: 'ROOT',
      description: 'expected root of trust: intel, or a file with another root certificate (DER)',
    },
    expectedSettings: {
      value: 'FILE',
      description:
        'expected DAO parameters, in the format of deployment create (default: as deployed)',
    },
    withoutCode: { description: 'do not compare the deployed code with these sources' },
  },
  reads: 'roles, owners, guardians, parameters, code and root of trust of all contracts',
  load: () => import('./deployment/check.ts'),
})

export const replay = defineCommand({
  path: ['deployment', 'replay'],
  summary: 'Rebuild the state from all events, and compare every row with the chain',
  help: 'Exit code 0 only if all are equal. It reads all events of all contracts, and keeps the tables in memory. The endpoint must still have the state of the newest block when it has read the events.',
  examples: ['deployment replay', 'deployment replay --json'],
  reads: 'all events of all contracts, their storage and their functions',
  load: () => import('./deployment/replay.ts'),
})

export const verifySources = defineCommand({
  path: ['deployment', 'verify-sources'],
  summary: 'Rebuild the compiler’s input of each contract, for Sourcify, Etherscan or yourself',
  help: 'Every source file is compared with the hash of the file that was compiled. With --compile, the sources are compiled and the code is compared; that takes minutes. assent deployment check compares the same code with the chain.',
  examples: ['deployment verify-sources --out verification', 'deployment verify-sources --compile'],
  options: {
    out: { value: 'FOLDER', description: 'write the requests to Sourcify and Etherscan there' },
    compile: { description: 'compile the sources, and compare the code (needs the package solc)' },
  },
  reads: 'the deployment record, and the sources of the contracts',
  load: () => import('./deployment/verify-sources.ts'),
})

export const show = defineCommand({
  path: ['deployment', 'show'],
  summary: 'Show the contracts of the deployment and how many approvals there are',
  examples: ['deployment show'],
  reads: 'the deployment record, and the number of approvals of each kind',
  load: () => import('./deployment/show.ts'),
})

export const upgrade = defineCommand({
  path: ['deployment', 'upgrade'],
  summary: 'Replace the code of a contract with the code of these sources; it can be repeated',
  examples: ['deployment upgrade kmsAuth --dry-run'],
  arguments: { contract, implementation },
  options: {
    ...ownerOptions,
    ...codeOption,
    call: {
      value: 'HEX',
      description: 'calldata that the new code executes in the same transaction',
    },
  },
  reads: 'the current code, and the compiled contracts of this version',
  sends: `the creation of the code if necessary; then ${ownerSends}`,
  load: () => import('./deployment/upgrade.ts'),
})

export const setAppImplementation = defineCommand({
  path: ['deployment', 'set-app-implementation'],
  summary: 'Set the code of new apps; existing apps do not change',
  examples: ['deployment set-app-implementation'],
  arguments: { implementation },
  options: { ...ownerOptions, ...codeOption },
  reads: 'the code of new apps, and the compiled contracts of this version',
  sends: `the creation of the code if necessary; then ${ownerSends}`,
  load: () => import('./deployment/set-app-implementation.ts'),
})

export const renounceUpgrades = defineCommand({
  path: ['deployment', 'renounce-upgrades'],
  summary: 'Give up the right to replace a contract’s code, permanently',
  examples: ['deployment renounce-upgrades hostBonds'],
  arguments: { contract },
  options: ownerOptions,
  reads: 'the owner of the contract',
  sends: ownerSends,
  load: () => import('./deployment/renounce-upgrades.ts'),
})

export const transferOwnership = defineCommand({
  path: ['deployment', 'transfer-ownership'],
  summary: 'Offer a contract to a new owner, who must accept it',
  examples: ['deployment transfer-ownership images 0x…'],
  arguments: {
    contract,
    to: { description: 'address of the new owner; for a DAO its timelock' },
  },
  options: ownerOptions,
  reads: 'the owner of the contract',
  sends: ownerSends,
  load: () => import('./deployment/transfer-ownership.ts'),
})

export const acceptOwnership = defineCommand({
  path: ['deployment', 'accept-ownership'],
  summary: 'Accept the ownership of an offered contract',
  examples: ['deployment accept-ownership images'],
  arguments: { contract },
  options: ownerOptions,
  reads: 'the owner and the offered owner of the contract',
  sends: ownerSends,
  load: () => import('./deployment/accept-ownership.ts'),
})

export const renounceOwnership = defineCommand({
  path: ['deployment', 'renounce-ownership'],
  summary: 'Give up the ownership of a contract, permanently',
  examples: ['deployment renounce-ownership images'],
  arguments: { contract },
  options: ownerOptions,
  reads: 'the owner of the contract',
  sends: ownerSends,
  load: () => import('./deployment/renounce-ownership.ts'),
})

/* WHICH REGISTRIES COUNT */

export const setActivationDelay = defineCommand({
  path: ['deployment', 'set-activation-delay'],
  summary: 'Set the activation delay of a kind',
  examples: ['deployment set-activation-delay os-image 2d'],
  arguments: {
    kind: {
      description: 'kind of approvals',
      choices: ['os-image', 'kms-measurement', 'kms-device', 'app', 'measurements'],
    },
    delay: { description: 'activation delay, for example 2d' },
  },
  options: ownerOptions,
  reads: 'the owner of the registry',
  sends: ownerSends,
  load: () => import('./deployment/set-activation-delay.ts'),
})

export const setHosts = defineCommand({
  path: ['deployment', 'set-hosts'],
  summary: 'Allow boots only on hosts that a host registry admits',
  examples: ['deployment set-hosts deployed'],
  arguments: {
    hosts: {
      description: 'address of the host registry, "deployed", or "nobody" to allow any host',
    },
  },
  options: ownerOptions,
  reads: 'the registry and its code',
  sends: ownerSends,
  load: () => import('./deployment/set-hosts.ts'),
})

export const setImages = defineCommand({
  path: ['deployment', 'set-images'],
  summary: 'Set the image registry, which stores measurement sets and closed images',
  examples: ['deployment set-images deployed'],
  arguments: { images: { description: 'address of the image registry, "deployed", or "nobody"' } },
  options: ownerOptions,
  reads: 'the registry and its code',
  sends: ownerSends,
  load: () => import('./deployment/set-images.ts'),
})

export const setBonds = defineCommand({
  path: ['deployment', 'set-bonds'],
  summary: 'Admit only hosts whose operator has a bond',
  examples: ['deployment set-bonds deployed'],
  arguments: {
    bonds: {
      description: 'address of the HostBonds contract, "deployed", or "nobody" to require no bonds',
    },
  },
  options: ownerOptions,
  reads: 'the contract and its code',
  sends: ownerSends,
  load: () => import('./deployment/set-bonds.ts'),
})

export const setVerifier = defineCommand({
  path: ['deployment', 'set-verifier'],
  summary: 'Set the quote verifier of a registry',
  examples: ['deployment set-verifier hosts 0x…'],
  arguments: {
    registry: { description: 'the registry', choices: ['hosts', 'rootKeys'] },
    verifier: { description: 'address of the quote verifier' },
  },
  options: ownerOptions,
  reads: 'whether there is a quote verifier at the address',
  sends: ownerSends,
  load: () => import('./deployment/set-verifier.ts'),
})

export const clearSigning = defineCommand({
  path: ['deployment', 'clear-signing'],
  summary: 'Write ERC-7730 descriptors with the addresses of this deployment, for wallets',
  help: 'A wallet that has them shows votes and calls in words. The descriptors without addresses are in deploy/erc7730.',
  examples: ['deployment clear-signing --out erc7730', 'deployment clear-signing --app hello'],
  options: {
    out: { value: 'FOLDER', description: 'output folder', default: 'erc7730' },
    app: {
      ...appOption.app,
      description: 'an app whose calls are described too',
      isRepeatable: true,
    },
  },
  reads: 'the deployment record, and the app contracts',
  load: () => import('./deployment/clear-signing.ts'),
})

export const deploymentCommands = [
  create,
  check,
  replay,
  verifySources,
  clearSigning,
  show,
  upgrade,
  setAppImplementation,
  renounceUpgrades,
  transferOwnership,
  acceptOwnership,
  renounceOwnership,
  setActivationDelay,
  setHosts,
  setImages,
  setBonds,
  setVerifier,
]
