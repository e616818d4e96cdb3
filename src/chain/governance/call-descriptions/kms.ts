/** Descriptions of the functions of KmsAuth, App, Hosts, HostBonds, Images, RootKeys, DaoFactory and QuoteVerifier. */
import { type Address, formatUnits, type Hex, keccak256 } from 'viem'
import { quoteText } from '../../../lib/printable.ts'
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
import { noEnd } from '../../approval.ts'
import { teeVariants } from '../../tee-variants.ts'
import type { DaoParameters } from '../settings.ts'
import { describeEvidence, ownershipDescriptions, registryDescriptions } from './registry.ts'
import {
  type DescriptionContext,
  describeDeadline,
  describeEnd,
  describeStart,
  describeValidity,
  type FunctionDescriptions,
  formatDeadline,
  formatDuration,
  kindLabel,
} from './types.ts'

const dstackTools =
  '[for dstack’s tools; Assent’s commands are dao approve and dao withdraw, which also set times and evidence]'
const once = '[called once, during the deployment]'
const collateral = 'host upload-collateral'

/** dstack's functions that add a hash. They change nothing if it is approved already. */
function describeAdd(kind: string, id: Hex): string {
  return `approve ${kind} ${id} unless it is approved already, active after the activation delay of its kind, without end time, without evidence`
}

const versioned = 'A withdrawn id needs a new approval, which gets a new version.'

const upgrade = {
  caller: 'owner',
  describe: ([implementation, data]: readonly [Address, Hex], { name }: DescriptionContext) =>
    `replace the contract’s code with the code at ${name(implementation)}${data === '0x' ? '' : ` and call it with ${data}`}`,
  irreversible: 'New code can do anything, including changes to existing approvals.',
  command: 'deployment upgrade',
} as const

const renounceUpgrades = {
  caller: 'owner',
  describe: () => 'give up the right to replace the contract’s code',
  irreversible: 'The code can never be changed again, not even to fix a bug.',
  command: 'deployment renounce-upgrades',
} as const

/** The names of a set of TEE variants. @param bits bit n stands for variant n */
export function formatVariants(bits: number): string {
  return teeVariants.filter((_, n) => (bits >> n) & 1).join(', ')
}

/** The length of hexadecimal data, for example `12 bytes`. */
function bytesIn(hex: Hex): string {
  return `${(hex.length - 2) / 2} bytes`
}

function describeDao(terms: DaoParameters, context: DescriptionContext): string[] {
  const { underlying, holder, supply, symbol, guardian } = terms
  return [
    /^0x0+$/.test(underlying)
      ? `votes: ${formatUnits(supply, 18)} new ${quoteText(symbol)}, all to ${context.name(holder)}`
      : `votes: one ${quoteText(symbol)} for each deposited token of ${context.name(underlying)}`,
    /^0x0+$/.test(underlying)
      ? `proposal threshold ${formatUnits(terms.proposalThreshold, 18)} votes, quorum ${terms.quorumPercent} percent of all votes`
      : `proposal threshold ${terms.proposalThreshold} smallest token units, quorum ${terms.quorumPercent} percent of ${supply} smallest token units, or of all deposited tokens if they are more`,
    `voting delay ${formatDuration(terms.votingDelay)}, voting period ${formatDuration(terms.votingPeriod)} (open for at least ${formatDuration(terms.lateQuorumExtension)} after the quorum is reached), timelock delay ${formatDuration(Number(terms.timelockDelay))}`,
    /^0x0+$/.test(guardian)
      ? 'no guardian'
      : `guardian ${context.name(guardian)}, who can suspend approvals for ${formatDuration(terms.suspension)} and cancel proposals`,
  ]
}

