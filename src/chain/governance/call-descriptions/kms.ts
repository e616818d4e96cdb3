/** The deeds of KmsAuth, of apps, hosts and root keys: what is allowed to boot, and where. */
import { type Address, formatUnits, type Hex, keccak256 } from 'viem'

import type {
  appAbi,
  daoFactoryAbi,
  hostBondsAbi,
  hostsAbi,
  imagesAbi,
  kmsAuthAbi,
  quoteVerifierAbi,
  rootKeysAbi,
} from '../../abi.ts'
import type { DaoParameters } from '../settings.ts'
import { describeEvidence, ownershipDescriptions, registryDescriptions } from './registry.ts'
import {
  type DescriptionContext,
  describeDeadline,
  describeEnd,
  describeStart,
  type FunctionDescriptions,
  formatDeadline,
  formatDuration,
  formatTime,
  kindLabel,
} from './types.ts'

const atOnce =
  '[dstack’s tools do it; ours use approve and withdraw, which say from when, until when and on what evidence]'
const once = '[only once, in the deployment]'
const collateral = 'upload-collateral'

const versioned = 'What is withdrawn comes back only as a new version, by a new approval.'

const upgrade = {
  caller: 'owner',
  describe: ([implementation, data]: readonly [Address, Hex], { name }: DescriptionContext) =>
    `replace all of the contract’s code by that at ${name(implementation)}${data === '0x' ? '' : ` and call it with ${data}`}`,
  irreversible: 'New code can do anything, also to what was approved before.',
  command: 'upgrade',
} as const

const renounceUpgrades = {
  caller: 'owner',
  describe: () => 'give up upgrades of the contract',
  irreversible: 'Its code can never be changed again, not to mend a fault either.',
  command: 'renounce-upgrades',
} as const

/** Hardware by its number in contracts/types/TeeVariant.sol. */
export const variantNames: readonly string[] = [
  'tdx',
  'gcp-tdx',
  'nitro-enclave',
  'amd-sev-snp',
  'aws-nitro-tpm',
]

/** Bit n is variant n. */
export function formatVariants(bits: number): string {
  return variantNames.filter((_, n) => (bits >> n) & 1).join(', ')
}

/** `12 bytes` */
function bytesIn(hex: Hex): string {
  return `${(hex.length - 2) / 2} bytes`
}

function describeDao(terms: DaoParameters, context: DescriptionContext): string[] {
  const { underlying, holder, supply, symbol, guardian } = terms
  return [
    /^0x0+$/.test(underlying)
      ? `votes: ${formatUnits(supply, 18)} new ${symbol}, all of them to ${context.name(holder)}`
      : `votes: one ${symbol} for each token of ${context.name(underlying)} that is deposited`,
    /^0x0+$/.test(underlying)
      ? `${formatUnits(terms.proposalThreshold, 18)} votes to propose, ${terms.quorumPercent} percent of all votes must take part`
      : `${terms.proposalThreshold} of the token’s smallest units to propose, ${terms.quorumPercent} percent of all tokens that there are now must take part, deposited or not`,
    `${formatDuration(terms.votingDelay)} until the vote, ${formatDuration(terms.votingPeriod)} of voting (${formatDuration(terms.lateQuorumExtension)} more if the quorum comes late), ${formatDuration(Number(terms.timelockDelay))} in the timelock`,
    /^0x0+$/.test(guardian)
      ? 'no guardian'
      : `guardian ${context.name(guardian)}, who may suspend for ${formatDuration(terms.suspension)} and cancel proposals`,
  ]
}

