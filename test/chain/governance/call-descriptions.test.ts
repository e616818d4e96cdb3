/**
 * Calldata and the exact description that a voter reads, for every function that a proposal can call.
 *
 * Both sides of each condition in a description are tested, so that no text can say the opposite of its call.
 */

import {
  type Abi,
  type AbiFunction,
  encodeFunctionData,
  getAddress,
  type Hex,
  keccak256,
  stringToHex,
} from 'viem'
import { describe, expect, test } from 'vitest'
import { noEnd } from '../../../src/chain/approval.ts'

import { encodeEvidence } from '../../../src/chain/governance/approval-evidence.ts'
import { describeEvidence } from '../../../src/chain/governance/call-descriptions/registry.ts'
import {
  type AddressBook,
  type ContractType,
  describeCall,
  describedContracts,
} from '../../../src/chain/governance/describe-call.ts'
import {
  formatDeadline,
  formatDuration,
  formatTime,
} from '../../../src/chain/governance/format-time.ts'
import { describeProposal } from '../../../src/chain/governance/proposal-text.ts'
import { escapeText } from '../../../src/lib/printable.ts'

const here: Hex = `0x${'11'.repeat(20)}`
const alice = getAddress(`0x${'a1'.repeat(20)}`)
const bob = getAddress(`0x${'b0'.repeat(20)}`)
const nobody: Hex = `0x${'00'.repeat(20)}`
const id = (byte: string): Hex => `0x${byte.repeat(32)}`
const none = id('00')

/** 2027-01-15 08:00:00 UTC, and a day later. */
const soon = 1_800_000_000
const later = soon + 86_400

const inTime = 'revert the whole transaction if it is executed after 2027-01-15 08:00:00 UTC'
const everLate = 'allow execution at any later time'
const versioned = 'A withdrawn id needs a new approval, which gets a new version.'
const oneVote = 'A vote cannot be changed.'
const newCode = 'New code can do anything, including changes to existing approvals.'
const noCode = 'The code can never be changed again, not even to fix a bug.'
const A = `alice (${alice})`
const B = `bob (${bob})`

const evidence = encodeEvidence(
  {
    source: { repository: 'https://example.org/image', commit: 'c'.repeat(40) },
    recipe: 'make dist',
  },
  'osImage',
  id('01'),
)

const dao = {
  name: 'Votes',
  symbol: 'V',
  underlying: nobody,
  holder: alice,
  supply: 1_000n * 10n ** 18n,
  votingDelay: 86_400,
  votingPeriod: 432_000,
  lateQuorumExtension: 3_600,
  proposalThreshold: 5n * 10n ** 18n,
  quorumPercent: 20n,
  timelockDelay: 172_800n,
  guardian: bob,
  suspension: 604_800,
}
const course =
  'voting delay 1 day, voting period 5 days (open for at least 1 hour after the quorum is reached), timelock delay 2 days'
const ownVotes = [
  `votes: 1000 new "V", all to ${A}`,
  'proposal threshold 5 votes, quorum 20 percent of all votes',
  course,
  `guardian ${B}, who can suspend approvals for 7 days and cancel proposals`,
]
const wrappedVotes = [
  `votes: one "V" for each deposited token of ${B}`,
  'proposal threshold 5000000000000000000 smallest token units, quorum 20 percent of 1000000000000000000000 smallest token units, or of all deposited tokens if they are more',
  course,
  'no guardian',
]
const wrapped = { ...dao, underlying: bob, guardian: nobody }

const rules = {
  attestedSince: 0,
  minLifetime: 3_600,
  maxLifetime: 2_592_000,
  window: 200,
  minEvaluationNumber: 17,
  isOpen: false,
  activationDelay: 86_400,
}

type Row = readonly [
  call: string,
  /** Or `any`: the sentence depends on none of them. */
  args: readonly unknown[] | 'any',
  effects: string | readonly string[],
  irreversible?: string,
]

const registry: readonly Row[] = [
  [
    'approve',
    [
      [
        { kind: 0, id: id('01'), activeFrom: 0, expiresAt: 0, evidence: '0x' },
        { kind: 6, id: id('02'), activeFrom: soon, expiresAt: later, evidence: '0x1234' },
        { kind: 99, id: id('03'), activeFrom: 0, expiresAt: 0, evidence },
      ],
      soon,
    ],
    [
      `approve base image ${id('01')}, active after the activation delay of its kind, without end time, without evidence`,
      `approve host ${id('02')}, active from 2027-01-15 08:00:00 UTC, until 2027-01-16 08:00:00 UTC, with evidence ${keccak256('0x1234')} (2 bytes, not an evidence document)`,
      `approve id of the unknown kind 99 ${id('03')}, active after the activation delay of its kind, without end time, with evidence ${keccak256(evidence)}: https://example.org/image at ${'c'.repeat(40)}, built by "make dist"`,
      inTime,
    ],
  ],
  ['approve', [[], noEnd], [everLate]],
  [
    'extend',
    [1, [id('01'), id('02')], later, soon],
    [`extend KMS measurement ${id('01')}, ${id('02')} until 2027-01-16 08:00:00 UTC`, inTime],
  ],
  [
    'extend',
    [2, [id('01')], 0, noEnd],
    [`extend KMS device ${id('01')} without end time`, everLate],
  ],
  [
    'shorten',
    [3, [id('01')], soon],
    `end app ${id('01')} at 2027-01-15 08:00:00 UTC`,
    'The end can be extended only before it is reached.',
  ],
  [
    'shorten',
    [6, [id('01')], soon],
    `end host ${id('01')} and every device id that continues it at 2027-01-15 08:00:00 UTC`,
    'The end can be extended only before it is reached.',
  ],
  ['withdraw', [4, [id('01')]], `withdraw release ${id('01')} immediately`, versioned],
  [
    'withdraw',
    [6, [id('01')]],
    `withdraw host ${id('01')} and every device id that continues it immediately`,
    versioned,
  ],
  [
    'revoke',
    [5, [id('01')]],
    `revoke device ${id('01')} immediately and permanently`,
    'A revoked id can never be approved again.',
  ],
  [
    'suspend',
    [7, [id('01')]],
    `suspend root key ${id('01')} immediately, for the suspension time of this registry`,
  ],
  [
    'lift',
    [8, [id('01')], soon],
    [`lift the suspension of measurement set ${id('01')} immediately`, inTime],
  ],
  [
    'lift',
    [0, [id('01')], noEnd],
    [`lift the suspension of base image ${id('01')} immediately`, everLate],
  ],
  [
    'markExpired',
    [0, [id('01')]],
    `mark expired approvals as withdrawn: base image ${id('01')}; this changes no decision`,
    'A marked approval cannot be extended, only approved again.',
  ],
  [
    'setGuardian',
    [alice, 86_400, soon],
    [
      `make ${A} the guardian, who can suspend for 1 day each time; it replaces the current guardian`,
      inTime,
    ],
  ],
  [
    'setGuardian',
    [nobody, 3_600, noEnd],
    ['remove the guardian: only the owner can suspend, for 1 hour each time', everLate],
  ],
  ['requireNotAfter', [soon], inTime],
  ['requireNotAfter', [noEnd], everLate],
  ...ownership(),
]

