/**
 * Calldata and the exact sentences that a voter reads of it, for every function that a proposal can call.
 *
 * Each condition of a sentence stands here on both of its sides: a text that says the opposite of its call is worse than none.
 */
import {
  type Abi,
  type AbiFunction,
  encodeFunctionData,
  getAddress,
  type Hex,
  keccak256,
} from 'viem'
import { describe, expect, test } from 'vitest'

import { encodeEvidence } from '../../src/chain/governance/approval-evidence.ts'
import {
  type AddressBook,
  type ContractType,
  describeCall,
  describedContracts,
} from '../../src/chain/governance/describe-call.ts'
import {
  formatDeadline,
  formatDuration,
  formatTime,
} from '../../src/chain/governance/format-time.ts'
import { describeProposal } from '../../src/chain/governance/proposal-text.ts'

const here: Hex = `0x${'11'.repeat(20)}`
const alice = getAddress(`0x${'a1'.repeat(20)}`)
const bob = getAddress(`0x${'b0'.repeat(20)}`)
const nobody: Hex = `0x${'00'.repeat(20)}`
const id = (byte: string): Hex => `0x${byte.repeat(32)}`
const none = id('00')

/** 2027-01-15 08:00:00 UTC, and a day later. */
const soon = 1_800_000_000
const later = soon + 86_400
const never = 2 ** 40 - 1

const inTime = 'refuse all of it if it is carried out after 2027-01-15 08:00:00 UTC'
const everLate = 'do it however late it is carried out'
const versioned = 'What is withdrawn comes back only as a new version, by a new approval.'
const oneVote = 'A vote cannot be changed.'
const newCode = 'New code can do anything, also to what was approved before.'
const noCode = 'Its code can never be changed again, not to mend a fault either.'
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
  '1 day until the vote, 5 days of voting (1 hour more if the quorum comes late), 2 days in the timelock'
const ownVotes = [
  `votes: 1000 new V, all of them to ${A}`,
  '5 votes to propose, 20 percent of all votes must take part',
  course,
  `guardian ${B}, who may suspend for 7 days and cancel proposals`,
]
const wrappedVotes = [
  `votes: one V for each token of ${B} that is deposited`,
  '5000000000000000000 of the token’s smallest units to propose, 20 percent of all tokens that there are now must take part, deposited or not',
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
      `approve OS image ${id('01')} as soon as its activation delay is over, without an end, on no evidence`,
      `approve host ${id('02')} from 2027-01-15 08:00:00 UTC, until 2027-01-16 08:00:00 UTC, on evidence ${keccak256('0x1234')} (2 bytes that are no evidence document)`,
      `approve subject of the unknown kind 99 ${id('03')} as soon as its activation delay is over, without an end, on evidence ${keccak256(evidence)}: https://example.org/image at ${'c'.repeat(40)}, built by "make dist"`,
      inTime,
    ],
  ],
  ['approve', [[], never], [everLate]],
  [
    'renew',
    [1, [id('01'), id('02')], later, soon],
    [`let KMS measurement ${id('01')}, ${id('02')} go on until 2027-01-16 08:00:00 UTC`, inTime],
  ],
  [
    'renew',
    [2, [id('01')], 0, never],
    [`let KMS device ${id('01')} go on without an end`, everLate],
  ],
  [
    'retire',
    [3, [id('01')], soon],
    `end app ${id('01')} at 2027-01-15 08:00:00 UTC`,
    'An end can be brought nearer, and renewed only before it has come.',
  ],
  [
    'retire',
    [6, [id('01')], soon],
    `end host ${id('01')}, and the id under which such a machine goes on at 2027-01-15 08:00:00 UTC`,
    'An end can be brought nearer, and renewed only before it has come.',
  ],
  ['withdraw', [4, [id('01')]], `withdraw release ${id('01')} at once`, versioned],
  [
    'withdraw',
    [6, [id('01')]],
    `withdraw host ${id('01')}, and the id under which such a machine goes on at once`,
    versioned,
  ],
  [
    'revoke',
    [5, [id('01')]],
    `revoke device ${id('01')} at once and for good`,
    'What is revoked never comes back.',
  ],
  [
    'suspend',
    [7, [id('01')]],
    `suspend root key ${id('01')} at once; it ends by itself unless the owner withdraws or revokes`,
  ],
  [
    'lift',
    [8, [id('01')], soon],
    [`end the suspension of measurements ${id('01')} at once`, inTime],
  ],
  [
    'lift',
    [0, [id('01')], never],
    [`end the suspension of OS image ${id('01')} at once`, everLate],
  ],
  [
    'markExpired',
    [0, [id('01')]],
    `write down that OS image ${id('01')} has expired: it becomes withdrawn, which changes no answer`,
    'It cannot be renewed any more, only approved anew.',
  ],
  [
    'setGuardian',
    [alice, 86_400, soon],
    [`let ${A} suspend, for 1 day each time, instead of who could until now`, inTime],
  ],
  [
    'setGuardian',
    [nobody, 3_600, never],
    ['leave nobody but the owner to suspend, for 1 hour each time', everLate],
  ],
  ['requireNotAfter', [soon], inTime],
  ['requireNotAfter', [never], everLate],
  ...ownership(),
]