/** Descriptions of the functions of `KmsAuth`. */
export const kmsAuthDescriptions: FunctionDescriptions<typeof kmsAuthAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  initialize: { caller: 'anyone', describe: () => 'initialize the contract', command: once },
  initializeGoverned: {
    caller: 'anyone',
    describe: () => 'initialize the contract',
    command: once,
  },
  registerApp: {
    caller: 'anyone',
    describe: ([app], { name }) => `register the contract ${name(app)} as an app`,
    command: 'app register',
  },
  deployAndRegisterApp: {
    caller: 'anyone',
    describe: (args, { name }) => {
      const [owner, renounced] = args
      const [tcb, anyDevice, device, compose] =
        args.length === 6
          ? [args[2], args[3], args[4], args[5]]
          : [false, args[2], args[3], args[4]]
      const none = /^0x0+$/
      return [
        `create an app owned by ${name(owner)}; ${renounced ? 'its code can never be replaced' : 'its owner can replace its code'}`,
        `allow it on ${anyDevice ? 'any device' : none.test(device) ? 'no device until its owner approves one' : `device ${device}`}, ${tcb ? 'only with TCB status UpToDate' : 'without a TCB rule of its own'}`,
        none.test(compose)
          ? 'allow no release until its owner approves one'
          : `approve release ${compose} immediately`,
      ]
    },
    irreversible: 'The app id is the address of the new contract. The contract cannot be deleted.',
    command: 'app create',
  },
  setKmsInfo: {
    caller: 'owner',
    describe: ([{ k256Pubkey, caPubkey, quote, eventlog }]) =>
      `publish the KMS’s root keys ${k256Pubkey} and ${caPubkey}, with a quote of ${bytesIn(quote)} and an event log of ${bytesIn(eventlog)} (none of it is verified)`,
    command: 'kms set-info',
  },
  setKmsQuote: {
    caller: 'owner',
    describe: ([quote]) => `publish a KMS quote of ${bytesIn(quote)} (not verified)`,
    command: '[kms set-info sets it together with the root keys]',
  },
  setKmsEventlog: {
    caller: 'owner',
    describe: ([log]) => `publish a KMS event log of ${bytesIn(log)} (not verified)`,
    command: '[kms set-info sets it together with the root keys]',
  },
  setGatewayAppId: {
    caller: 'owner',
    describe: ([id]) =>
      id === 'any'
        ? 'let guests accept any gateway: "any" switches the check off'
        : `set the gateway app to ${quoteText(id)}`,
    command: 'kms set-gateway',
  },
  setAppImplementation: {
    caller: 'owner',
    describe: ([implementation], { name }) =>
      `create new apps with the code at ${name(implementation)}; existing apps do not change`,
    command: 'deployment set-app-implementation',
  },
  setHosts: {
    caller: 'owner',
    describe: ([hosts, notAfter], context) => [
      /^0x0+$/.test(hosts)
        ? 'allow boots on any host: no host registry is used any more'
        : `allow boots only on hosts that ${context.name(hosts)} admits`,
      describeDeadline(notAfter, context),
    ],
    command: 'deployment set-hosts',
  },
  setImages: {
    caller: 'owner',
    describe: ([images, notAfter], context) => [
      /^0x0+$/.test(images)
        ? 'check no measurement sets: no image registry is used any more'
        : `deny app boots of images that are closed in ${context.name(images)}, unless their measurement set is approved there`,
      describeDeadline(notAfter, context),
    ],
    command: 'deployment set-images',
  },
  renounceUpgrades: renounceUpgrades,
  setActivationDelay: {
    caller: 'owner',
    describe: ([kind, delay, notAfter], context) => [
      `set the activation delay of the kind ${kindLabel(kind)} to ${formatDuration(delay)}, for later approvals`,
      describeDeadline(notAfter, context),
    ],
    command: 'deployment set-activation-delay',
  },
  addOsImageHash: {
    caller: 'owner',
    describe: ([id]) => describeAdd('base image', id),
    command: dstackTools,
  },
  removeOsImageHash: {
    caller: 'owner',
    describe: ([id]) => `withdraw base image ${id} immediately`,
    irreversible: versioned,
    command: dstackTools,
  },
  addKmsAggregatedMr: {
    caller: 'owner',
    describe: ([id]) => describeAdd('KMS measurement', id),
    command: dstackTools,
  },
  removeKmsAggregatedMr: {
    caller: 'owner',
    describe: ([id]) => `withdraw KMS measurement ${id} immediately`,
    irreversible: versioned,
    command: dstackTools,
  },
  addKmsDevice: {
    caller: 'owner',
    describe: ([id]) => describeAdd('KMS device', id),
    command: dstackTools,
  },
  removeKmsDevice: {
    caller: 'owner',
    describe: ([id]) => `withdraw KMS device ${id} immediately`,
    irreversible: versioned,
    command: dstackTools,
  },
}

