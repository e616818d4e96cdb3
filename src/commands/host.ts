/** The group `host`: operators of hosts, and the rules of the host registry. */
import { defineCommand, type OptionsOf } from './command.ts'
import { outOption, ownerOptions, ownerSends, pageOptions } from './options.ts'

const device = { description: 'the host: device id, its first digits, or a name of the profile' }
const amount = { description: 'amount in smallest token units' }

const socketOption = {
  socket: {
    value: 'PATH',
    description: 'socket of the guest agent (default: where dstack has it in a CVM)',
  },
} as const

const hostPccsOptions = {
  pccs: {
    value: 'URL',
    description: 'PCCS with Intel’s early collateral (default: from the profile)',
  },
  pccsCa: { value: 'FILE', description: 'certificates (PEM) to trust for the PCCS' },
} as const

/** Values of the options for a PCCS. */
export type HostPccsArguments = OptionsOf<typeof hostPccsOptions>

const proofOptions = {
  via: {
    value: 'METHOD',
    description: 'account: the operator sends and pays; relayer: it signs a permit',
    choices: ['account', 'relayer'],
    default: 'account',
  },
  relayerUrl: { value: 'URL', description: 'the relayer (default: from the profile)' },
  tokenFile: {
    value: 'FILE',
    description: 'token at the relayer (default: the variable ASSENT_OPERATOR_TOKEN)',
  },
  purpose: {
    value: 'PURPOSE',
    description: 'kms-node: the relayer requires that the DAO approved host and KMS',
    choices: ['host', 'kms-node'],
    default: 'host',
  },
  permitFor: {
    value: 'DURATION',
    description: 'how long the permit is valid, for example 1h',
    default: '1h',
  },
} as const

/** Values of the options of a new proof. */
export type ProofArguments = OptionsOf<typeof proofOptions>

export const list = defineCommand({
  path: ['host', 'list'],
  summary: 'List hosts: approval, end of the proof, TCB, and whether they are admitted',
  help: `After the approved hosts come those that are proven and not approved. They are only in events, whose search takes long on a public chain; --quick leaves them out.`,
  examples: ['host list', 'host list --quick --limit 20 --json'],
  options: { ...pageOptions, quick: { description: 'do not search for unapproved hosts' } },
  reads: 'the host registry, and its events',
  load: () => import('./host/list.ts'),
})

export const quote = defineCommand({
  path: ['host', 'quote'],
  summary: 'Get a quote of this host for the registry, and show what the DAO would see',
  help: `The quote is for an operator and the newest block, and the registry accepts it for a limited number of blocks. The file has everything that host register needs. With a quote as argument, only that quote is assessed.
Exit code 1: the registry would refuse the quote today.`,
  examples: [
    'host quote --socket /var/run/dstack.sock --out host-quote.json',
    'host quote host-quote.json --pccs https://api.trustedservices.intel.com',
  ],
  arguments: {
    quote: { description: 'a quote in any form, in place of the agent', isOptional: true },
  },
  options: {
    ...socketOption,
    operator: { value: 'ADDRESS', description: 'operator (default: the account that signs)' },
    out: { value: 'FILE', description: 'file for the quote', default: 'host-quote.json' },
    ...hostPccsOptions,
  },
  reads: 'the guest agent, the newest block, the quote verifier and the rules, and the PCCS',
  sends: 'nothing; --from only names the operator',
  load: () => import('./host/quote.ts'),
})

export const renew = defineCommand({
  path: ['host', 'renew'],
  summary: 'Prove a registered host again, from the account or through a relayer',
  help: `With --via relayer the operator signs a permit and needs no ether. Only the operator of the host can renew it while its proof is valid.`,
  examples: [
    'host renew 5f1c07 --socket /var/run/dstack.sock',
    'host renew 5f1c07 --quote host-quote.json --via relayer --token-file token',
  ],
  arguments: { device },
  options: {
    ...socketOption,
    quote: { value: 'FILE', description: 'file of host quote, in place of the agent' },
    ...proofOptions,
  },
  reads: 'the guest agent or the file, the newest block, and the host registry',
  sends: 'register to the host registry, or a permit (EIP-712) and the quote to the relayer',
  load: () => import('./host/renew.ts'),
})