function ownership(): Row[] {
  return [
    [
      'transferOwnership',
      [alice],
      `offer the ownership to ${A}; the owner changes only when the new owner accepts`,
    ],
    [
      'acceptOwnership',
      [],
      'accept the ownership that was offered to the sender of this call',
      'The previous owner loses all rights.',
    ],
    [
      'renounceOwnership',
      [],
      'give up the ownership: the contract will have no owner',
      'Nobody can approve, withdraw or change anything in this contract again.',
    ],
  ]
}

const upgrades: readonly Row[] = [
  ['upgradeToAndCall', [alice, '0x'], `replace the contract’s code with the code at ${A}`, newCode],
  [
    'upgradeToAndCall',
    [alice, '0x1234'],
    `replace the contract’s code with the code at ${A} and call it with 0x1234`,
    newCode,
  ],
]
const renounced: Row = [
  'renounceUpgrades',
  [],
  'give up the right to replace the contract’s code',
  noCode,
]
const verifier: readonly Row[] = [
  [
    'setVerifier',
    [alice, soon],
    [`use ${A} as quote verifier instead of the current one`, inTime],
    'The code of the quote verifier decides which quotes are genuine.',
  ],
]

function added(add: string, remove: string, what: string): Row[] {
  return [
    [
      add,
      [id('01')],
      `approve ${what} ${id('01')} unless it is approved already, active after the activation delay of its kind, without end time, without evidence`,
    ],
    [remove, [id('01')], `withdraw ${what} ${id('01')} immediately`, versioned],
  ]
}