/** Descriptions of the functions of an app. */
export const appDescriptions: FunctionDescriptions<typeof appAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  initialize: { caller: 'anyone', describe: () => 'initialize the app', command: once },
  approveManifest: {
    caller: 'owner',
    describe: ([compose, manifest, from, until, notAfter], context) => [
      `approve release ${compose}, ${describeStart(from, context)}, ${describeEnd(until, context)}, with its app-compose of ${bytesIn(manifest)} (keccak256 ${keccak256(manifest)}) as evidence; the call reverts unless the SHA-256 of these bytes is the release`,
      describeDeadline(notAfter, context),
    ],
    command: 'app release',
  },
  supersede: {
    caller: 'owner',
    describe: ([oldest, from, nextEpoch], { now }) => [
      `end all releases below number ${oldest} ${from <= (now ?? 0) ? 'immediately' : `at ${formatDeadline(from, now)}`}`,
      ...(nextEpoch
        ? [
            'open a new key epoch: the remaining releases write with new keys; they can read the old keys only until the older releases end',
          ]
        : []),
    ],
    irreversible: 'A superseded release can never boot again, even if its hash is approved again.',
    command: 'app supersede',
  },
  setNoticePeriod: {
    caller: 'owner',
    describe: ([notice]) =>
      `set the notice period to ${formatDuration(notice)}: calls that loosen the app’s rules, including calls that are already announced, must be announced this long before`,
    irreversible: 'The notice period can only increase.',
    command: 'app notice',
  },
  announce: {
    caller: 'owner',
    describe: ([digest]) =>
      `announce the call with keccak256 ${digest}; it can be executed for 30 days after the notice period`,
    command: 'app announce',
  },
  setAllowAnyDevice: {
    caller: 'owner',
    describe: ([any]) =>
      any ? 'allow the app on any device' : 'allow the app on approved devices only',
    command: 'app devices',
  },
  setRequireTcbUpToDate: {
    caller: 'owner',
    describe: ([require]) =>
      require
        ? 'require TCB status UpToDate for the app'
        : 'do not require TCB status UpToDate for the app',
    command: 'app tcb',
  },
  disableUpgrades: renounceUpgrades,
  setVariants: {
    caller: 'owner',
    describe: ([variants]) =>
      `accept only these TEE variants for the app: ${formatVariants(variants)}`,
    command: 'app variants',
  },
  transferToNewDao: {
    caller: 'owner',
    describe: ([factory, terms], context) => [
      `create a DAO for the app with the factory ${context.name(factory)}`,
      ...describeDao(terms, context),
      'transfer the app to the new DAO immediately; the previous owner loses all rights',
    ],
    irreversible:
      'Only the new DAO can transfer the app again. The factory decides which contract becomes the owner.',
    command: 'dao create',
  },
  addComposeHash: {
    caller: 'owner',
    describe: ([id]) => describeAdd('release', id),
    command: dstackTools,
  },
  removeComposeHash: {
    caller: 'owner',
    describe: ([id]) => `withdraw release ${id} immediately`,
    irreversible: versioned,
    command: dstackTools,
  },
  addDevice: {
    caller: 'owner',
    describe: ([id]) => describeAdd('device', id),
    command: dstackTools,
  },
  removeDevice: {
    caller: 'owner',
    describe: ([id]) => `withdraw device ${id} immediately`,
    irreversible: versioned,
    command: dstackTools,
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

/** Names of the TCB statuses; the index is the number in `contracts/types/Report.sol`. */
export const onChainStatuses: readonly string[] = statusNames

const verifier = {
  caller: 'owner',
  describe: ([address, notAfter]: readonly [Address, number], context: DescriptionContext) => [
    `use ${context.name(address)} as quote verifier instead of the current one`,
    describeDeadline(notAfter, context),
  ],
  irreversible: 'The code of the quote verifier decides which quotes are genuine.',
  command: 'deployment set-verifier',
} as const

/** Descriptions of the functions of the host registry. */
export const hostsDescriptions: FunctionDescriptions<typeof hostsAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  initialize: { caller: 'anyone', describe: () => 'initialize the registry', command: once },
  register: {
    caller: 'anyone',
    describe: ([quote, block]) =>
      `register a host with a quote of ${bytesIn(quote)} made after block ${block}; the sender is or becomes its operator`,
    command: 'host register',
  },
  registerFor: {
    caller: 'anyone',
    describe: ([operator, quote, block, deadline], { name }) =>
      `register a host of ${name(operator)} with a quote of ${bytesIn(quote)} made after block ${block} and the operator’s permit, ${describeValidity(Number(deadline))}`,
    command: 'host register',
  },
  setOperator: {
    caller: 'owner',
    describe: ([device, operator, notAfter], context) => [
      /^0x0+$/.test(operator)
        ? `remove the operator of host ${device}: the next account that registers it becomes its operator`
        : `make ${context.name(operator)} the operator of host ${device}`,
      describeDeadline(notAfter, context),
    ],
    irreversible: 'The previous operator cannot renew the host proof any more.',
    command: 'host set-operator',
  },
  setRules: {
    caller: 'owner',
    describe: ([rules, notAfter], context) => [
      rules.isOpen
        ? `approve each host with its first host proof, active after ${formatDuration(rules.activationDelay)}`
        : 'let only the DAO approve hosts',
      `let a host proof count as long as its collateral is valid, at least ${formatDuration(rules.minLifetime)} and at most ${formatDuration(rules.maxLifetime)}`,
      `accept quotes from the last ${rules.window} blocks, with TCB evaluation number ${rules.minEvaluationNumber} or higher`,
      rules.attestedSince === 0
        ? 'count host proofs of any age'
        : `count only host proofs registered since ${formatDeadline(rules.attestedSince, context.now)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'host set-rules',
  },
  setStatusAcceptedUntil: {
    caller: 'owner',
    describe: ([status, until, notAfter], context) => [
      until === 0
        ? `deny hosts with TCB status ${statusNames[status] ?? status}`
        : `accept hosts with TCB status ${statusNames[status] ?? status} ${until >= noEnd ? 'without end time' : `until ${formatDeadline(until, context.now)}`}`,
      describeDeadline(notAfter, context),
    ],
    command: 'host set-tcb-status',
  },
  setAdvisoriesDenied: {
    caller: 'owner',
    describe: ([advisories, isDenied, notAfter], context) => [
      `${isDenied ? 'deny' : 'accept again'} hosts that are affected by ${advisories.map(describeAdvisory).join(', ')}, in later host proofs`,
      describeDeadline(notAfter, context),
    ],
    command: 'host set-advisories',
  },
  setVerifier: verifier,
  renounceUpgrades: renounceUpgrades,
  setBonds: {
    caller: 'owner',
    describe: ([bonds, notAfter], context) => [
      /^0x0+$/.test(bonds)
        ? 'require no bonds from operators any more'
        : `admit only hosts whose operator has a bond in ${context.name(bonds)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'deployment set-bonds',
  },
  setContinuityDelay: {
    caller: 'owner',
    describe: ([delay, notAfter], context) => [
      delay === 0
        ? 'let no host continue under a new device id'
        : `let a host continue under a new device id, active after ${formatDuration(delay)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'host set-continuity-delay',
  },
  endProof: {
    caller: 'anyone',
    describe: ([device]) =>
      `end the proof of host ${device}, if its certificate is revoked or expired or its TCB status is not accepted any more`,
    irreversible: 'The host needs a new proof.',
    command: 'host end-proof',
  },
  continueAs: {
    caller: 'anyone',
    describe: ([from, to, deadline]) =>
      `let host ${from} continue as ${to}, with its operator’s signature, ${describeValidity(Number(deadline))}: the old id is withdrawn immediately, the new id is active after the continuity delay`,
    irreversible: 'The old id needs a new approval.',
    command: 'host continue',
  },
}

/** Descriptions of the functions of the bonds. */
export const hostBondsDescriptions: FunctionDescriptions<typeof hostBondsAbi> = {
  ...ownershipDescriptions,
  upgradeToAndCall: upgrade,
  renounceUpgrades: renounceUpgrades,
  initialize: { caller: 'anyone', describe: () => 'initialize the bonds', command: once },
  deposit: {
    caller: 'anyone',
    describe: ([device, amount]) =>
      `deposit ${amount} smallest units of the bond token for host ${device}`,
    irreversible:
      'The deposit is paid back only after the unbonding time, and the DAO can slash it.',
    command: 'host bond',
  },
  unbond: {
    caller: 'anyone',
    describe: ([device, amount]) =>
      `unbond ${amount} smallest units of the bond for host ${device}; they can be paid out after the unbonding time`,
    command: 'host unbond',
  },
  withdraw: {
    caller: 'anyone',
    describe: ([device]) => `pay out the unbonded deposit for host ${device}`,
    command: 'host withdraw-bond',
  },
  slash: {
    caller: 'owner',
    describe: ([device, holder, amount, to, evidence, notAfter], context) => [
      `slash up to ${amount} smallest units of the bond of ${context.name(holder)} for host ${device} and pay them to ${context.name(to)}, ${describeEvidence(evidence)}`,
      describeDeadline(notAfter, context),
    ],
    irreversible: 'Only the recipient can pay the amount back.',
    command: 'host slash',
  },
  setTerms: {
    caller: 'owner',
    describe: ([minimum, unbonding, notAfter], context) => [
      `require a bond of ${minimum} smallest units for each host, with an unbonding time of ${formatDuration(unbonding)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'host set-bond-terms',
  },
  setSlashLimit: {
    caller: 'owner',
    describe: ([slasher, limit, notAfter], context) => [
      limit === 0n
        ? `let ${context.name(slasher)} slash no bonds any more`
        : `let the contract ${context.name(slasher)} slash up to ${limit} smallest units of any bond for each fault that it proves, in favour of the DAO`,
      describeDeadline(notAfter, context),
    ],
    command: 'host set-slash-limit',
  },
  slashFault: {
    caller: 'anyone',
    describe: ([device, holder, amount, evidence], { name }) =>
      `slash up to ${amount} smallest units of the bond of ${name(holder)} for host ${device} in favour of the DAO, if the caller may, ${describeEvidence(evidence)}`,
    irreversible: 'Only the DAO can pay the amount back.',
    command: '[only contracts that the DAO named can call it]',
  },
}

/** Descriptions of the functions of the image registry. */
export const imagesDescriptions: FunctionDescriptions<typeof imagesAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  renounceUpgrades: renounceUpgrades,
  initialize: { caller: 'anyone', describe: () => 'initialize the registry', command: once },
  approveMeasurementSets: {
    caller: 'owner',
    describe: ([sets, notAfter], context) => [
      ...sets.map(
        ({ osImageHash, variant, registers, activeFrom, expiresAt, evidence }) =>
          `approve the ${teeVariants[variant] ?? variant} measurement set ${registers} of base image ${osImageHash}, ${describeStart(activeFrom, context)}, ${describeEnd(expiresAt, context)}, ${describeEvidence(evidence)}`,
      ),
      describeDeadline(notAfter, context),
    ],
    command: 'image approve-measurements',
  },
  setImageName: {
    caller: 'owner',
    describe: ([image, release]) =>
      `name base image ${image} ${quoteText(release)}; the name changes no decision`,
    command: 'image set-name',
  },
  closeImages: {
    caller: 'owner',
    describe: ([images]) =>
      `deny app boots of base image ${images.join(', ')} without an approved measurement set`,
    command: 'image close',
  },
  openImages: {
    caller: 'owner',
    describe: ([images, notAfter], context) => [
      `allow app boots of base image ${images.join(', ')} without an approved measurement set, if the KMS can verify the image itself`,
      describeDeadline(notAfter, context),
    ],
    command: 'image open',
  },
  setActivationDelay: {
    caller: 'owner',
    describe: ([delay, notAfter], context) => [
      `set the activation delay of measurement sets to ${formatDuration(delay)}, for later approvals`,
      describeDeadline(notAfter, context),
    ],
    command: 'deployment set-activation-delay',
  },
}

/** Descriptions of the functions of the DAO factory. */
export const daoFactoryDescriptions: FunctionDescriptions<typeof daoFactoryAbi> = {
  create: {
    caller: 'anyone',
    describe: ([terms], context) => ['create a DAO', ...describeDao(terms, context)],
    command: 'dao create',
  },
}

/** The text of an advisory id. It has at most 32 bytes, padded with zeros on the right. */
export function describeAdvisory(bytes32: string): string {
  const text = Buffer.from(bytes32.slice(2), 'hex').toString('latin1').replace(/\0+$/, '')
  return /^[\x20-\x7e]+$/.test(text) ? text : bytes32
}

/** Descriptions of the functions of the registry of root keys. */
export const rootKeysDescriptions: FunctionDescriptions<typeof rootKeysAbi> = {
  ...registryDescriptions,
  upgradeToAndCall: upgrade,
  initialize: { caller: 'anyone', describe: () => 'initialize the registry', command: once },
  prove: {
    caller: 'anyone',
    describe: ([quote, ca, k256]) =>
      `register the root keys ${k256} and ${ca} with their bootstrap quote (${bytesIn(quote)}); they become a root key epoch only if the DAO approves root key ${keccak256(`${ca}${k256.slice(2)}`)}`,
    command: 'kms register-root',
  },
  setVerifier: verifier,
  renounceUpgrades: renounceUpgrades,
}

/**
 * Descriptions of the quote verifier's functions, which upload collateral. Anyone can call them: Intel's signatures
 * decide.
 */
export const verifierDescriptions: FunctionDescriptions<typeof quoteVerifierAbi> = {
  uploadIssuer: {
    caller: 'anyone',
    describe: () => 'store a certificate chain of Intel',
    command: collateral,
  },
  uploadCrl: {
    caller: 'anyone',
    describe: () => 'store a CRL of Intel',
    command: collateral,
  },
  uploadTcbInfo: {
    caller: 'anyone',
    describe: () => 'store TCB info of Intel',
    command: collateral,
  },
  uploadQeIdentity: {
    caller: 'anyone',
    describe: () => 'store a QE identity of Intel',
    command: collateral,
  },
  uploadEvaluationNumbers: {
    caller: 'anyone',
    describe: () => 'store Intel’s TCB evaluation numbers',
    command: collateral,
  },
  register: {
    caller: 'anyone',
    describe: () =>
      'store a verified PCK certificate, so that later quotes of the platform cost less gas',
    command: '[it changes no decision and only saves gas later; the relayer does it]',
  },
  registerVerdict: {
    caller: 'anyone',
    describe: () =>
      'store a verified TCB verdict, so that later quotes of the platform cost less gas',
    command: '[it changes no decision and only saves gas later; the relayer does it]',
  },
}