export const doctor = defineCommand({
  path: ['host', 'doctor'],
  summary: 'Check what keeps a host admitted, and what ends soon; exit code 1 if a check fails',
  help: `It verifies the quote of the current proof again: under the collateral of today, and under Intel’s early collateral, which becomes the standard about a year after a TCB recovery. Warnings are about the next weeks (--within).`,
  examples: ['host doctor 5f1c07', 'host doctor 5f1c07 --pccs http://127.0.0.1:8081 --within 30d'],
  arguments: { device },
  options: {
    within: {
      value: 'DURATION',
      description: 'what ends within this time is a warning',
      default: '14d',
    },
    quote: {
      value: 'FILE',
      description: 'the quote of the proof (default: from its transaction)',
    },
    ...hostPccsOptions,
  },
  reads: 'the host registry, its verifier and bonds, the transaction of the proof, and the PCCS',
  load: () => import('./host/doctor.ts'),
})

export const uploadCollateral = defineCommand({
  path: ['host', 'upload-collateral'],
  summary: 'Upload Intel’s collateral to the quote verifier; anyone can do this',
  examples: ['host upload-collateral collateral.json'],
  arguments: { file: { description: 'collateral (JSON in the format of dcap-qvl)' } },
  reads: 'the file, and the collateral that the verifier has',
  sends: 'uploads to the quote verifier, which checks each signature',
  load: () => import('./host/upload-collateral.ts'),
})

export const reportData = defineCommand({
  path: ['host', 'report-data'],
  summary: 'Print the report data for the quote of a host, bound to a recent block',
  examples: ['host report-data 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'],
  arguments: { operator: { description: 'account that will register the host' } },
  reads: 'the newest block',
  load: () => import('./host/report-data.ts'),
})

export const register = defineCommand({
  path: ['host', 'register'],
  summary: 'Register a host with its quote; the account that signs becomes its operator',
  help: `The file of host quote names block and operator. For a quote that was made otherwise, pass the block that host report-data printed.`,
  examples: [
    'host register host-quote.json',
    'host register host-quote.json --via relayer --token-file token',
    'host register quote.bin --block 21000000',
  ],
  arguments: { quote: { description: 'file of host quote, or a quote in another form' } },
  options: {
    block: { value: 'N', description: 'block that the quote names (default: from the file)' },
    operator: { value: 'ADDRESS', description: 'operator, if another account sends' },
    permit: {
      value: 'HEX',
      description: 'permit: the operator’s signature; needs --operator and --deadline',
    },
    deadline: { value: 'TIME', description: 'time until which that permit is valid' },
    ...proofOptions,
  },
  reads: 'the quote',
  sends:
    'register or registerFor to the host registry, which verifies the quote; or to the relayer',
  load: () => import('./host/register.ts'),
})

export const status = defineCommand({
  path: ['host', 'status'],
  summary: 'Show one host: approval, proof, bond and admission. Without a host: as host list',
  examples: ['host status 5f1c07', 'host status'],
  arguments: { device: { ...device, isOptional: true } },
  options: { ...pageOptions, quick: { description: 'do not search for unapproved hosts' } },
  reads: 'the host registry and its events, and the bonds',
  load: () => import('./host/status.ts'),
})

export const endProof = defineCommand({
  path: ['host', 'end-proof'],
  summary:
    'End a host proof whose certificate is revoked or expired or whose TCB status is not accepted',
  examples: ['host end-proof 5f1c07 quote.bin'],
  arguments: { device, quote: { description: 'file with the raw quote of the host proof' } },
  reads: 'the quote',
  sends: 'endProof to the host registry',
  load: () => import('./host/end-proof.ts'),
})