const rows: Record<ContractType, readonly Row[]> = {
  Instances: [
    [
      'recordBoot',
      [[{ name: 'app-id', payload: '0x0102', version: 1 }], id('01')],
      `store the facts of a boot of base image ${id('01')}, from a log with 1 events`,
    ],
    [
      'addRootKey',
      ['0x3059', '0x02ab', 7n],
      'let instances refer to the root key 0x02ab, which the DAO must have approved',
    ],
    [
      'register',
      [{ quote: '0x04', key: alice, osImageHash: id('01'), blockNumber: 9n, possession: '0x01' }],
      `register the key ${A} for the app that its quote proves, made after block 9`,
    ],
    [
      'registerIssued',
      [
        {
          app: bob,
          key: alice,
          composeHash: id('0c'),
          epoch: 2,
          blockNumber: 9n,
          possession: '0x01',
          statement: '0x02',
          link: '0x03',
        },
      ],
      `register the key ${A} for app ${B}, release ${id('0c')}, key epoch 2, with a statement of the KMS`,
    ],
    [
      'end',
      [alice],
      `end the key ${A} of an instance immediately`,
      'The key can never speak for an app again; the instance needs a new key.',
    ],
  ],
  AppSigners: [['create', [alice], `create the ERC-1271 signer of app ${A}`]],
  AssentValidator: [
    [
      'respond',
      [5n, alice],
      `write into the validation registry whether the wallet of agent 5 is a live instance of app ${A} now`,
    ],
  ],
  Requests: [
    [
      'request',
      [alice, id('01'), '0x00', soon, 0],
      [
        `ask app ${A} to work on the input ${id('01')} until 2027-01-15 08:00:00 UTC, for the ether that is sent along`,
        'call nobody with the result',
      ],
      'The fee is returned only if no instance answers in time.',
    ],
    [
      'request',
      [alice, id('01'), '0x00', soon, 90_000],
      [
        `ask app ${A} to work on the input ${id('01')} until 2027-01-15 08:00:00 UTC, for the ether that is sent along`,
        'call the sender with the result, with 90000 gas',
      ],
      'The fee is returned only if no instance answers in time.',
    ],
    ['assign', [id('01')], `assign the next worker to request ${id('01')}`],
    ['refund', [id('01')], `return the fee of request ${id('01')} to the balance of its requester`],
    [
      'recordMissed',
      [id('01')],
      `record that the last worker of request ${id('01')} missed its time`,
    ],
    [
      'join',
      [alice, bob, id('0d'), 7, '0x01'],
      `let the key ${B} work for app ${A} with the bond for host ${id('0d')}, on at most 7 requests at the same time, and be paid for it`,
    ],
    ['retire', [bob], `take the key ${B} from the workers of its app`],
    [
      'fulfil',
      [id('01'), '0x0102', '0x03'],
      `bring the result of request ${id('01')} (2 bytes), if its worker signed it, and pay the worker`,
      'A result is final.',
    ],
    ['decline', [id('01')], `give request ${id('01')} to another worker`],
    [
      'proveContradiction',
      [id('01'), bob, id('02'), '0x01', id('03'), '0x02'],
      `show that the key ${B} signed two results of request ${id('01')}`,
      'The key can never work again.',
    ],
    [
      'slash',
      [bob],
      `slash the bond of the key ${B} for one fault, in favour of the DAO`,
      'Only the DAO can pay the amount back.',
    ],
    [
      'setTerms',
      [alice, { payee: bob, minFee: 5n, ownerShare: 2_050, answerTime: 600 }],
      `let app ${A} take requests for 5 wei or more, of which ${B} receives 20.5 percent; each worker has 10 minutes`,
    ],
    [
      'setTerms',
      [alice, { payee: bob, minFee: 5n, ownerShare: 0, answerTime: 0 }],
      `let app ${A} take no further requests`,
    ],
    ['withdraw', [alice], `pay ${A} its balance of Requests`],
    ['withdrawTo', [alice], `pay the sender's balance of Requests to ${A}`],
  ],
  KmsAuth: [
    ...registry,
    ...upgrades,
    renounced,
    ['initialize', [alice, bob], 'initialize the contract'],
    ['initializeGoverned', [alice, bob, alice, 1], 'initialize the contract'],
    ['registerApp', [alice], `register the contract ${A} as an app`],
    [
      'deployAndRegisterApp',
      [alice, true, true, true, none, id('0c')],
      [
        `create an app owned by ${A}; its code can never be replaced`,
        'allow it on any device, only with TCB status UpToDate',
        `approve release ${id('0c')} immediately`,
      ],
      'The app id is the address of the new contract. The contract cannot be deleted.',
    ],
    [
      'deployAndRegisterApp',
      [alice, false, false, false, none, none],
      [
        `create an app owned by ${A}; its owner can replace its code`,
        'allow it on no device until its owner approves one, without a TCB rule of its own',
        'allow no release until its owner approves one',
      ],
      'The app id is the address of the new contract. The contract cannot be deleted.',
    ],
    [
      'deployAndRegisterApp',
      [alice, false, false, id('0d'), none],
      [
        `create an app owned by ${A}; its owner can replace its code`,
        `allow it on device ${id('0d')}, without a TCB rule of its own`,
        'allow no release until its owner approves one',
      ],
      'The app id is the address of the new contract. The contract cannot be deleted.',
    ],
    [
      'deployAndRegisterApp',
      [alice, false, true, id('0d'), none],
      [
        `create an app owned by ${A}; its owner can replace its code`,
        'allow it on any device, without a TCB rule of its own',
        'allow no release until its owner approves one',
      ],
      'The app id is the address of the new contract. The contract cannot be deleted.',
    ],
    [
      'setKmsInfo',
      [{ k256Pubkey: '0x02', caPubkey: '0x30', quote: '0x040506', eventlog: '0x07' }],
      'publish the KMS’s root keys 0x02 and 0x30, with a quote of 3 bytes and an event log of 1 bytes (none of it is verified)',
    ],
    ['setKmsQuote', ['0x0405'], 'publish a KMS quote of 2 bytes (not verified)'],
    ['setKmsEventlog', ['0x0405'], 'publish a KMS event log of 2 bytes (not verified)'],
    ['setGatewayAppId', ['any'], 'let guests accept any gateway: "any" switches the check off'],
    ['setGatewayAppId', ['0xabc'], 'set the gateway app to "0xabc"'],
    [
      'setAppImplementation',
      [alice],
      `create new apps with the code at ${A}; existing apps do not change`,
    ],
    ['setHosts', [alice, soon], [`allow boots only on hosts that ${A} admits`, inTime]],
    [
      'setHosts',
      [nobody, noEnd],
      ['allow boots on any host: no host registry is used any more', everLate],
    ],
    [
      'setImages',
      [alice, soon],
      [
        `deny app boots of images that are closed in ${A}, unless their measurement set is approved there`,
        inTime,
      ],
    ],
    [
      'setImages',
      [nobody, noEnd],
      ['check no measurement sets: no image registry is used any more', everLate],
    ],
    [
      'setActivationDelay',
      [3, 90, soon],
      [
        'set the activation delay of the kind app to 1 minute 30 seconds, for later approvals',
        inTime,
      ],
    ],
    ...added('addOsImageHash', 'removeOsImageHash', 'base image'),
    ...added('addKmsAggregatedMr', 'removeKmsAggregatedMr', 'KMS measurement'),
    ...added('addKmsDevice', 'removeKmsDevice', 'KMS device'),
  ],
  App: [
    ...registry,
    ...upgrades,
    ['initialize', [alice, false, false, none, none], 'initialize the app'],
    [
      'approveManifest',
      [id('0c'), '0x7b7d', soon, later, soon],
      [
        `approve release ${id('0c')}, active from 2027-01-15 08:00:00 UTC, until 2027-01-16 08:00:00 UTC, with its app-compose of 2 bytes (keccak256 ${keccak256('0x7b7d')}) as evidence; the call reverts unless the SHA-256 of these bytes is the release`,
        inTime,
      ],
    ],
    [
      'supersede',
      [3, soon, true],
      [
        'end all releases below number 3 at 2027-01-15 08:00:00 UTC',
        'open a new key epoch: the remaining releases write with new keys; they can read the old keys only until the older releases end',
      ],
      'A superseded release can never boot again, even if its hash is approved again.',
    ],
    [
      'supersede',
      [3, 0, false],
      ['end all releases below number 3 immediately'],
      'A superseded release can never boot again, even if its hash is approved again.',
    ],
    [
      'setNoticePeriod',
      [604_800],
      'set the notice period to 7 days: calls that loosen the app’s rules, including calls that are already announced, must be announced this long before',
      'The notice period can only increase.',
    ],
    [
      'announce',
      [id('0e')],
      `announce the call with keccak256 ${id('0e')}; it can be executed for 30 days after the notice period`,
    ],
    ['setAllowAnyDevice', [true], 'allow the app on any device'],
    ['setAllowAnyDevice', [false], 'allow the app on approved devices only'],
    ['setRequireTcbUpToDate', [true], 'require TCB status UpToDate for the app'],
    ['setRequireTcbUpToDate', [false], 'do not require TCB status UpToDate for the app'],
    ['disableUpgrades', [], 'give up the right to replace the contract’s code', noCode],
    ['setVariants', [1], 'accept only these TEE variants for the app: tdx'],
    [
      'setVariants',
      [0b11001],
      'accept only these TEE variants for the app: tdx, amd-sev-snp, aws-nitro-tpm',
    ],
    [
      'transferToNewDao',
      [alice, dao],
      [
        `create a DAO for the app with the factory ${A}`,
        ...ownVotes,
        'transfer the app to the new DAO immediately; the previous owner loses all rights',
      ],
      'Only the new DAO can transfer the app again. The factory decides which contract becomes the owner.',
    ],
    ...added('addComposeHash', 'removeComposeHash', 'release'),
    ...added('addDevice', 'removeDevice', 'device'),
  ],
  Hosts: [
    ...registry,
    ...upgrades,
    renounced,
    ...verifier,
    ['initialize', [alice, bob, alice, 1, rules], 'initialize the registry'],
    [
      'register',
      ['0x0405', 77n],
      'register a host with a quote of 2 bytes made after block 77; the sender is or becomes its operator',
    ],
    [
      'registerFor',
      [alice, '0x0405', 77n, BigInt(soon), '0x'],
      `register a host of ${A} with a quote of 2 bytes made after block 77 and the operator’s permit, valid until 2027-01-15 08:00:00 UTC`,
    ],
    [
      'registerFor',
      [alice, '0x0405', 77n, 2n ** 256n - 1n, '0x'],
      `register a host of ${A} with a quote of 2 bytes made after block 77 and the operator’s permit, valid without end`,
    ],
    [
      'setOperator',
      [id('0d'), alice, soon],
      [`make ${A} the operator of host ${id('0d')}`, inTime],
      'The previous operator cannot renew the host proof any more.',
    ],
    [
      'setOperator',
      [id('0d'), nobody, noEnd],
      [
        `remove the operator of host ${id('0d')}: the next account that registers it becomes its operator`,
        everLate,
      ],
      'The previous operator cannot renew the host proof any more.',
    ],
    [
      'setRules',
      [rules, soon],
      [
        'let only the DAO approve hosts',
        'let a host proof count as long as its collateral is valid, at least 1 hour and at most 30 days',
        'accept quotes from the last 200 blocks, with TCB evaluation number 17 or higher',
        'count host proofs of any age',
        inTime,
      ],
    ],
    [
      'setRules',
      [{ ...rules, isOpen: true, attestedSince: soon }, noEnd],
      [
        'approve each host with its first host proof, active after 1 day',
        'let a host proof count as long as its collateral is valid, at least 1 hour and at most 30 days',
        'accept quotes from the last 200 blocks, with TCB evaluation number 17 or higher',
        'count only host proofs registered since 2027-01-15 08:00:00 UTC',
        everLate,
      ],
    ],
    ['setStatusAcceptedUntil', [5, 0, soon], ['deny hosts with TCB status OutOfDate', inTime]],
    [
      'setStatusAcceptedUntil',
      [1, later, soon],
      ['accept hosts with TCB status UpToDate until 2027-01-16 08:00:00 UTC', inTime],
    ],
    [
      'setStatusAcceptedUntil',
      [2, noEnd, noEnd],
      ['accept hosts with TCB status SWHardeningNeeded without end time', everLate],
    ],
    [
      'setAdvisoriesDenied',
      [
        [`0x${Buffer.from('INTEL-SA-00837').toString('hex').padEnd(64, '0')}`, id('01')],
        true,
        soon,
      ],
      [`deny hosts that are affected by INTEL-SA-00837, ${id('01')}, in later host proofs`, inTime],
    ],
    [
      'setAdvisoriesDenied',
      [[`0x${Buffer.from('INTEL-SA-00837').toString('hex').padEnd(64, '0')}`], false, soon],
      ['accept again hosts that are affected by INTEL-SA-00837, in later host proofs', inTime],
    ],
    ['setBonds', [alice, soon], [`admit only hosts whose operator has a bond in ${A}`, inTime]],
    ['setBonds', [nobody, noEnd], ['require no bonds from operators any more', everLate]],
    [
      'setContinuityDelay',
      [86_400, soon],
      ['let a host continue under a new device id, active after 1 day', inTime],
    ],
    ['setContinuityDelay', [0, soon], ['let no host continue under a new device id', inTime]],
    [
      'endProof',
      [id('0d'), '0x04'],
      `end the proof of host ${id('0d')}, if its certificate is revoked or expired or its TCB status is not accepted any more`,
      'The host needs a new proof.',
    ],
    [
      'continueAs',
      [id('0d'), id('0e'), BigInt(soon), '0x'],
      `let host ${id('0d')} continue as ${id('0e')}, with its operator’s signature, valid until 2027-01-15 08:00:00 UTC: the old id is withdrawn immediately, the new id is active after the continuity delay`,
      'The old id needs a new approval.',
    ],
  ],
  RootKeys: [
    ...registry,
    ...upgrades,
    renounced,
    ...verifier,
    ['initialize', [alice, bob, alice, bob, 1], 'initialize the registry'],
    [
      'prove',
      ['0x0405', '0x3059', '0x02'],
      `register the root keys 0x02 and 0x3059 with their bootstrap quote (2 bytes); they become a root key epoch only if the DAO approves root key ${keccak256('0x305902')}`,
    ],
  ],
  Images: [
    ...registry,
    ...upgrades,
    renounced,
    ['initialize', [alice, bob, 1], 'initialize the registry'],
    [
      'approveMeasurementSets',
      [
        [
          {
            osImageHash: id('01'),
            variant: 0,
            registers: '0x1234',
            activeFrom: 0,
            expiresAt: later,
            evidence: '0x',
          },
          {
            osImageHash: id('02'),
            variant: 3,
            registers: '0x56',
            activeFrom: soon,
            expiresAt: 0,
            evidence: '0x',
          },
        ],
        soon,
      ],
      [
        `approve the tdx measurement set 0x1234 of base image ${id('01')}, active after the activation delay of its kind, until 2027-01-16 08:00:00 UTC, without evidence`,
        `approve the amd-sev-snp measurement set 0x56 of base image ${id('02')}, active from 2027-01-15 08:00:00 UTC, without end time, without evidence`,
        inTime,
      ],
    ],
    [
      'setImageName',
      [id('01'), '0.5.6'],
      `name base image ${id('01')} "0.5.6"; the name changes no decision`,
    ],
    [
      'closeImages',
      [[id('01'), id('02')]],
      `deny app boots of base image ${id('01')}, ${id('02')} without an approved measurement set`,
    ],
    [
      'openImages',
      [[id('01')], soon],
      [
        `allow app boots of base image ${id('01')} without an approved measurement set, if the KMS can verify the image itself`,
        inTime,
      ],
    ],
    [
      'setActivationDelay',
      [3_600, soon],
      ['set the activation delay of measurement sets to 1 hour, for later approvals', inTime],
    ],
  ],
  HostBonds: [
    ...ownership(),
    ...upgrades,
    renounced,
    ['initialize', [alice, bob, 1n, 1], 'initialize the bonds'],
    [
      'deposit',
      [id('0d'), 5n],
      `deposit 5 smallest units of the bond token for host ${id('0d')}`,
      'The deposit is paid back only after the unbonding time, and the DAO can slash it.',
    ],
    [
      'unbond',
      [id('0d'), 5n],
      `unbond 5 smallest units of the bond for host ${id('0d')}; they can be paid out after the unbonding time`,
    ],
    ['withdraw', [id('0d')], `pay out the unbonded deposit for host ${id('0d')}`],
    [
      'slash',
      [id('0d'), alice, 5n, bob, '0x1234', soon],
      [
        `slash up to 5 smallest units of the bond of ${A} for host ${id('0d')} and pay them to ${B}, with evidence ${keccak256('0x1234')} (2 bytes, not an evidence document)`,
        inTime,
      ],
      'Only the recipient can pay the amount back.',
    ],
    [
      'setSlashLimit',
      [alice, 5n, soon],
      [
        `let the contract ${A} slash up to 5 smallest units of any bond for each fault that it proves, in favour of the DAO`,
        inTime,
      ],
    ],
    ['setSlashLimit', [alice, 0n, noEnd], [`let ${A} slash no bonds any more`, everLate]],
    [
      'slashFault',
      [id('0d'), alice, 5n, '0x1234'],
      `slash up to 5 smallest units of the bond of ${A} for host ${id('0d')} in favour of the DAO, if the caller may, with evidence ${keccak256('0x1234')} (2 bytes, not an evidence document)`,
      'Only the DAO can pay the amount back.',
    ],
    [
      'setTerms',
      [7n, 1_209_600, soon],
      [
        'require a bond of 7 smallest units for each host, with an unbonding time of 14 days',
        inTime,
      ],
    ],
  ],
  DaoFactory: [
    ['create', [dao], ['create a DAO', ...ownVotes]],
    ['create', [wrapped], ['create a DAO', ...wrappedVotes]],
  ],
  AssentGovernor: [
    [
      'propose',
      [[alice], [0n], ['0x'], '# Approve it\n\nand more'],
      'propose one call: "# Approve it"',
      'The text and the calls of a proposal cannot be changed; it can only be cancelled.',
    ],
    [
      'propose',
      [[alice, bob], [0n, 0n], ['0x', '0x'], 'two'],
      'propose 2 calls: "two"',
      'The text and the calls of a proposal cannot be changed; it can only be cancelled.',
    ],
    ['castVote', [9n, 0], 'vote "against" on proposal 9', oneVote],
    ['castVote', [9n, 1], 'vote "for" on proposal 9', oneVote],
    ['castVote', [9n, 2], 'vote "abstain" on proposal 9', oneVote],
    ['castVote', [9n, 3], 'vote "3" on proposal 9', oneVote],
    ['castVoteWithReason', [9n, 0, 'no'], 'vote "against" on proposal 9', oneVote],
    ['castVoteWithReason', [9n, 1, 'yes'], 'vote "for" on proposal 9', oneVote],
    [
      'castVoteBySig',
      [9n, 0, alice, '0x'],
      `submit the signed vote "against" of ${A} on proposal 9`,
      oneVote,
    ],
    [
      'castVoteBySig',
      [9n, 1, alice, '0x'],
      `submit the signed vote "for" of ${A} on proposal 9`,
      oneVote,
    ],
    ['castVoteWithReasonAndParams', [9n, 1, '', '0x'], 'vote "for" on proposal 9', oneVote],
    ['castVoteWithReasonAndParams', [9n, 0, '', '0x'], 'vote "against" on proposal 9', oneVote],
    [
      'castVoteWithReasonAndParamsBySig',
      [9n, 1, bob, '', '0x', '0x'],
      `submit the signed vote "for" of ${B} on proposal 9`,
      oneVote,
    ],
    [
      'castVoteWithReasonAndParamsBySig',
      [9n, 0, bob, '', '0x', '0x'],
      `submit the signed vote "against" of ${B} on proposal 9`,
      oneVote,
    ],
    ['queue', [9n], 'queue proposal 9 in the timelock'],
    ['queue', [[], [], [], none], 'queue the proposal with these calls in the timelock'],
    ['execute', [9n], 'execute proposal 9', 'Only another proposal can reverse the changes.'],
    [
      'execute',
      [[], [], [], none],
      'execute the proposal with these calls',
      'Only another proposal can reverse the changes.',
    ],
    [
      'cancel',
      [9n],
      'cancel proposal 9',
      'A cancelled proposal cannot be reopened; the same calls need a proposal with another text.',
    ],
    [
      'cancel',
      [[], [], [], none],
      'cancel the proposal with these calls',
      'A cancelled proposal cannot be reopened; the same calls need a proposal with another text.',
    ],
    [
      'setVotingDelay',
      [3_600],
      'set the voting delay (from proposal to start of voting) to 1 hour',
    ],
    ['setVotingPeriod', [86_400], 'set the voting period to 1 day'],
    [
      'setProposalThreshold',
      [15n * 10n ** 17n],
      'require 1.5 votes (1500000000000000000 smallest units) to propose',
    ],
    ['updateQuorumNumerator', [4n], 'set the quorum to 4 percent of all votes'],
    [
      'setLateQuorumVoteExtension',
      [7_200],
      'keep voting open for at least 2 hours after the quorum is reached',
    ],
    ['setProposalGuardian', [alice], `make ${A} the proposal guardian, who can cancel proposals`],
    [
      'setProposalGuardian',
      [nobody],
      'remove the proposal guardian: only its proposer can cancel a proposal',
    ],
    [
      'updateTimelock',
      [alice],
      `execute later proposals through the timelock ${A}`,
      'If this timelock does not accept calls from the governor, the DAO can never execute a proposal again.',
    ],
    ['relay', [alice, 5n, '0x1234'], `call ${A} from the governor, with 5 wei and calldata 0x1234`],
    ['onERC721Received', [alice, bob, 1n, '0x'], 'receive a token'],
    ['onERC1155Received', [alice, bob, 1n, 1n, '0x'], 'receive a token'],
    ['onERC1155BatchReceived', [alice, bob, [1n], [1n], '0x'], 'receive tokens'],
  ],
  TimelockController: [
    ['updateDelay', [172_800n], 'set the timelock delay (from queueing to execution) to 2 days'],
    [
      'grantRole',
      [none, alice],
      `give ${A} the role admin of the timelock`,
      'A proposer or admin of the timelock can do everything that the DAO can do.',
    ],
    [
      'grantRole',
      ['0xb09aa5aeb3702cfd50b6b62bc4532604938f21248a27a1d5ca736082b6819cc1', alice],
      `give ${A} the role proposer of the timelock`,
      'A proposer or admin of the timelock can do everything that the DAO can do.',
    ],
    [
      'grantRole',
      [id('77'), alice],
      `give ${A} the role ${id('77')} of the timelock`,
      'A proposer or admin of the timelock can do everything that the DAO can do.',
    ],
    [
      'revokeRole',
      ['0xfd643c72710c63c0180259aba6b2d05451e3591a24e58b62239378085726f783', bob],
      `take the role canceller of the timelock from ${B}`,
    ],
    [
      'renounceRole',
      ['0xd8aa0f3194971a2a116679f7c2090f6939c8d4e01a2a8d7e41d55e5351469e63', bob],
      'give up the role executor of the timelock',
    ],
    [
      'schedule',
      [alice, 5n, '0x1234', none, none, 3_600n],
      `schedule a call to ${A} with 5 wei and calldata 0x1234, executable after 1 hour`,
    ],
    [
      'scheduleBatch',
      [[alice, bob], [5n, 0n], ['0x1234', '0x'], none, none, 3_600n],
      [
        'schedule these calls as one operation, executable after 1 hour:',
        `call ${A} with 5 wei and calldata 0x1234`,
        `call ${B} with 0 wei and calldata 0x`,
      ],
    ],
    [
      'execute',
      [alice, 5n, '0x1234', none, none],
      `execute the scheduled call to ${A} with 5 wei and calldata 0x1234`,
    ],
    [
      'executeBatch',
      [[alice], [5n], ['0x1234'], none, none],
      [
        'execute these calls, which were scheduled as one operation:',
        `call ${A} with 5 wei and calldata 0x1234`,
      ],
    ],
    ['cancel', [id('0e')], `cancel the scheduled operation ${id('0e')}`],
    ['onERC721Received', [alice, bob, 1n, '0x'], 'receive a token'],
    ['onERC1155Received', [alice, bob, 1n, 1n, '0x'], 'receive a token'],
    ['onERC1155BatchReceived', [alice, bob, [1n], [1n], '0x'], 'receive tokens'],
  ],
  AssentVotes: [
    ['delegate', [alice], `delegate all votes of the sender to ${A}, for voting that starts later`],
    [
      'delegateBySig',
      [alice, 0n, BigInt(soon), 27, none, none],
      `submit a signed delegation to ${A}, valid until 2027-01-15 08:00:00 UTC`,
    ],
    ['transfer', [alice, 7n], `transfer 7 smallest token units to ${A}`],
    ['transferFrom', [alice, bob, 7n], `transfer 7 smallest token units from ${A} to ${B}`],
    ['approve', [bob, 7n], `let ${B} spend up to 7 smallest token units of the sender`],
    [
      'permit',
      [alice, bob, 7n, 0n, 27, none, none],
      `let ${B} spend up to 7 smallest token units of ${A}, with a signature`,
    ],
  ],
  QuoteVerifier: [
    ['uploadIssuer', 'any', 'store a certificate chain of Intel'],
    ['uploadCrl', 'any', 'store a CRL of Intel'],
    ['uploadTcbInfo', 'any', 'store TCB info of Intel'],
    ['uploadQeIdentity', 'any', 'store a QE identity of Intel'],
    ['uploadEvaluationNumbers', 'any', 'store Intel’s TCB evaluation numbers'],
    [
      'register',
      ['0x'],
      'store a verified PCK certificate, so that later quotes of the platform cost less gas',
    ],
    [
      'registerVerdict',
      ['0x'],
      'store a verified TCB verdict, so that later quotes of the platform cost less gas',
    ],
  ],
}