export const kmsAuthDescriptions: FunctionDescriptions<typeof kmsAuthAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  initialize: { caller: 'anyone', describe: () => 'set the contract up', command: once },
  initializeGoverned: { caller: 'anyone', describe: () => 'set the contract up', command: once },
  registerApp: {
    caller: 'anyone',
    describe: ([app], { name }) => `let the contract ${name(app)} answer for its own app`,
    command: 'register-app',
  },
  deployAndRegisterApp: {
    caller: 'anyone',
    describe: (args, { name }) => {
      const [owner, frozen] = args
      const [tcb, anyDevice, device, compose] =
        args.length === 6
          ? [args[2], args[3], args[4], args[5]]
          : [false, args[2], args[3], args[4]]
      const none = /^0x0+$/
      return [
        `create an app owned by ${name(owner)}, ${frozen ? 'whose code can never be upgraded' : 'which its owner may upgrade'}`,
        `boot it on ${anyDevice ? 'any device' : none.test(device) ? 'no device until its owner approves one' : `device ${device}`}, ${tcb ? 'only where the TCB is up to date' : 'whatever the state of its TCB'}`,
        none.test(compose)
          ? 'boot no release until its owner approves one'
          : `approve release ${compose} at once`,
      ]
    },
    irreversible: 'An app’s id is the address of its contract; the contract stays on the chain.',
    command: 'create-app',
  },
  setKmsInfo: {
    caller: 'owner',
    describe: ([{ k256Pubkey, caPubkey, quote, eventlog }]) =>
      `publish the KMS’s root keys ${k256Pubkey} and ${caPubkey}, with a quote of ${bytesIn(quote)} and an event log of ${bytesIn(eventlog)} (nothing of it is verified)`,
    command: 'set-kms-info',
  },
  setKmsQuote: {
    caller: 'owner',
    describe: ([quote]) => `publish a KMS quote of ${(quote.length - 2) / 2} bytes (not verified)`,
    command: '[set-kms-info sets it together with the keys that it is about]',
  },
  setKmsEventlog: {
    caller: 'owner',
    describe: ([log]) => `publish a KMS event log of ${(log.length - 2) / 2} bytes (not verified)`,
    command: '[set-kms-info sets it together with the keys that it is about]',
  },
  setGatewayAppId: {
    caller: 'owner',
    describe: ([id]) =>
      id === 'any'
        ? 'let guests accept any gateway: the word "any" switches the check off'
        : `name ${id} as the gateway app`,
    command: 'set-gateway',
  },
  setAppImplementation: {
    caller: 'owner',
    describe: ([implementation], { name }) =>
      `make new apps of the code at ${name(implementation)}; those that exist stay as they are`,
    command: 'set-app-implementation',
  },
  setHosts: {
    caller: 'owner',
    describe: ([hosts, notAfter], context) => [
      /^0x0+$/.test(hosts)
        ? 'boot on any machine: no registry of hosts is asked any more'
        : `boot only on machines that ${context.name(hosts)} admits, from now on`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-hosts',
  },
  setImages: {
    caller: 'owner',
    describe: ([images, notAfter], context) => [
      /^0x0+$/.test(images)
        ? 'ask no registry of images any more which measurements an image may show'
        : `refuse app boots of images that ${context.name(images)} has closed, unless they show measurements approved there`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-images',
  },
  renounceUpgrades: renounceUpgrades,
  setActivationDelay: {
    caller: 'owner',
    describe: ([kind, delay, notAfter], context) => [
      `let ${formatDuration(delay)} pass between an approval of a ${kindLabel(kind)} and its use, for later approvals`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-activation-delay',
  },
  addOsImageHash: {
    caller: 'owner',
    describe: ([id]) => `allow OS image ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeOsImageHash: {
    caller: 'owner',
    describe: ([id]) => `withdraw OS image ${id} at once`,
    irreversible: versioned,
    command: atOnce,
  },
  addKmsAggregatedMr: {
    caller: 'owner',
    describe: ([id]) => `allow KMS measurement ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeKmsAggregatedMr: {
    caller: 'owner',
    describe: ([id]) => `withdraw KMS measurement ${id} at once`,
    irreversible: versioned,
    command: atOnce,
  },
  addKmsDevice: {
    caller: 'owner',
    describe: ([id]) => `allow KMS device ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeKmsDevice: {
    caller: 'owner',
    describe: ([id]) => `withdraw KMS device ${id} at once`,
    irreversible: versioned,
    command: atOnce,
  },
}

export const appDescriptions: FunctionDescriptions<typeof appAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  initialize: { caller: 'anyone', describe: () => 'set the app up', command: once },
  approveManifest: {
    caller: 'owner',
    describe: ([compose, manifest, from, until, notAfter], context) => [
      `approve release ${compose} ${describeStart(from, context)}, ${describeEnd(until, context)}, with its manifest of ${(manifest.length - 2) / 2} bytes (keccak256 ${keccak256(manifest)}) as evidence; refused unless it hashes to the release`,
      describeDeadline(notAfter, context),
    ],
    command: 'approve-release',
  },
  supersede: {
    caller: 'owner',
    describe: ([oldest, from, nextEpoch], { now }) => [
      `end all releases below number ${oldest} ${from <= (now ?? 0) ? 'at once' : `at ${formatDeadline(from, now)}`}`,
      ...(nextEpoch
        ? [
            'open a new key epoch: the others write with new keys; until then they may read the old ones, afterwards nobody may',
          ]
        : []),
    ],
    irreversible: 'A superseded release does not come back, not by adding its hash again either.',
    command: 'supersede',
  },
  setNotice: {
    caller: 'owner',
    describe: ([notice]) =>
      `bind the owner to announce for ${formatDuration(notice)} whatever loosens the rules, also what is announced already`,
    irreversible: 'A notice can only grow.',
    command: 'set-notice-period',
  },
  announce: {
    caller: 'owner',
    describe: ([digest]) =>
      `announce the call whose keccak256 is ${digest}; it may be made for 30 days once the notice is over`,
    command: 'announce',
  },
  setAllowAnyDevice: {
    caller: 'owner',
    describe: ([any]) =>
      any ? 'boot the app on any device' : 'boot the app on approved devices only',
    command: 'set-allow-any-device',
  },
  setRequireTcbUpToDate: {
    caller: 'owner',
    describe: ([require]) =>
      require
        ? 'boot the app only where the TCB is up to date'
        : 'boot the app whatever the state of the TCB',
    command: 'set-require-tcb-up-to-date',
  },
  disableUpgrades: renounceUpgrades,
  setVariants: {
    caller: 'owner',
    describe: ([variants]) => `let ${formatVariants(variants)} vouch for boots of the app`,
    command: 'set-variants',
  },
  handOver: {
    caller: 'owner',
    describe: ([factory, terms], context) => [
      `make a DAO of its own for the app, by ${context.name(factory)}`,
      ...describeDao(terms, context),
      'give the app to it at once: the owner until now decides nothing any more',
    ],
    irreversible:
      'Only the new DAO can give the app away again; whatever the factory returns owns it.',
    command: 'create-dao',
  },
  addComposeHash: {
    caller: 'owner',
    describe: ([id]) => `allow release ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeComposeHash: {
    caller: 'owner',
    describe: ([id]) => `withdraw release ${id} at once`,
    irreversible: versioned,
    command: atOnce,
  },
  addDevice: {
    caller: 'owner',
    describe: ([id]) => `allow device ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeDevice: {
    caller: 'owner',
    describe: ([id]) => `withdraw device ${id} at once`,
    irreversible: versioned,
    command: atOnce,
  },
}

const statusNames = [
  'None',
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
] as const

/** Statuses of a TCB by their number in contracts/types/Report.sol. */
export const onChainStatuses: readonly string[] = statusNames

const verifier = {
  caller: 'owner',
  describe: ([address, notAfter]: readonly [Address, number], context: DescriptionContext) => [
    `believe the quotes that ${context.name(address)} believes, instead of those until now`,
    describeDeadline(notAfter, context),
  ],
  irreversible: 'Whoever wrote that verifier decides which quotes count.',
  command: 'set-verifier',
} as const

export const hostsDescriptions: FunctionDescriptions<typeof hostsAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  initialize: { caller: 'anyone', describe: () => 'set the registry up', command: once },
  register: {
    caller: 'anyone',
    describe: ([quote, block]) =>
      `prove a machine by a quote of ${(quote.length - 2) / 2} bytes made after block ${block}; the sender is or becomes its operator`,
    command: 'register-host',
  },
  registerFor: {
    caller: 'anyone',
    describe: ([operator, quote, block, deadline], { name }) =>
      `prove a machine of ${name(operator)} by a quote of ${(quote.length - 2) / 2} bytes made after block ${block}, with the operator’s permit, which ends ${formatTime(Number(deadline))}`,
    command: 'register-host',
  },
  setOperator: {
    caller: 'owner',
    describe: ([device, operator, notAfter], context) => [
      /^0x0+$/.test(operator)
        ? `take machine ${device} from its operator: whoever proves it next becomes its operator`
        : `give machine ${device} to ${context.name(operator)}, until another operator is named`,
      describeDeadline(notAfter, context),
    ],
    irreversible: 'The operator until now cannot renew the machine’s proof any more.',
    command: 'set-operator',
  },
  setRules: {
    caller: 'owner',
    describe: ([rules, notAfter], context) => [
      rules.isOpen
        ? `let the first proof of a machine approve it, after ${formatDuration(rules.activationDelay)}`
        : 'let only the DAO approve machines',
      `let a proof last as long as Intel’s collateral, but at least ${formatDuration(rules.minLifetime)} and at most ${formatDuration(rules.maxLifetime)}`,
      `accept quotes made in the last ${rules.window} blocks, by TCB evaluation number ${rules.minEvaluationNumber} or later`,
      rules.attestedSince === 0
        ? 'count proofs of any age'
        : `count only proofs brought since ${formatDeadline(rules.attestedSince, context.now)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-host-rules',
  },
  setStatusRule: {
    caller: 'owner',
    describe: ([status, until, notAfter], context) => [
      until === 0
        ? `let no machine boot whose TCB is ${statusNames[status] ?? status}`
        : `let machines boot whose TCB is ${statusNames[status] ?? status}, until ${until >= 2 ** 40 - 1 ? 'further notice' : formatDeadline(until, context.now)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-accepted-tcb-status',
  },
  setAdvisoriesDenied: {
    caller: 'owner',
    describe: ([advisories, isDenied, notAfter], context) => [
      `${isDenied ? 'refuse' : 'accept again'} machines that ${advisories.map(describeAdvisory).join(', ')} concerns, in later proofs`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-advisories',
  },
  setVerifier: verifier,
  renounceUpgrades: renounceUpgrades,
  setBonds: {
    caller: 'owner',
    describe: ([bonds, notAfter], context) => [
      /^0x0+$/.test(bonds)
        ? 'ask operators for no bond any more'
        : `admit only machines whose operator has a bond at ${context.name(bonds)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-bonds',
  },
  setContinuityDelay: {
    caller: 'owner',
    describe: ([delay, notAfter], context) => [
      delay === 0
        ? 'let no machine go on under a new id'
        : `let a machine go on under a new id, ${formatDuration(delay)} after its operator said so`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-continuity-delay',
  },
  endProof: {
    caller: 'anyone',
    describe: ([device]) =>
      `end the proof of machine ${device}, if its quote is provably dead: certificate revoked or expired, or a TCB that no longer passes`,
    irreversible: 'The machine needs a new proof.',
    command: 'end-host-proof',
  },
  continueAs: {
    caller: 'anyone',
    describe: ([from, to, deadline]) =>
      `let machine ${from} go on as ${to}, by its operator’s signature, which ends ${formatTime(Number(deadline))}: the old id is withdrawn at once, the new one is active after the continuity delay`,
    irreversible: 'The old id comes back only by a new approval.',
    command: 'continue-host',
  },
}

export const hostBondsDescriptions: FunctionDescriptions<typeof hostBondsAbi> = {
  ...ownershipDescriptions,
  upgradeToAndCall: upgrade,
  renounceUpgrades: renounceUpgrades,
  initialize: { caller: 'anyone', describe: () => 'set the bonds up', command: once },
  deposit: {
    caller: 'anyone',
    describe: ([device, amount]) =>
      `deposit ${amount} of the bond token’s smallest units for machine ${device}`,
    irreversible: 'It comes back only after the unbonding time, and the DAO may slash it.',
    command: 'bond',
  },
  unbond: {
    caller: 'anyone',
    describe: ([device, amount]) =>
      `take ${amount} units out of the bond of machine ${device}; they are paid out after the unbonding time`,
    command: 'unbond',
  },
  withdraw: {
    caller: 'anyone',
    describe: ([device]) => `pay out what has left the bond of machine ${device}`,
    command: 'withdraw-bond',
  },
  slash: {
    caller: 'owner',
    describe: ([device, holder, amount, to, evidence, notAfter], context) => [
      `take up to ${amount} units of the bond of ${context.name(holder)} for machine ${device} and give them to ${context.name(to)}, ${describeEvidence(evidence)}`,
      describeDeadline(notAfter, context),
    ],
    irreversible: 'Only who got it can give it back.',
    command: 'slash',
  },
  setTerms: {
    caller: 'owner',
    describe: ([minimum, unbonding, notAfter], context) => [
      `ask a bond of ${minimum} units for each machine, paid back ${formatDuration(unbonding)} after it is asked for`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-bond-terms',
  },
}

export const imagesDescriptions: FunctionDescriptions<typeof imagesAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  renounceUpgrades: renounceUpgrades,
  initialize: { caller: 'anyone', describe: () => 'set the registry up', command: once },
  approveSets: {
    caller: 'owner',
    describe: ([sets, notAfter], context) => [
      ...sets.map(
        ({ osImageHash, variant, registers, activeFrom, expiresAt, evidence }) =>
          `let OS image ${osImageHash} show the ${variantNames[variant] ?? variant} registers ${registers} ${describeStart(activeFrom, context)}, ${describeEnd(expiresAt, context)}, ${describeEvidence(evidence)}`,
      ),
      describeDeadline(notAfter, context),
    ],
    command: 'approve-measurements',
  },
  nameRelease: {
    caller: 'owner',
    describe: ([image, release]) => `call OS image ${image} "${release}"; nothing depends on it`,
    command: 'set-image-name',
  },
  closeImages: {
    caller: 'owner',
    describe: ([images]) =>
      `refuse app boots of OS image ${images.join(', ')} that show no approved measurements`,
    command: 'close-images',
  },
  openImages: {
    caller: 'owner',
    describe: ([images, notAfter], context) => [
      `let app boots of OS image ${images.join(', ')} show whatever the KMS itself can recompute`,
      describeDeadline(notAfter, context),
    ],
    command: 'open-images',
  },
  setActivationDelay: {
    caller: 'owner',
    describe: ([delay, notAfter], context) => [
      `let ${formatDuration(delay)} pass between an approval of measurements and their use, for later approvals`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-activation-delay',
  },
}

export const daoFactoryDescriptions: FunctionDescriptions<typeof daoFactoryAbi> = {
  create: {
    caller: 'anyone',
    describe: ([terms], context) => ['make a DAO', ...describeDao(terms, context)],
    command: 'create-dao',
  },
}

/** Advisories are texts of at most 32 bytes, padded on the right. */
export function describeAdvisory(bytes32: string): string {
  const text = Buffer.from(bytes32.slice(2), 'hex').toString('latin1').replace(/\0+$/, '')
  return /^[\x20-\x7e]+$/.test(text) ? text : bytes32
}

export const rootKeysDescriptions: FunctionDescriptions<typeof rootKeysAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  initialize: { caller: 'anyone', describe: () => 'set the registry up', command: once },
  prove: {
    caller: 'anyone',
    describe: ([quote, ca, k256]) =>
      `prove the root keys ${k256} and ${ca} by the quote of their making (${(quote.length - 2) / 2} bytes); they open an epoch only when the DAO approves ${keccak256(`${ca}${k256.slice(2)}`)}`,
    command: 'register-root-key',
  },
  setVerifier: verifier,
  renounceUpgrades: renounceUpgrades,
}

export const verifierDescriptions: FunctionDescriptions<typeof quoteVerifierAbi> = {
  putIssuer: {
    caller: 'anyone',
    describe: () => 'store a certificate chain of Intel',
    command: collateral,
  },
  putCrl: {
    caller: 'anyone',
    describe: () => 'store a revocation list of Intel',
    command: collateral,
  },
  putTcbInfo: { caller: 'anyone', describe: () => 'store TCB info of Intel', command: collateral },
  putQeIdentity: {
    caller: 'anyone',
    describe: () => 'store a QE identity of Intel',
    command: collateral,
  },
  putEvaluationNumbers: {
    caller: 'anyone',
    describe: () => 'store Intel’s evaluation numbers',
    command: collateral,
  },
  register: {
    caller: 'anyone',
    describe: () => 'keep the verified record of a machine, so that later quotes are cheaper',
    command: '[it changes no decision, only the gas of later ones; the relayer does it]',
  },
  registerVerdict: {
    caller: 'anyone',
    describe: () => 'keep a verified verdict, so that later quotes are cheaper',
    command: '[it changes no decision, only the gas of later ones; the relayer does it]',
  },
}
