/** Arguments and options that several commands share. */
import type { OptionsOf } from './command.ts'

/** Options of every command; the front door reads them. */
export const commonOptions = {
  json: { description: 'print one JSON value instead of text' },
} as const

/** Options of commands that need a chain or a deployment; the front door reads them. */
export const chainOptions = {
  deployments: {
    value: 'FOLDER',
    description: 'folder of the deployment records (default: from the profile, or deployments)',
  },
} as const

/** Options of commands that send or sign; the front door reads them. */
export const signerOptions = {
  from: {
    value: 'ADDRESS',
    description: 'account that signs (default: from the profile, or the only one)',
  },
  yes: { description: 'do not ask for confirmation' },
} as const

export const governorOption = {
  governor: {
    value: 'ADDRESS',
    description: 'governor of another DAO, for example the DAO of an app',
  },
} as const

export const appOption = {
  app: {
    value: 'APP',
    description:
      'the app: address, name, or the first digits of its address (default: from the profile)',
  },
} as const

export const outOption = {
  out: { value: 'FILE', description: 'output file (default: print it)' },
} as const

/** Start and end of an approval. */
export const timeOptions = {
  activeFrom: {
    value: 'TIME',
    description: 'start time, for example 2027-01-31T12:00:00Z (default: immediately)',
  },
  expiresAt: {
    value: 'TIME',
    description: 'end time: the first second in which the approval is not valid (default: no end)',
  },
} as const

/** Options for a part of a list. */
export const pageOptions = {
  offset: { value: 'N', description: 'number of entries to skip', default: '0' },
  limit: { value: 'N', description: 'number of entries to show', default: '50' },
} as const

export const executionMethods = ['auto', 'send', 'propose', 'safe', 'timelock', 'calldata'] as const

/** Options of commands whose calls only an owner can make: sent by the owner, proposed to a DAO, or exported. */
export const ownerOptions = {
  via: {
    value: 'METHOD',
    description:
      'send or propose; safe, timelock or calldata: export; auto: send if the account is the owner, propose if the DAO is',
    default: 'auto',
    choices: executionMethods,
  },
  draft: { value: 'FILE', description: 'only add the calls to this draft' },
  ...governorOption,
  title: {
    value: 'TEXT',
    description: 'title of the proposal (default: generated from its calls)',
  },
  reason: { value: 'TEXT', description: 'reason that voters read in the proposal' },
  owner: {
    value: 'ADDRESS',
    description: 'address of the Safe or timelock, for --via safe or --via timelock',
  },
  out: { value: 'FILE', description: 'output file for --via safe, timelock or calldata' },
  notAfter: {
    value: 'TIME',
    description: 'execution deadline (default: two weeks after the earliest execution)',
  },
  dryRun: { description: 'print and simulate the calls, and send nothing' },
  skipSimulation: { description: 'propose calls even if they would fail now' },
} as const

/** Values of {@link ownerOptions}. */
export type OwnerArguments = OptionsOf<typeof ownerOptions>

/** The sentence about sending that commands with {@link ownerOptions} share. */
export const ownerSends =
  'calls that the owner sends, that are proposed to the DAO, added to a draft (--draft) or exported (--via)'

/** Options of commands that fetch collateral. */
export const pccsOptions = {
  pccs: {
    value: 'URL',
    description: 'PCCS with the collateral; can be given several times (default: from the profile)',
    isRepeatable: true,
  },
  pccsCa: { value: 'FILE', description: 'certificates (PEM) to trust for the PCCS' },
  update: {
    value: 'KIND',
    description: 'early: collateral of a TCB recovery as soon as it is published',
    choices: ['standard', 'early'],
    default: 'standard',
  },
} as const

/** Values of {@link pccsOptions}. */
export type PccsArguments = OptionsOf<typeof pccsOptions>