const names = new Map([
  [alice.toLowerCase(), 'alice'],
  [bob.toLowerCase(), 'bob'],
])

function functionsOf(contract: ContractType): AbiFunction[] {
  const abi: Abi = describedContracts[contract].abi
  return abi.filter((item): item is AbiFunction => item.type === 'function')
}

function calldata(contract: ContractType, name: string, given: readonly unknown[] | 'any'): Hex {
  const item = functionsOf(contract).find(
    (each) => each.name === name && (given === 'any' || each.inputs.length === given.length),
  )
  const args =
    given === 'any'
      ? (item?.inputs.map(({ type }) => (type === 'bytes' ? '0x' : none)) ?? [])
      : given
  if (item === undefined) throw new Error(`${contract} has no ${name} of ${args.length} arguments`)
  return encodeFunctionData({ abi: [item], functionName: name, args })
}

describe.each(Object.entries(rows) as [ContractType, readonly Row[]][])('%s', (contract, table) => {
  const book: AddressBook = { names, types: new Map([[here, contract]]) }

  test.each(table.map((row, i) => [`${i + 1} ${row[0]}`, row] as const))('%s', (_, row) => {
    const [name, args, effects, irreversible] = row
    const described = describeCall(book, { to: here, data: calldata(contract, name, args) })

    expect(described.effects).toEqual(typeof effects === 'string' ? [effects] : effects)
    expect(described.irreversible).toBe(irreversible)
    expect(described.functionName).toBe(name)
  })

  test('the table of call descriptions has every function that changes state', () => {
    const writes = functionsOf(contract)
      .filter(({ stateMutability }) => /payable$/.test(stateMutability))
      .map(({ name }) => name)
    const known = new Set(table.map(([name]) => name))

    expect([...new Set(writes)].filter((name) => !known.has(name))).toEqual([])
  })

  // mutation tests add conditions of their own to the functions
  const isMutated = process.env.ASSENT_MUTANT_TESTS !== undefined
  test.skipIf(isMutated)('the table of call descriptions has both sides of each condition', () => {
    const descriptions = describedContracts[contract].descriptions as Record<
      string,
      { describe: () => unknown } | undefined
    >
    const conditional = Object.entries(descriptions).filter(([, description]) =>
      / \? [^:]/.test(String(description?.describe)),
    )
    const once = conditional.filter(([name]) => {
      const texts = table.filter(([each]) => each === name).map(([, , effects]) => String(effects))
      return new Set(texts).size < 2
    })

    expect(once.map(([name]) => name)).toEqual([])
  })
})