function ownership(): Row[] {
  return [
    ['transferOwnership', [alice], `offer the ownership to ${A}; nothing changes until it accepts`],
    [
      'acceptOwnership',
      [],
      'take over the ownership that was offered to the sender',
      'The owner until now decides nothing any more.',
    ],
    [
      'renounceOwnership',
      [],
      'leave the contract without any owner',
      'Nobody can ever approve, withdraw or change anything there again.',
    ],
  ]
}

const upgrades: readonly Row[] = [
  [
    'upgradeToAndCall',
    [alice, '0x'],
    `replace all of the contract’s code by that at ${A}`,
    newCode,
  ],
  [
    'upgradeToAndCall',
    [alice, '0x1234'],
    `replace all of the contract’s code by that at ${A} and call it with 0x1234`,
    newCode,
  ],
]
const renounced: Row = ['renounceUpgrades', [], 'give up upgrades of the contract', noCode]
const verifier: readonly Row[] = [
  [
    'setVerifier',
    [alice, soon],
    [`believe the quotes that ${A} believes, instead of those until now`, inTime],
    'Whoever wrote that verifier decides which quotes count.',
  ],
]

function added(add: string, remove: string, what: string): Row[] {
  return [
    [add, [id('01')], `allow ${what} ${id('01')} without an end, on no evidence`],
    [remove, [id('01')], `withdraw ${what} ${id('01')} at once`, versioned],
  ]
}

