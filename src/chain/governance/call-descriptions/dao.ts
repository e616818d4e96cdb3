/** The deeds of voters and of the DAO over itself: governor, timelock, votes token. */
import { formatUnits, keccak256, toBytes } from 'viem'

import type { assentGovernorAbi, assentVotesAbi, timelockControllerAbi } from '../../abi.ts'
import { type Deeds, durationInWords, timeInWords } from './types.ts'

const supportWords = ['against', 'for', 'abstain']

const byId = 'the same by the calls instead of the id; the tasks use the id'
const ballots = 'OpenZeppelin’s other ways to vote; the tasks use one'
const receives = '[called by token contracts that send something, not by people]'

export const governorDeeds: Deeds<typeof assentGovernorAbi> = {
  propose: {
    by: 'anyone',
    says: ([targets, , , description]) =>
      `put ${targets.length === 1 ? 'one call' : `${targets.length} calls`} to the vote: ${description.split('\n', 1)[0]}`,
    final: 'The text and the calls of a proposal cannot be changed; it can only be cancelled.',
    command: 'propose',
  },
  castVoteWithReason: {
    by: 'anyone',
    says: ([id, support]) => `vote ${supportWords[support] ?? support} on proposal ${id}`,
    final: 'A vote cannot be changed.',
    command: 'vote',
  },
  castVote: {
    by: 'anyone',
    says: ([id, support]) => `vote ${supportWords[support] ?? support} on proposal ${id}`,
    final: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  castVoteBySig: {
    by: 'anyone',
    says: ([id, support, voter], { name }) =>
      `bring the signed vote of ${name(voter)}: ${supportWords[support] ?? support}, on proposal ${id}`,
    final: 'A vote cannot be changed.',
    command: 'bring-vote',
  },
  castVoteWithReasonAndParams: {
    by: 'anyone',
    says: ([id, support]) => `vote ${supportWords[support] ?? support} on proposal ${id}`,
    final: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  castVoteWithReasonAndParamsBySig: {
    by: 'anyone',
    says: ([id, support, voter], { name }) =>
      `bring the signed vote of ${name(voter)}: ${supportWords[support] ?? support}, on proposal ${id}`,
    final: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  queue: {
    by: 'anyone',
    says: (args) =>
      args.length === 1
        ? `hand proposal ${args[0]} to the timelock`
        : 'hand a proposal to the timelock',
    command: 'queue',
  },
  execute: {
    by: 'anyone',
    says: (args) => (args.length === 1 ? `carry out proposal ${args[0]}` : 'carry out a proposal'),
    final: 'What it changes is changed; another vote can only change it again.',
    command: 'execute',
  },
  cancel: {
    by: 'anyone',
    says: (args) =>
      args.length === 1 ? `cancel proposal ${args[0]}` : `cancel a proposal (${byId})`,
    final: 'A cancelled proposal never comes back; the same calls need another text.',
    command: 'cancel',
  },
  setVotingDelay: {
    by: 'dao',
    says: ([delay]) => `let ${durationInWords(delay)} pass between a proposal and its vote`,
    command: 'set-voting',
  },
  setVotingPeriod: {
    by: 'dao',
    says: ([period]) => `let votes be cast for ${durationInWords(period)}`,
    command: 'set-voting',
  },
  setProposalThreshold: {
    by: 'dao',
    says: ([threshold]) =>
      `ask ${formatUnits(threshold, 18)} votes (${threshold} of the smallest units) of who proposes`,
    command: 'set-voting',
  },
  updateQuorumNumerator: {
    by: 'dao',
    says: ([percent]) => `ask ${percent} percent of all votes to take part`,
    command: 'set-voting',
  },
  setLateQuorumVoteExtension: {
    by: 'dao',
    says: ([extension]) =>
      `leave at least ${durationInWords(extension)} to vote once enough votes have taken part`,
    command: 'set-voting',
  },
  setProposalGuardian: {
    by: 'dao',
    says: ([guardian], { name }) =>
      /^0x0{40}$/.test(guardian)
        ? 'let nobody but each proposer cancel proposals'
        : `let ${name(guardian)} cancel proposals`,
    command: 'set-guardian',
  },
  updateTimelock: {
    by: 'dao',
    says: ([timelock], { name }) => `carry proposals out through ${name(timelock)} from now on`,
    final: 'If that timelock does not obey the governor, the DAO can never decide anything again.',
    command:
      '[a new DAO is a new owner of each contract (hand-over): moving a governor to another timelock leaves its contracts behind]',
  },
  relay: {
    by: 'dao',
    says: ([target, value, data], { name }) =>
      `call ${name(target)} in the governor’s own name, with ${value} wei and ${data}`,
    command:
      '[the governor owns nothing and is sent nothing: there is nothing to call in its name]',
  },
  onERC721Received: { by: 'anyone', says: () => 'receive a token', command: receives },
  onERC1155Received: { by: 'anyone', says: () => 'receive a token', command: receives },
  onERC1155BatchReceived: { by: 'anyone', says: () => 'receive tokens', command: receives },
}

const roleNames = new Map(
  (['PROPOSER_ROLE', 'EXECUTOR_ROLE', 'CANCELLER_ROLE'] as const).map((role) => [
    keccak256(toBytes(role)) as string,
    role.split('_')[0]?.toLowerCase() ?? role,
  ]),
)

function roleInWords(role: string): string {
  return /^0x0+$/.test(role) ? 'admin' : (roleNames.get(role) ?? role)
}

const roles =
  '[the check of a deployment refuses any other holder of a role; a new DAO is a new owner (hand-over)]'
const operations =
  '[the governor does it: propose, queue, execute; for a plain timelock the tasks print it (--via timelock)]'

export const timelockDeeds: Deeds<typeof timelockControllerAbi> = {
  updateDelay: {
    by: 'dao',
    says: ([delay]) =>
      `let ${durationInWords(Number(delay))} pass between a decision and its execution`,
    command: 'set-voting',
  },
  grantRole: {
    by: 'dao',
    says: ([role, account], { name }) =>
      `make ${name(account)} ${roleInWords(role)} of the timelock`,
    final: 'Who proposes or administers there can do all that the DAO can.',
    command: roles,
  },
  revokeRole: {
    by: 'dao',
    says: ([role, account], { name }) =>
      `take from ${name(account)} that it is ${roleInWords(role)} of the timelock`,
    command: roles,
  },
  renounceRole: {
    by: 'anyone',
    says: ([role]) => `give up being ${roleInWords(role)} of the timelock`,
    command: '[only the deployer does it, once, in the deployment]',
  },
  schedule: {
    by: 'anyone',
    says: ([target, value, data, , , delay], { name }) =>
      `schedule a call of ${name(target)} with ${value} wei and ${data}, for ${durationInWords(Number(delay))} later`,
    command: operations,
  },
  scheduleBatch: {
    by: 'anyone',
    says: ([targets, values, datas, , , delay], { name }) => [
      `schedule as one, for ${durationInWords(Number(delay))} later:`,
      ...targets.map((to, i) => `a call of ${name(to)} with ${values[i]} wei and ${datas[i]}`),
    ],
    command: operations,
  },
  execute: {
    by: 'anyone',
    says: ([target, value, data], { name }) =>
      `carry out the scheduled call of ${name(target)} with ${value} wei and ${data}`,
    command: operations,
  },
  executeBatch: {
    by: 'anyone',
    says: ([targets, values, datas], { name }) => [
      'carry out as one what was scheduled:',
      ...targets.map((to, i) => `a call of ${name(to)} with ${values[i]} wei and ${datas[i]}`),
    ],
    command: operations,
  },
  cancel: {
    by: 'anyone',
    says: ([id]) => `cancel the scheduled operation ${id}`,
    command: '[the governor does it when a proposal is cancelled]',
  },
  onERC721Received: { by: 'anyone', says: () => 'receive a token', command: receives },
  onERC1155Received: { by: 'anyone', says: () => 'receive a token', command: receives },
  onERC1155BatchReceived: { by: 'anyone', says: () => 'receive tokens', command: receives },
}

const tokens = '[a token like any other: any wallet does it]'

export const votesDeeds: Deeds<typeof assentVotesAbi> = {
  delegate: {
    by: 'anyone',
    says: ([delegatee], { name }) =>
      `let ${name(delegatee)} vote with all tokens of the sender, in votes that begin later`,
    command: 'delegate',
  },
  delegateBySig: {
    by: 'anyone',
    says: ([delegatee, , expiry], { name }) =>
      `bring a signed delegation to ${name(delegatee)}, which ends ${timeInWords(Number(expiry))}`,
    command: '[voting front ends do it; a holder who can send a transaction uses delegate]',
  },
  transfer: {
    by: 'anyone',
    says: ([to, value], { name }) => `give ${value} of the smallest units to ${name(to)}`,
    command: tokens,
  },
  transferFrom: {
    by: 'anyone',
    says: ([from, to, value], { name }) =>
      `move ${value} of the smallest units from ${name(from)} to ${name(to)}`,
    command: tokens,
  },
  approve: {
    by: 'anyone',
    says: ([spender, value], { name }) =>
      `let ${name(spender)} take up to ${value} of the smallest units of the sender’s tokens`,
    command: tokens,
  },
  permit: {
    by: 'anyone',
    says: ([owner, spender, value], { name }) =>
      `let ${name(spender)} take up to ${value} of the smallest units of ${name(owner)}, by a signature`,
    command: tokens,
  },
}