describe('a call description', () => {
  test('names the value of a call with value', () => {
    const book: AddressBook = { names, types: new Map([[here, 'App']]) }
    const data = calldata('App', 'setAllowAnyDevice', [true])

    expect(describeCall(book, { to: here, data, value: 7n }).effects).toEqual([
      'allow the app on any device',
      'send 7 wei with the call',
    ])
    expect(describeCall(book, { to: here, data, value: 0n }).effects).toHaveLength(1)
  })

  test('takes a role or an operator for none only if each of its digits is zero', () => {
    const bookOf = (type: ContractType): AddressBook => ({ names, types: new Map([[here, type]]) })
    const role = `0x${'00'.repeat(31)}01` as const
    const operator = `0x${'00'.repeat(19)}01` as const
    const granting = calldata('TimelockController', 'grantRole', [role, alice])
    const setting = calldata('Hosts', 'setOperator', [id('0d'), operator, soon])

    const granted = describeCall(bookOf('TimelockController'), {
      to: here,
      data: granting,
    }).effects.join()
    expect(granted).toContain(role)
    expect(granted).not.toContain('admin')
    const set = describeCall(bookOf('Hosts'), { to: here, data: setting }).effects.join()
    expect(set).toContain(`make ${operator} the operator`)
  })

  test('shows the distance of a time only if the current time is known', () => {
    expect(formatTime(soon)).toBe('2027-01-15 08:00:00 UTC')
    expect(formatTime(noEnd)).toBe('no end')
    expect(formatDeadline(noEnd, 1_700_000_000)).toBe('no end')
    expect(formatDeadline(soon)).toBe('2027-01-15 08:00:00 UTC')
    expect(formatDeadline(soon, soon)).toBe('2027-01-15 08:00:00 UTC (now)')
    expect(formatDeadline(soon, soon - 90_061)).toBe('2027-01-15 08:00:00 UTC (in 1 day 1 hour)')
    expect(formatDeadline(soon, soon + 61)).toBe('2027-01-15 08:00:00 UTC (1 minute 1 second ago)')
    expect(formatDuration(0)).toBe('0 seconds')
    expect(formatDuration(93_784)).toBe('1 day 2 hours 3 minutes 4 seconds')
  })

  test('says "immediately" for a time in the past', () => {
    const book: AddressBook = { names, types: new Map([[here, 'App']]) }
    const data = calldata('App', 'supersede', [3, soon, false])

    expect(describeCall(book, { to: here, data }, soon).effects).toEqual([
      'end all releases below number 3 immediately',
    ])
    expect(describeCall(book, { to: here, data }, soon - 1).effects).toEqual([
      'end all releases below number 3 at 2027-01-15 08:00:00 UTC (in 1 second)',
    ])
  })
})