const rows: Record<ContractType, readonly Row[]> = {
  KmsAuth: [
    ...registry,
    ...upgrades,
    renounced,
    ['initialize', [alice, bob], 'set the contract up'],
    ['initializeGoverned', [alice, bob, alice, 1], 'set the contract up'],
    ['registerApp', [alice], `let the contract ${A} answer for its own app`],
    [
      'deployAndRegisterApp',
      [alice, true, true, true, none, id('0c')],
      [
        `create an app owned by ${A}, whose code can never be upgraded`,
        'boot it on any device, only where the TCB is up to date',
        `approve release ${id('0c')} at once`,
      ],
      'An app’s id is the address of its contract; the contract stays on the chain.',
    ],
    [
      'deployAndRegisterApp',
      [alice, false, false, false, none, none],
      [
        `create an app owned by ${A}, which its owner may upgrade`,
        'boot it on no device until its owner approves one, whatever the state of its TCB',
        'boot no release until its owner approves one',
      ],
      'An app’s id is the address of its contract; the contract stays on the chain.',
    ],
    [
      'deployAndRegisterApp',
      [alice, false, false, id('0d'), none],
      [
        `create an app owned by ${A}, which its owner may upgrade`,
        `boot it on device ${id('0d')}, whatever the state of its TCB`,
        'boot no release until its owner approves one',
      ],
      'An app’s id is the address of its contract; the contract stays on the chain.',
    ],
    [
      'deployAndRegisterApp',
      [alice, false, true, id('0d'), none],
      [
        `create an app owned by ${A}, which its owner may upgrade`,
        'boot it on any device, whatever the state of its TCB',
        'boot no release until its owner approves one',
      ],
      'An app’s id is the address of its contract; the contract stays on the chain.',
    ],
    [
      'setKmsInfo',
      [{ k256Pubkey: '0x02', caPubkey: '0x30', quote: '0x040506', eventlog: '0x07' }],
      'publish the KMS’s root keys 0x02 and 0x30, with a quote of 3 bytes and an event log of 1 bytes (nothing of it is verified)',
    ],
    ['setKmsQuote', ['0x0405'], 'publish a KMS quote of 2 bytes (not verified)'],
    ['setKmsEventlog', ['0x0405'], 'publish a KMS event log of 2 bytes (not verified)'],
    [
      'setGatewayAppId',
      ['any'],
      'let guests accept any gateway: the word "any" switches the check off',
    ],
    ['setGatewayAppId', ['0xabc'], 'name 0xabc as the gateway app'],
    [
      'setAppImplementation',
      [alice],
      `make new apps of the code at ${A}; those that exist stay as they are`,
    ],
    ['setHosts', [alice, soon], [`boot only on machines that ${A} admits, from now on`, inTime]],
    [
      'setHosts',
      [nobody, never],
      ['boot on any machine: no registry of hosts is asked any more', everLate],
    ],
    [
      'setImages',
      [alice, soon],
      [
        `refuse app boots of images that ${A} has closed, unless they show measurements approved there`,
        inTime,
      ],
    ],
    [
      'setImages',
      [nobody, never],
      ['ask no registry of images any more which measurements an image may show', everLate],
    ],
    [
      'setActivationDelay',
      [3, 90, soon],
      [
        'let 1 minute 30 seconds pass between an approval of a app and its use, for later approvals',
        inTime,
      ],
    ],
    ...added('addOsImageHash', 'removeOsImageHash', 'OS image'),
    ...added('addKmsAggregatedMr', 'removeKmsAggregatedMr', 'KMS measurement'),
    ...added('addKmsDevice', 'removeKmsDevice', 'KMS device'),
  ],
  App: [
    ...registry,
    ...upgrades,
    ['initialize', [alice, false, false, none, none], 'set the app up'],
    [
      'approveManifest',
      [id('0c'), '0x7b7d', soon, later, soon],
      [
        `approve release ${id('0c')} from 2027-01-15 08:00:00 UTC, until 2027-01-16 08:00:00 UTC, with its manifest of 2 bytes (keccak256 ${keccak256('0x7b7d')}) as evidence; refused unless it hashes to the release`,
        inTime,
      ],
    ],
    [
      'supersede',
      [3, soon, true],
      [
        'end all releases below number 3 at 2027-01-15 08:00:00 UTC',
        'open a new key epoch: the others write with new keys; until then they may read the old ones, afterwards nobody may',
      ],
      'A superseded release does not come back, not by adding its hash again either.',
    ],
    [
      'supersede',
      [3, 0, false],
      ['end all releases below number 3 at once'],
      'A superseded release does not come back, not by adding its hash again either.',
    ],
    [
      'setNotice',
      [604_800],
      'bind the owner to announce for 7 days whatever loosens the rules, also what is announced already',
      'A notice can only grow.',
    ],
    [
      'announce',
      [id('0e')],
      `announce the call whose keccak256 is ${id('0e')}; it may be made for 30 days once the notice is over`,
    ],
    ['setAllowAnyDevice', [true], 'boot the app on any device'],
    ['setAllowAnyDevice', [false], 'boot the app on approved devices only'],
    ['setRequireTcbUpToDate', [true], 'boot the app only where the TCB is up to date'],
    ['setRequireTcbUpToDate', [false], 'boot the app whatever the state of the TCB'],
    ['disableUpgrades', [], 'give up upgrades of the contract', noCode],
    ['setVariants', [1], 'let tdx vouch for boots of the app'],
    ['setVariants', [0b11001], 'let tdx, amd-sev-snp, aws-nitro-tpm vouch for boots of the app'],
    [
      'handOver',
      [alice, dao],
      [
        `make a DAO of its own for the app, by ${A}`,
        ...ownVotes,
        'give the app to it at once: the owner until now decides nothing any more',
      ],
      'Only the new DAO can give the app away again; whatever the factory returns owns it.',
    ],
    ...added('addComposeHash', 'removeComposeHash', 'release'),
    ...added('addDevice', 'removeDevice', 'device'),
  ],
  Hosts: [
    ...registry,
    ...upgrades,
    renounced,
    ...verifier,
    ['initialize', [alice, bob, alice, 1, rules], 'set the registry up'],
    [
      'register',
      ['0x0405', 77n],
      'prove a machine by a quote of 2 bytes made after block 77; the sender is or becomes its operator',
    ],
    [
      'registerFor',
      [alice, '0x0405', 77n, BigInt(soon), '0x'],
      `prove a machine of ${A} by a quote of 2 bytes made after block 77, with the operator’s permit, which ends 2027-01-15 08:00:00 UTC`,
    ],
    [
      'registerFor',
      [alice, '0x0405', 77n, 2n ** 256n - 1n, '0x'],
      `prove a machine of ${A} by a quote of 2 bytes made after block 77, with the operator’s permit, which ends never`,
    ],
    [
      'setOperator',
      [id('0d'), alice, soon],
      [`give machine ${id('0d')} to ${A}, until another operator is named`, inTime],
      'The operator until now cannot renew the machine’s proof any more.',
    ],
    [
      'setOperator',
      [id('0d'), nobody, never],
      [
        `take machine ${id('0d')} from its operator: whoever proves it next becomes its operator`,
        everLate,
      ],
      'The operator until now cannot renew the machine’s proof any more.',
    ],
    [
      'setRules',
      [rules, soon],
      [
        'let only the DAO approve machines',
        'let a proof last as long as Intel’s collateral, but at least 1 hour and at most 30 days',
        'accept quotes made in the last 200 blocks, by TCB evaluation number 17 or later',
        'count proofs of any age',
        inTime,
      ],
    ],
    [
      'setRules',
      [{ ...rules, isOpen: true, attestedSince: soon }, never],
      [
        'let the first proof of a machine approve it, after 1 day',
        'let a proof last as long as Intel’s collateral, but at least 1 hour and at most 30 days',
        'accept quotes made in the last 200 blocks, by TCB evaluation number 17 or later',
        'count only proofs brought since 2027-01-15 08:00:00 UTC',
        everLate,
      ],
    ],
    ['setStatusRule', [5, 0, soon], ['let no machine boot whose TCB is OutOfDate', inTime]],
    [
      'setStatusRule',
      [1, later, soon],
      ['let machines boot whose TCB is UpToDate, until 2027-01-16 08:00:00 UTC', inTime],
    ],
    [
      'setStatusRule',
      [2, never, never],
      ['let machines boot whose TCB is SWHardeningNeeded, until further notice', everLate],
    ],
    [
      'setAdvisoriesDenied',
      [
        [`0x${Buffer.from('INTEL-SA-00837').toString('hex').padEnd(64, '0')}`, id('01')],
        true,
        soon,
      ],
      [`refuse machines that INTEL-SA-00837, ${id('01')} concerns, in later proofs`, inTime],
    ],
    [
      'setAdvisoriesDenied',
      [[`0x${Buffer.from('INTEL-SA-00837').toString('hex').padEnd(64, '0')}`], false, soon],
      ['accept again machines that INTEL-SA-00837 concerns, in later proofs', inTime],
    ],
    ['setBonds', [alice, soon], [`admit only machines whose operator has a bond at ${A}`, inTime]],
    ['setBonds', [nobody, never], ['ask operators for no bond any more', everLate]],
    [
      'setContinuityDelay',
      [86_400, soon],
      ['let a machine go on under a new id, 1 day after its operator said so', inTime],
    ],
    ['setContinuityDelay', [0, soon], ['let no machine go on under a new id', inTime]],
    [
      'endProof',
      [id('0d'), '0x04'],
      `end the proof of machine ${id('0d')}, if its quote is provably dead: certificate revoked or expired, or a TCB that no longer passes`,
      'The machine needs a new proof.',
    ],
    [
      'continueAs',
      [id('0d'), id('0e'), BigInt(soon), '0x'],
      `let machine ${id('0d')} go on as ${id('0e')}, by its operator’s signature, which ends 2027-01-15 08:00:00 UTC: the old id is withdrawn at once, the new one is active after the continuity delay`,
      'The old id comes back only by a new approval.',
    ],
  ],
  RootKeys: [
    ...registry,
    ...upgrades,
    renounced,
    ...verifier,
    ['initialize', [alice, bob, alice, bob, 1], 'set the registry up'],
    [
      'prove',
      ['0x0405', '0x3059', '0x02'],
      `prove the root keys 0x02 and 0x3059 by the quote of their making (2 bytes); they open an epoch only when the DAO approves ${keccak256('0x305902')}`,
    ],
  ],
  Images: [
    ...registry,
    ...upgrades,
    renounced,
    ['initialize', [alice, bob, 1], 'set the registry up'],
    [
      'approveSets',
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
        `let OS image ${id('01')} show the tdx registers 0x1234 as soon as its activation delay is over, until 2027-01-16 08:00:00 UTC, on no evidence`,
        `let OS image ${id('02')} show the amd-sev-snp registers 0x56 from 2027-01-15 08:00:00 UTC, without an end, on no evidence`,
        inTime,
      ],
    ],
    [
      'nameRelease',
      [id('01'), '0.5.6'],
      `call OS image ${id('01')} "0.5.6"; nothing depends on it`,
    ],
    [
      'closeImages',
      [[id('01'), id('02')]],
      `refuse app boots of OS image ${id('01')}, ${id('02')} that show no approved measurements`,
    ],
    [
      'openImages',
      [[id('01')], soon],
      [`let app boots of OS image ${id('01')} show whatever the KMS itself can recompute`, inTime],
    ],
    [
      'setActivationDelay',
      [3_600, soon],
      [
        'let 1 hour pass between an approval of measurements and their use, for later approvals',
        inTime,
      ],
    ],
  ],
  HostBonds: [
    ...ownership(),
    ...upgrades,
    renounced,
    ['initialize', [alice, bob, 1n, 1], 'set the bonds up'],
    [
      'deposit',
      [id('0d'), 5n],
      `deposit 5 of the bond token’s smallest units for machine ${id('0d')}`,
      'It comes back only after the unbonding time, and the DAO may slash it.',
    ],
    [
      'unbond',
      [id('0d'), 5n],
      `take 5 units out of the bond of machine ${id('0d')}; they are paid out after the unbonding time`,
    ],
    ['withdraw', [id('0d')], `pay out what has left the bond of machine ${id('0d')}`],
    [
      'slash',
      [id('0d'), alice, 5n, bob, '0x1234', soon],
      [
        `take up to 5 units of the bond of ${A} for machine ${id('0d')} and give them to ${B}, on evidence ${keccak256('0x1234')} (2 bytes that are no evidence document)`,
        inTime,
      ],
      'Only who got it can give it back.',
    ],
    [
      'setTerms',
      [7n, 1_209_600, soon],
      ['ask a bond of 7 units for each machine, paid back 14 days after it is asked for', inTime],
    ],
  ],
  DaoFactory: [
    ['create', [dao], ['make a DAO', ...ownVotes]],
    ['create', [wrapped], ['make a DAO', ...wrappedVotes]],
  ],
  AssentGovernor: [
    [
      'propose',
      [[alice], [0n], ['0x'], '# Approve it\n\nand more'],
      'put one call to the vote: # Approve it',
      'The text and the calls of a proposal cannot be changed; it can only be cancelled.',
    ],
    [
      'propose',
      [[alice, bob], [0n, 0n], ['0x', '0x'], 'two'],
      'put 2 calls to the vote: two',
      'The text and the calls of a proposal cannot be changed; it can only be cancelled.',
    ],
    ['castVote', [9n, 0], 'vote against on proposal 9', oneVote],
    ['castVote', [9n, 1], 'vote for on proposal 9', oneVote],
    ['castVote', [9n, 2], 'vote abstain on proposal 9', oneVote],
    ['castVote', [9n, 3], 'vote 3 on proposal 9', oneVote],
    ['castVoteWithReason', [9n, 0, 'no'], 'vote against on proposal 9', oneVote],
    ['castVoteWithReason', [9n, 1, 'yes'], 'vote for on proposal 9', oneVote],
    [
      'castVoteBySig',
      [9n, 0, alice, '0x'],
      `bring the signed vote of ${A}: against, on proposal 9`,
      oneVote,
    ],
    [
      'castVoteBySig',
      [9n, 1, alice, '0x'],
      `bring the signed vote of ${A}: for, on proposal 9`,
      oneVote,
    ],
    ['castVoteWithReasonAndParams', [9n, 1, '', '0x'], 'vote for on proposal 9', oneVote],
    ['castVoteWithReasonAndParams', [9n, 0, '', '0x'], 'vote against on proposal 9', oneVote],
    [
      'castVoteWithReasonAndParamsBySig',
      [9n, 1, bob, '', '0x', '0x'],
      `bring the signed vote of ${B}: for, on proposal 9`,
      oneVote,
    ],
    [
      'castVoteWithReasonAndParamsBySig',
      [9n, 0, bob, '', '0x', '0x'],
      `bring the signed vote of ${B}: against, on proposal 9`,
      oneVote,
    ],
    ['queue', [9n], 'hand proposal 9 to the timelock'],
    ['queue', [[], [], [], none], 'hand a proposal to the timelock'],
    [
      'execute',
      [9n],
      'carry out proposal 9',
      'What it changes is changed; another vote can only change it again.',
    ],
    [
      'execute',
      [[], [], [], none],
      'carry out a proposal',
      'What it changes is changed; another vote can only change it again.',
    ],
    [
      'cancel',
      [9n],
      'cancel proposal 9',
      'A cancelled proposal never comes back; the same calls need another text.',
    ],
    [
      'cancel',
      [[], [], [], none],
      'cancel a proposal (the same by the calls instead of the id; the tasks use the id)',
      'A cancelled proposal never comes back; the same calls need another text.',
    ],
    ['setVotingDelay', [3_600], 'let 1 hour pass between a proposal and its vote'],
    ['setVotingPeriod', [86_400], 'let votes be cast for 1 day'],
    [
      'setProposalThreshold',
      [15n * 10n ** 17n],
      'ask 1.5 votes (1500000000000000000 of the smallest units) of who proposes',
    ],
    ['updateQuorumNumerator', [4n], 'ask 4 percent of all votes to take part'],
    [
      'setLateQuorumVoteExtension',
      [7_200],
      'leave at least 2 hours to vote once enough votes have taken part',
    ],
    ['setProposalGuardian', [alice], `let ${A} cancel proposals`],
    ['setProposalGuardian', [nobody], 'let nobody but each proposer cancel proposals'],
    [
      'updateTimelock',
      [alice],
      `carry proposals out through ${A} from now on`,
      'If that timelock does not obey the governor, the DAO can never decide anything again.',
    ],
    ['relay', [alice, 5n, '0x1234'], `call ${A} in the governor’s own name, with 5 wei and 0x1234`],
    ['onERC721Received', [alice, bob, 1n, '0x'], 'receive a token'],
    ['onERC1155Received', [alice, bob, 1n, 1n, '0x'], 'receive a token'],
    ['onERC1155BatchReceived', [alice, bob, [1n], [1n], '0x'], 'receive tokens'],
  ],
  TimelockController: [
    ['updateDelay', [172_800n], 'let 2 days pass between a decision and its execution'],
    [
      'grantRole',
      [none, alice],
      `make ${A} admin of the timelock`,
      'Who proposes or administers there can do all that the DAO can.',
    ],
    [
      'grantRole',
      ['0xb09aa5aeb3702cfd50b6b62bc4532604938f21248a27a1d5ca736082b6819cc1', alice],
      `make ${A} proposer of the timelock`,
      'Who proposes or administers there can do all that the DAO can.',
    ],
    [
      'grantRole',
      [id('77'), alice],
      `make ${A} ${id('77')} of the timelock`,
      'Who proposes or administers there can do all that the DAO can.',
    ],
    [
      'revokeRole',
      ['0xfd643c72710c63c0180259aba6b2d05451e3591a24e58b62239378085726f783', bob],
      `take from ${B} that it is canceller of the timelock`,
    ],
    [
      'renounceRole',
      ['0xd8aa0f3194971a2a116679f7c2090f6939c8d4e01a2a8d7e41d55e5351469e63', bob],
      'give up being executor of the timelock',
    ],
    [
      'schedule',
      [alice, 5n, '0x1234', none, none, 3_600n],
      `schedule a call of ${A} with 5 wei and 0x1234, for 1 hour later`,
    ],
    [
      'scheduleBatch',
      [[alice, bob], [5n, 0n], ['0x1234', '0x'], none, none, 3_600n],
      [
        'schedule as one, for 1 hour later:',
        `a call of ${A} with 5 wei and 0x1234`,
        `a call of ${B} with 0 wei and 0x`,
      ],
    ],
    [
      'execute',
      [alice, 5n, '0x1234', none, none],
      `carry out the scheduled call of ${A} with 5 wei and 0x1234`,
    ],
    [
      'executeBatch',
      [[alice], [5n], ['0x1234'], none, none],
      ['carry out as one what was scheduled:', `a call of ${A} with 5 wei and 0x1234`],
    ],
    ['cancel', [id('0e')], `cancel the scheduled operation ${id('0e')}`],
    ['onERC721Received', [alice, bob, 1n, '0x'], 'receive a token'],
    ['onERC1155Received', [alice, bob, 1n, 1n, '0x'], 'receive a token'],
    ['onERC1155BatchReceived', [alice, bob, [1n], [1n], '0x'], 'receive tokens'],
  ],
  AssentVotes: [
    ['delegate', [alice], `let ${A} vote with all tokens of the sender, in votes that begin later`],
    [
      'delegateBySig',
      [alice, 0n, BigInt(soon), 27, none, none],
      `bring a signed delegation to ${A}, which ends 2027-01-15 08:00:00 UTC`,
    ],
    ['transfer', [alice, 7n], `give 7 of the smallest units to ${A}`],
    ['transferFrom', [alice, bob, 7n], `move 7 of the smallest units from ${A} to ${B}`],
    ['approve', [bob, 7n], `let ${B} take up to 7 of the smallest units of the sender’s tokens`],
    [
      'permit',
      [alice, bob, 7n, 0n, 27, none, none],
      `let ${B} take up to 7 of the smallest units of ${A}, by a signature`,
    ],
  ],
  QuoteVerifier: [
    ['putIssuer', 'any', 'store a certificate chain of Intel'],
    ['putCrl', 'any', 'store a revocation list of Intel'],
    ['putTcbInfo', 'any', 'store TCB info of Intel'],
    ['putQeIdentity', 'any', 'store a QE identity of Intel'],
    ['putEvaluationNumbers', 'any', 'store Intel’s evaluation numbers'],
    ['register', ['0x'], 'keep the verified record of a machine, so that later quotes are cheaper'],
    ['registerVerdict', ['0x'], 'keep a verified verdict, so that later quotes are cheaper'],
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

  test('every function that changes something is in the table', () => {
    const writes = functionsOf(contract)
      .filter(({ stateMutability }) => /payable$/.test(stateMutability))
      .map(({ name }) => name)
    const known = new Set(table.map(([name]) => name))

    expect([...new Set(writes)].filter((name) => !known.has(name))).toEqual([])
  })

  test('what has a condition is there on both of its sides', () => {
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

describe('words', () => {
  test('of a call that sends money', () => {
    const book: AddressBook = { names, types: new Map([[here, 'App']]) }
    const data = calldata('App', 'setAllowAnyDevice', [true])

    expect(describeCall(book, { to: here, data, value: 7n }).effects).toEqual([
      'boot the app on any device',
      'send 7 wei with it',
    ])
    expect(describeCall(book, { to: here, data, value: 0n }).effects).toHaveLength(1)
  })

  test('of times, with and without a now', () => {
    expect(formatTime(soon)).toBe('2027-01-15 08:00:00 UTC')
    expect(formatTime(2 ** 53)).toBe('never')
    expect(formatDeadline(soon)).toBe('2027-01-15 08:00:00 UTC')
    expect(formatDeadline(soon, soon)).toBe('2027-01-15 08:00:00 UTC (now)')
    expect(formatDeadline(soon, soon - 90_061)).toBe('2027-01-15 08:00:00 UTC (in 1 day 1 hour)')
    expect(formatDeadline(soon, soon + 61)).toBe('2027-01-15 08:00:00 UTC (1 minute 1 second ago)')
    expect(formatDuration(0)).toBe('0 seconds')
    expect(formatDuration(93_784)).toBe('1 day 2 hours 3 minutes 4 seconds')
  })

  test('of a time that has come are other ones', () => {
    const book: AddressBook = { names, types: new Map([[here, 'App']]) }
    const data = calldata('App', 'supersede', [3, soon, false])

    expect(describeCall(book, { to: here, data }, soon).effects).toEqual([
      'end all releases below number 3 at once',
    ])
    expect(describeCall(book, { to: here, data }, soon - 1).effects).toEqual([
      'end all releases below number 3 at 2027-01-15 08:00:00 UTC (in 1 second)',
    ])
  })
})

test('a proposal’s text has every sentence of every call, and what cannot be undone', () => {
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
      '# Boot on any machine: no registry of hosts is asked any more and 1 more',
      'Because.',
      '## What it changes',
      [
        `1. kmsAuth (${here})`,
        '   - boot on any machine: no registry of hosts is asked any more',
        `   - ${inTime}`,
        `2. kmsAuth (${here})`,
        `   - revoke OS image ${id('01')} at once and for good`,
        '   - cannot be undone: What is revoked never comes back.',
      ].join('\n'),
      'Read from the calls of this proposal by Assent; compare with what your own tools read.',
      `#proposer=${alice.toLowerCase()}`,
    ].join('\n\n'),
  )
})