export const signContinuity = defineCommand({
  path: ['host', 'sign-continuity'],
  summary: 'Sign that a host has a new device id after a firmware update; sends no transaction',
  examples: ['host sign-continuity 5f1c07 0x… --deadline 2027-02-01T00:00:00Z --out signed.json'],
  arguments: {
    old: { description: 'old device id, its first digits, or a name' },
    next: { description: 'new device id' },
  },
  options: {
    deadline: {
      value: 'TIME',
      description: 'time until which the signature is valid',
      isRequired: true,
    },
    ...outOption,
  },
  reads: 'the deployment',
  sends: 'nothing; it signs the statement as typed data (EIP-712)',
  load: () => import('./host/sign-continuity.ts'),
})

export const continueAs = defineCommand({
  path: ['host', 'continue'],
  summary: 'Carry the approval of a host over to its new device id',
  examples: ['host continue signed.json'],
  arguments: { file: { description: 'signed statement, written by host sign-continuity' } },
  reads: 'the statement',
  sends: 'continueAs to the host registry',
  load: () => import('./host/continue.ts'),
})

export const bond = defineCommand({
  path: ['host', 'bond'],
  summary: 'Deposit a bond for a host; only the bond of its operator counts for admission',
  examples: ['host bond 5f1c07 1000000000000000000'],
  arguments: { device, amount },
  reads: 'terms of the bonds, and the balance of the account',
  sends: 'approve to the token if necessary, and deposit to HostBonds',
  load: () => import('./host/bond.ts'),
})

export const unbond = defineCommand({
  path: ['host', 'unbond'],
  summary: 'Unbond a deposit; it can be paid out after the unbonding time',
  examples: ['host unbond 5f1c07 1000000000000000000'],
  arguments: { device, amount },
  reads: 'the deployment',
  sends: 'unbond to HostBonds',
  load: () => import('./host/unbond.ts'),
})

export const withdrawBond = defineCommand({
  path: ['host', 'withdraw-bond'],
  summary: 'Pay out an unbonded deposit after the unbonding time',
  examples: ['host withdraw-bond 5f1c07'],
  arguments: { device },
  reads: 'the deployment',
  sends: 'withdraw to HostBonds',
  load: () => import('./host/withdraw-bond.ts'),
})

/* DECISIONS OF THE DAO */

export const slash = defineCommand({
  path: ['host', 'slash'],
  summary: 'Slash a bond because of a proven fault',
  examples: ['host slash 5f1c07 0x… 1000 0x… --evidence fault.json'],
  arguments: {
    device,
    holder: { description: 'account to which the bond belongs' },
    amount,
    to: { description: 'account that receives the amount' },
  },
  options: {
    ...ownerOptions,
    evidence: {
      value: 'FILE',
      description: 'file that proves the fault; its content is published on-chain',
      isRequired: true,
    },
  },
  reads: 'the file, and the owner of HostBonds',
  sends: ownerSends,
  load: () => import('./host/slash.ts'),
})

export const setBondTerms = defineCommand({
  path: ['host', 'set-bond-terms'],
  summary: 'Set the size of a bond and the unbonding time',
  examples: ['host set-bond-terms --minimum 1000000000000000000 --unbonding 30d'],
  options: {
    ...ownerOptions,
    minimum: { value: 'UNITS', description: 'amount in smallest token units', isRequired: true },
    unbonding: {
      value: 'DURATION',
      description: 'unbonding time, for example 30d',
      isRequired: true,
    },
  },
  reads: 'the owner of HostBonds',
  sends: ownerSends,
  load: () => import('./host/set-bond-terms.ts'),
})

export const setSlashLimit = defineCommand({
  path: ['host', 'set-slash-limit'],
  summary: 'Let a contract slash bonds for faults that it proves, up to a limit for each fault',
  help: 'The contract decides what a fault is: read its code. The DAO receives what it takes.',
  examples: ['host set-slash-limit deployed 1000000000000000000'],
  arguments: {
    slasher: { description: 'address of the contract, or "deployed" for Requests' },
    limit: { description: 'the most for one fault, in smallest token units; 0: nothing any more' },
  },
  options: ownerOptions,
  reads: 'the owner of HostBonds',
  sends: ownerSends,
  load: () => import('./host/set-slash-limit.ts'),
})