test('the text of a proposal contains the description of every call and what cannot be undone', () => {
  const book: AddressBook = {
    names: new Map([...names, [here, 'kmsAuth']]),
    types: new Map([[here, 'KmsAuth']]),
  }
  const calls = [
    { to: here, data: calldata('KmsAuth', 'setHosts', [nobody, soon]), summary: '' },
    { to: here, data: calldata('KmsAuth', 'revoke', [0, [id('01')]]), summary: '' },
  ]

  expect(describeProposal(calls, { book, proposer: alice, reason: 'Because.' })).toBe(
    [
      '# Allow boots on any host: no host registry is used any more and 1 more',
      '> Because.',
      '## What it changes',
      [
        `1. kmsAuth (${here})`,
        '   - allow boots on any host: no host registry is used any more',
        `   - ${inTime}`,
        `2. kmsAuth (${here})`,
        `   - revoke base image ${id('01')} immediately and permanently`,
        '   - cannot be undone: A revoked id can never be approved again.',
      ].join('\n'),
      'Assent generated this list from the calls of this proposal. Compare it with the output of your own tools.',
      `#proposer=${alice.toLowerCase()}`,
    ].join('\n\n'),
  )
})

function bookWith(contract: ContractType): AddressBook {
  return { names, types: new Map([[here, contract]]) }
}

