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
import type { DaoTerms } from '../settings.ts'
import { evidenceInWords, ownershipDeeds, registryDeeds } from './registry.ts'
import {
  type Deeds,
  durationInWords,
  fromInWords,
  kindInWords,
  lateInWords,
  type Told,
  timeInWords,
  untilInWords,
  whenInWords,
} from './types.ts'

const atOnce =
  '[dstack’s tools do it; ours use approve and withdraw, which say from when, until when and on what evidence]'
const once = '[only once, in the deployment]'
const collateral = 'put-collateral'

const versioned = 'What is withdrawn comes back only as a new version, by a new approval.'

const upgrade = {
  by: 'owner',
  says: ([implementation, data]: readonly [Address, Hex], { name }: Told) =>
    `replace all of the contract’s code by that at ${name(implementation)}${data === '0x' ? '' : ` and call it with ${data}`}`,
  final: 'New code can do anything, also to what was approved before.',
  command: 'upgrade',
} as const

const giveUpUpgrades = {
  by: 'owner',
  says: () => 'give up upgrades of the contract',
  final: 'Its code can never be changed again, not to mend a fault either.',
  command: 'freeze',
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
export function variantsInWords(bits: number): string {
  return variantNames.filter((_, n) => (bits >> n) & 1).join(', ')
}

/** `12 bytes` */
function bytesIn(hex: Hex): string {
  return `${(hex.length - 2) / 2} bytes`
}

function daoInWords(terms: DaoTerms, told: Told): string[] {
  const { underlying, holder, supply, symbol, guardian } = terms
  return [
    /^0x0+$/.test(underlying)
      ? `votes: ${formatUnits(supply, 18)} new ${symbol}, all of them to ${told.name(holder)}`
      : `votes: one ${symbol} for each token of ${told.name(underlying)} that is deposited`,
    /^0x0+$/.test(underlying)
      ? `${formatUnits(terms.proposalThreshold, 18)} votes to propose, ${terms.quorumPercent} percent of all votes must take part`
      : `${terms.proposalThreshold} of the token’s smallest units to propose, ${terms.quorumPercent} percent of all tokens that there are now must take part, deposited or not`,
    `${durationInWords(terms.votingDelay)} until the vote, ${durationInWords(terms.votingPeriod)} of voting (${durationInWords(terms.lateQuorumExtension)} more if the quorum comes late), ${durationInWords(Number(terms.timelockDelay))} in the timelock`,
    /^0x0+$/.test(guardian)
      ? 'no guardian'
      : `guardian ${told.name(guardian)}, who may suspend for ${durationInWords(terms.suspension)} and cancel proposals`,
  ]
}

export const kmsAuthDeeds: Deeds<typeof kmsAuthAbi> = {
  ...registryDeeds,
  upgradeToAndCall: upgrade,
  initialize: { by: 'anyone', says: () => 'set the contract up', command: once },
  initializeGoverned: { by: 'anyone', says: () => 'set the contract up', command: once },
  registerApp: {
    by: 'anyone',
    says: ([app], { name }) => `let the contract ${name(app)} answer for its own app`,
    command: 'register-app',
  },
  deployAndRegisterApp: {
    by: 'anyone',
    says: (args, { name }) => {
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
    final: 'An app’s id is the address of its contract; the contract stays on the chain.',
    command: 'create-app',
  },
  setKmsInfo: {
    by: 'owner',
    says: ([{ k256Pubkey, caPubkey, quote, eventlog }]) =>
      `publish the KMS’s root keys ${k256Pubkey} and ${caPubkey}, with a quote of ${bytesIn(quote)} and an event log of ${bytesIn(eventlog)} (nothing of it is verified)`,
    command: 'set-kms-info',
  },
  setKmsQuote: {
    by: 'owner',
    says: ([quote]) => `publish a KMS quote of ${(quote.length - 2) / 2} bytes (not verified)`,
    command: '[set-kms-info sets it together with the keys that it is about]',
  },
  setKmsEventlog: {
    by: 'owner',
    says: ([log]) => `publish a KMS event log of ${(log.length - 2) / 2} bytes (not verified)`,
    command: '[set-kms-info sets it together with the keys that it is about]',
  },
  setGatewayAppId: {
    by: 'owner',
    says: ([id]) =>
      id === 'any'
        ? 'let guests accept any gateway: the word "any" switches the check off'
        : `name ${id} as the gateway app`,
    command: 'set-gateway',
  },
  setAppImplementation: {
    by: 'owner',
    says: ([implementation], { name }) =>
      `make new apps of the code at ${name(implementation)}; those that exist stay as they are`,
    command: 'set-app-implementation',
  },
  setHosts: {
    by: 'owner',
    says: ([hosts, notAfter], told) => [
      /^0x0+$/.test(hosts)
        ? 'boot on any machine: no registry of hosts is asked any more'
        : `boot only on machines that ${told.name(hosts)} admits, from now on`,
      lateInWords(notAfter, told),
    ],
    command: 'set-hosts',
  },
  setImages: {
    by: 'owner',
    says: ([images, notAfter], told) => [
      /^0x0+$/.test(images)
        ? 'ask no registry of images any more which measurements an image may show'
        : `refuse app boots of images that ${told.name(images)} has closed, unless they show measurements approved there`,
      lateInWords(notAfter, told),
    ],
    command: 'set-images',
  },
  renounceUpgrades: giveUpUpgrades,
  setActivationDelay: {
    by: 'owner',
    says: ([kind, delay, notAfter], told) => [
      `let ${durationInWords(delay)} pass between an approval of a ${kindInWords(kind)} and its use, for later approvals`,
      lateInWords(notAfter, told),
    ],
    command: 'set-delay',
  },
  addOsImageHash: {
    by: 'owner',
    says: ([id]) => `allow OS image ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeOsImageHash: {
    by: 'owner',
    says: ([id]) => `withdraw OS image ${id} at once`,
    final: versioned,
    command: atOnce,
  },
  addKmsAggregatedMr: {
    by: 'owner',
    says: ([id]) => `allow KMS measurement ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeKmsAggregatedMr: {
    by: 'owner',
    says: ([id]) => `withdraw KMS measurement ${id} at once`,
    final: versioned,
    command: atOnce,
  },
  addKmsDevice: {
    by: 'owner',
    says: ([id]) => `allow KMS device ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeKmsDevice: {
    by: 'owner',
    says: ([id]) => `withdraw KMS device ${id} at once`,
    final: versioned,
    command: atOnce,
  },
}

export const appDeeds: Deeds<typeof appAbi> = {
  ...registryDeeds,
  upgradeToAndCall: upgrade,
  initialize: { by: 'anyone', says: () => 'set the app up', command: once },
  approveManifest: {
    by: 'owner',
    says: ([compose, manifest, from, until, notAfter], told) => [
      `approve release ${compose} ${fromInWords(from, told)}, ${untilInWords(until, told)}, with its manifest of ${(manifest.length - 2) / 2} bytes (keccak256 ${keccak256(manifest)}) as evidence; refused unless it hashes to the release`,
      lateInWords(notAfter, told),
    ],
    command: 'release',
  },
  supersede: {
    by: 'owner',
    says: ([oldest, from, nextEpoch], { now }) => [
      `end all releases below number ${oldest} ${from <= (now ?? 0) ? 'at once' : `at ${whenInWords(from, now)}`}`,
      ...(nextEpoch
        ? [
            'open a new key epoch: the others write with new keys; until then they may read the old ones, afterwards nobody may',
          ]
        : []),
    ],
    final: 'A superseded release does not come back, not by adding its hash again either.',
    command: 'supersede',
  },
  setNotice: {
    by: 'owner',
    says: ([notice]) =>
      `bind the owner to announce for ${durationInWords(notice)} whatever loosens the rules, also what is announced already`,
    final: 'A notice can only grow.',
    command: 'set-notice',
  },
  announce: {
    by: 'owner',
    says: ([digest]) =>
      `announce the call whose keccak256 is ${digest}; it may be made for 30 days once the notice is over`,
    command: 'announce',
  },
  setAllowAnyDevice: {
    by: 'owner',
    says: ([any]) => (any ? 'boot the app on any device' : 'boot the app on approved devices only'),
    command: 'set-any-device',
  },
  setRequireTcbUpToDate: {
    by: 'owner',
    says: ([require]) =>
      require
        ? 'boot the app only where the TCB is up to date'
        : 'boot the app whatever the state of the TCB',
    command: 'set-tcb-required',
  },
  disableUpgrades: giveUpUpgrades,
  setVariants: {
    by: 'owner',
    says: ([variants]) => `let ${variantsInWords(variants)} vouch for boots of the app`,
    command: 'set-variants',
  },
  handOver: {
    by: 'owner',
    says: ([factory, terms], told) => [
      `make a DAO of its own for the app, by ${told.name(factory)}`,
      ...daoInWords(terms, told),
      'give the app to it at once: the owner until now decides nothing any more',
    ],
    final: 'Only the new DAO can give the app away again; whatever the factory returns owns it.',
    command: 'found-dao',
  },
  addComposeHash: {
    by: 'owner',
    says: ([id]) => `allow release ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeComposeHash: {
    by: 'owner',
    says: ([id]) => `withdraw release ${id} at once`,
    final: versioned,
    command: atOnce,
  },
  addDevice: {
    by: 'owner',
    says: ([id]) => `allow device ${id} without an end, on no evidence`,
    command: atOnce,
  },
  removeDevice: {
    by: 'owner',
    says: ([id]) => `withdraw device ${id} at once`,
    final: versioned,
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
  by: 'owner',
  says: ([address, notAfter]: readonly [Address, number], told: Told) => [
    `believe the quotes that ${told.name(address)} believes, instead of those until now`,
    lateInWords(notAfter, told),
  ],
  final: 'Whoever wrote that verifier decides which quotes count.',
  command: 'set-verifier',
} as const

export const hostsDeeds: Deeds<typeof hostsAbi> = {
  ...registryDeeds,
  upgradeToAndCall: upgrade,
  initialize: { by: 'anyone', says: () => 'set the registry up', command: once },
  register: {
    by: 'anyone',
    says: ([quote, block]) =>
      `prove a machine by a quote of ${(quote.length - 2) / 2} bytes made after block ${block}; the sender is or becomes its operator`,
    command: 'register-host',
  },
  registerFor: {
    by: 'anyone',
    says: ([operator, quote, block, deadline], { name }) =>
      `prove a machine of ${name(operator)} by a quote of ${(quote.length - 2) / 2} bytes made after block ${block}, with the operator’s permit, which ends ${timeInWords(Number(deadline))}`,
    command: 'register-host',
  },
  setOperator: {
    by: 'owner',
    says: ([device, operator, notAfter], told) => [
      /^0x0+$/.test(operator)
        ? `take machine ${device} from its operator: whoever proves it next becomes its operator`
        : `give machine ${device} to ${told.name(operator)}, until another operator is named`,
      lateInWords(notAfter, told),
    ],
    final: 'The operator until now cannot renew the machine’s proof any more.',
    command: 'set-operator',
  },
  setRules: {
    by: 'owner',
    says: ([rules, notAfter], told) => [
      rules.isOpen
        ? `let the first proof of a machine approve it, after ${durationInWords(rules.activationDelay)}`
        : 'let only the DAO approve machines',
      `let a proof last as long as Intel’s collateral, but at least ${durationInWords(rules.minLifetime)} and at most ${durationInWords(rules.maxLifetime)}`,
      `accept quotes made in the last ${rules.window} blocks, by TCB evaluation number ${rules.minEvaluationNumber} or later`,
      rules.attestedSince === 0
        ? 'count proofs of any age'
        : `count only proofs brought since ${whenInWords(rules.attestedSince, told.now)}`,
      lateInWords(notAfter, told),
    ],
    command: 'set-host-rules',
  },
  setStatusRule: {
    by: 'owner',
    says: ([status, until, notAfter], told) => [
      until === 0
        ? `let no machine boot whose TCB is ${statusNames[status] ?? status}`
        : `let machines boot whose TCB is ${statusNames[status] ?? status}, until ${until >= 2 ** 40 - 1 ? 'further notice' : whenInWords(until, told.now)}`,
      lateInWords(notAfter, told),
    ],
    command: 'set-tcb-status',
  },
  setAdvisoriesDenied: {
    by: 'owner',
    says: ([advisories, isDenied, notAfter], told) => [
      `${isDenied ? 'refuse' : 'accept again'} machines that ${advisories.map(advisoryInWords).join(', ')} concerns, in later proofs`,
      lateInWords(notAfter, told),
    ],
    command: 'set-advisories',
  },
  setVerifier: verifier,
  renounceUpgrades: giveUpUpgrades,
  setBonds: {
    by: 'owner',
    says: ([bonds, notAfter], told) => [
      /^0x0+$/.test(bonds)
        ? 'ask operators for no bond any more'
        : `admit only machines whose operator has a bond at ${told.name(bonds)}`,
      lateInWords(notAfter, told),
    ],
    command: 'set-bonds',
  },
  setContinuityDelay: {
    by: 'owner',
    says: ([delay, notAfter], told) => [
      delay === 0
        ? 'let no machine go on under a new id'
        : `let a machine go on under a new id, ${durationInWords(delay)} after its operator said so`,
      lateInWords(notAfter, told),
    ],
    command: 'set-continuity',
  },
  endProof: {
    by: 'anyone',
    says: ([device]) =>
      `end the proof of machine ${device}, if its quote is provably dead: certificate revoked or expired, or a TCB that no longer passes`,
    final: 'The machine needs a new proof.',
    command: 'end-proof',
  },
  continueAs: {
    by: 'anyone',
    says: ([from, to, deadline]) =>
      `let machine ${from} go on as ${to}, by its operator’s signature, which ends ${timeInWords(Number(deadline))}: the old id is withdrawn at once, the new one is active after the continuity delay`,
    final: 'The old id comes back only by a new approval.',
    command: 'continue-host',
  },
}

export const hostBondsDeeds: Deeds<typeof hostBondsAbi> = {
  ...ownershipDeeds,
  upgradeToAndCall: upgrade,
  renounceUpgrades: giveUpUpgrades,
  initialize: { by: 'anyone', says: () => 'set the bonds up', command: once },
  deposit: {
    by: 'anyone',
    says: ([device, amount]) =>
      `deposit ${amount} of the bond token’s smallest units for machine ${device}`,
    final: 'It comes back only after the unbonding time, and the DAO may slash it.',
    command: 'bond',
  },
  unbond: {
    by: 'anyone',
    says: ([device, amount]) =>
      `take ${amount} units out of the bond of machine ${device}; they are paid out after the unbonding time`,
    command: 'unbond',
  },
  withdraw: {
    by: 'anyone',
    says: ([device]) => `pay out what has left the bond of machine ${device}`,
    command: 'withdraw-bond',
  },
  slash: {
    by: 'owner',
    says: ([device, holder, amount, to, evidence, notAfter], told) => [
      `take up to ${amount} units of the bond of ${told.name(holder)} for machine ${device} and give them to ${told.name(to)}, ${evidenceInWords(evidence)}`,
      lateInWords(notAfter, told),
    ],
    final: 'Only who got it can give it back.',
    command: 'slash',
  },
  setTerms: {
    by: 'owner',
    says: ([minimum, unbonding, notAfter], told) => [
      `ask a bond of ${minimum} units for each machine, paid back ${durationInWords(unbonding)} after it is asked for`,
      lateInWords(notAfter, told),
    ],
    command: 'set-bond-terms',
  },
}

export const imagesDeeds: Deeds<typeof imagesAbi> = {
  ...registryDeeds,
  upgradeToAndCall: upgrade,
  renounceUpgrades: giveUpUpgrades,
  initialize: { by: 'anyone', says: () => 'set the registry up', command: once },
  approveSets: {
    by: 'owner',
    says: ([sets, notAfter], told) => [
      ...sets.map(
        ({ osImageHash, variant, registers, activeFrom, expiresAt, evidence }) =>
          `let OS image ${osImageHash} show the ${variantNames[variant] ?? variant} registers ${registers} ${fromInWords(activeFrom, told)}, ${untilInWords(expiresAt, told)}, ${evidenceInWords(evidence)}`,
      ),
      lateInWords(notAfter, told),
    ],
    command: 'approve-measurements',
  },
  nameRelease: {
    by: 'owner',
    says: ([image, release]) => `call OS image ${image} "${release}"; nothing depends on it`,
    command: 'name-image',
  },
  closeImages: {
    by: 'owner',
    says: ([images]) =>
      `refuse app boots of OS image ${images.join(', ')} that show no approved measurements`,
    command: 'close-images',
  },
  openImages: {
    by: 'owner',
    says: ([images, notAfter], told) => [
      `let app boots of OS image ${images.join(', ')} show whatever the KMS itself can recompute`,
      lateInWords(notAfter, told),
    ],
    command: 'open-images',
  },
  setActivationDelay: {
    by: 'owner',
    says: ([delay, notAfter], told) => [
      `let ${durationInWords(delay)} pass between an approval of measurements and their use, for later approvals`,
      lateInWords(notAfter, told),
    ],
    command: 'set-delay',
  },
}

export const daoFactoryDeeds: Deeds<typeof daoFactoryAbi> = {
  create: {
    by: 'anyone',
    says: ([terms], told) => ['make a DAO', ...daoInWords(terms, told)],
    command: 'found-dao',
  },
}

/** Advisories are texts of at most 32 bytes, padded on the right. */
export function advisoryInWords(bytes32: string): string {
  const text = Buffer.from(bytes32.slice(2), 'hex').toString('latin1').replace(/\0+$/, '')
  return /^[\x20-\x7e]+$/.test(text) ? text : bytes32
}

export const rootKeysDeeds: Deeds<typeof rootKeysAbi> = {
  ...registryDeeds,
  upgradeToAndCall: upgrade,
  initialize: { by: 'anyone', says: () => 'set the registry up', command: once },
  prove: {
    by: 'anyone',
    says: ([quote, ca, k256]) =>
      `prove the root keys ${k256} and ${ca} by the quote of their making (${(quote.length - 2) / 2} bytes); they open an epoch only when the DAO approves ${keccak256(`${ca}${k256.slice(2)}`)}`,
    command: 'prove-root-key',
  },
  setVerifier: verifier,
  renounceUpgrades: giveUpUpgrades,
}

export const verifierDeeds: Deeds<typeof quoteVerifierAbi> = {
  putIssuer: {
    by: 'anyone',
    says: () => 'store a certificate chain of Intel',
    command: collateral,
  },
  putCrl: { by: 'anyone', says: () => 'store a revocation list of Intel', command: collateral },
  putTcbInfo: { by: 'anyone', says: () => 'store TCB info of Intel', command: collateral },
  putQeIdentity: { by: 'anyone', says: () => 'store a QE identity of Intel', command: collateral },
  putEvaluationNumbers: {
    by: 'anyone',
    says: () => 'store Intel’s evaluation numbers',
    command: collateral,
  },
  register: {
    by: 'anyone',
    says: () => 'keep the verified record of a machine, so that later quotes are cheaper',
    command: '[it changes no decision, only the gas of later ones; the relayer does it]',
  },
  registerVerdict: {
    by: 'anyone',
    says: () => 'keep a verified verdict, so that later quotes are cheaper',
    command: '[it changes no decision, only the gas of later ones; the relayer does it]',
  },
}