export const setRules = defineCommand({
  path: ['host', 'set-rules'],
  summary: 'Change the rules for hosts; omitted options do not change',
  examples: ['host set-rules --open yes --max-lifetime 45d'],
  options: {
    ...ownerOptions,
    open: {
      value: 'YES|NO',
      description: 'yes: the first host proof approves a host; no: only the DAO approves hosts',
      choices: ['yes', 'no'],
    },
    activationDelay: {
      value: 'DURATION',
      description: 'time from first host proof to activation if open, for example 1d',
    },
    minLifetime: { value: 'DURATION', description: 'minimum validity of a host proof' },
    maxLifetime: {
      value: 'DURATION',
      description: 'maximum validity of a host proof, for example 45d',
    },
    attestedSince: {
      value: 'TIME',
      description: 'host proofs registered before this time do not count',
    },
    window: { value: 'BLOCKS', description: 'maximum age of the block in a quote' },
    minEvaluationNumber: { value: 'N', description: 'lowest TCB evaluation number' },
  },
  reads: 'the rules, and the owner of the host registry',
  sends: ownerSends,
  load: () => import('./host/set-rules.ts'),
})

export const setTcbStatus = defineCommand({
  path: ['host', 'set-tcb-status'],
  summary: 'Set until when hosts with a TCB status are accepted',
  examples: ['host set-tcb-status SWHardeningNeeded 2027-06-30T00:00:00Z'],
  arguments: {
    status: { description: 'TCB status: UpToDate, SWHardeningNeeded, …' },
    until: {
      description: 'accept (without an end), refuse, or the time until which it is accepted',
    },
  },
  options: ownerOptions,
  reads: 'the owner of the host registry',
  sends: ownerSends,
  load: () => import('./host/set-tcb-status.ts'),
})

export const setAdvisories = defineCommand({
  path: ['host', 'set-advisories'],
  summary: 'Deny or accept hosts that are affected by Intel advisories',
  examples: ['host set-advisories deny INTEL-SA-00828'],
  arguments: {
    verb: { description: 'deny or accept', choices: ['deny', 'accept'] },
    advisories: { description: 'advisory ids, for example INTEL-SA-00828', isVariadic: true },
  },
  options: ownerOptions,
  reads: 'the owner of the host registry',
  sends: ownerSends,
  load: () => import('./host/set-advisories.ts'),
})

export const setOperator = defineCommand({
  path: ['host', 'set-operator'],
  summary: 'Set the operator of a host',
  examples: ['host set-operator 5f1c07 0x…'],
  arguments: { device, operator: { description: 'address of the new operator' } },
  options: ownerOptions,
  reads: 'the owner of the host registry',
  sends: ownerSends,
  load: () => import('./host/set-operator.ts'),
})

export const setContinuityDelay = defineCommand({
  path: ['host', 'set-continuity-delay'],
  summary: 'Set the continuity delay for new device ids after a firmware update, or switch it off',
  examples: ['host set-continuity-delay 2d'],
  arguments: {
    delay: { description: 'delay before the new device id is active, for example 2d, or off' },
  },
  options: ownerOptions,
  reads: 'the owner of the host registry',
  sends: ownerSends,
  load: () => import('./host/set-continuity-delay.ts'),
})

export const hostCommands = [
  list,
  quote,
  register,
  renew,
  doctor,
  reportData,
  status,
  endProof,
  uploadCollateral,
  signContinuity,
  continueAs,
  bond,
  unbond,
  withdrawBond,
  slash,
  setBondTerms,
  setSlashLimit,
  setRules,
  setTcbStatus,
  setAdvisories,
  setOperator,
  setContinuityDelay,
]