describe('text inside calldata', () => {
  const esc = '\u001b'
  /** Clears the screen, writes another call, and hides the rest. */
  const hostile = `x" ${esc}[2J${esc}[Hboot\r\n    - withdraw nothing\u202e\u2028   \u009b8m![a](https://evil.example) <b>`
  const evidenceOf = (recipe: string, repository = 'https://example.org/x'): Hex =>
    stringToHex(JSON.stringify({ source: { repository, commit: 'a'.repeat(40) }, recipe }))
  const approval = (bytes: Hex) => ({
    kind: 1,
    id: id('66'),
    activeFrom: 0,
    expiresAt: 0,
    evidence: bytes,
  })
  const terms = { ...dao, symbol: hostile, name: hostile }
  const calls: [ContractType, string, readonly unknown[]][] = [
    ['KmsAuth', 'approve', [[approval(evidenceOf(hostile))], noEnd]],
    ['KmsAuth', 'setGatewayAppId', [hostile]],
    ['Images', 'setImageName', [id('01'), hostile]],
    ['DaoFactory', 'create', [terms]],
    ['DaoFactory', 'create', [{ ...terms, underlying: bob }]],
    ['App', 'transferToNewDao', [alice, terms]],
    ['AssentGovernor', 'propose', [[alice], [0n], ['0x'], hostile]],
    ['HostBonds', 'slash', [id('01'), alice, 1n, bob, evidenceOf(hostile), noEnd]],
  ]

  test.each(calls)('of %s.%s stays inside its quotation, on one line', (contract, name, args) => {
    const data = calldata(contract, name, args)
    const { effects } = describeCall(bookWith(contract), { to: here, data })

    const text = effects.join('')
    expect(text).toContain('"x\\" \\u001b[2J\\u001b[Hboot\\r')
    expect(text).toBe(escapeText(text))
    const proposal = describeProposal([{ to: here, data, summary: '' }], {
      book: bookWith(contract),
      proposer: alice,
    })
    // title, heading, one line for the contract and one for each effect, the sentence below, the proposer
    const marked = proposal.split('\n').filter((line) => /^ +- /.test(line))
    expect(marked.filter((line) => !line.startsWith('   - cannot be undone')).length).toBe(
      effects.length,
    )
    expect(proposal).not.toMatch(/[^\\](\[a|<b>)/)
  })

  test('in a title or a reason cannot look like the list of changes', () => {
    const text = describeProposal([], {
      book: bookWith('KmsAuth'),
      proposer: alice,
      title: `Fix\n## What it changes${esc}[2J`,
      reason: `Because.\n\n## What it changes\n\n1. nothing${esc}[2J`,
    })

    expect(text).toContain('# Fix ## What it changes\\u001b[2J\n')
    expect(text).toContain('\n> Because.\n>\n> ## What it changes\n>\n> 1. nothing\\u001b[2J\n')
    expect(text.match(/^## What it changes$/gm)).toHaveLength(1)
  })

  test.each([
    ['a line end', 'https://example.org/x\n - withdraw'],
    ['an escape sequence', `https://example.org/x${esc}[2J`],
    ['a right-to-left override', 'https://example.org/\u202ex'],
    ['a space', 'https://example.org/a b'],
    ['a very long URL', `https://example.org/${'a'.repeat(2_000)}`],
  ])('is no evidence document if its repository has %s', (_, repository) => {
    expect(describeEvidence(evidenceOf('make', repository))).toMatch(/not an evidence document/)
  })
})
