/** The deeds of voters and of the DAO over itself: governor, timelock, votes token. */
import { formatUnits, keccak256, toBytes } from 'viem'

import type { assentGovernorAbi, assentVotesAbi, timelockControllerAbi } from '../../abi.ts'
import { type FunctionDescriptions, formatDuration, formatTime } from './types.ts'

const supportWords = ['against', 'for', 'abstain']

const byId = 'the same by the calls instead of the id; the tasks use the id'
const ballots = 'OpenZeppelin’s other ways to vote; the tasks use one'
const receives = '[called by token contracts that send something, not by people]'

export const governorDescriptions: FunctionDescriptions<typeof assentGovernorAbi> = {
  propose: {
    caller: 'anyone',
    describe: ([targets, , , description]) =>
      `put ${targets.length === 1 ? 'one call' : `${targets.length} calls`} to the vote: ${description.split('\n', 1)[0]}`,
    irreversible:
      'The text and the calls of a proposal cannot be changed; it can only be cancelled.',
    command: 'propose',
  },
  castVoteWithReason: {
    caller: 'anyone',
    describe: ([id, support]) => `vote ${supportWords[support] ?? support} on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: 'vote',
  },
  castVote: {
    caller: 'anyone',
    describe: ([id, support]) => `vote ${supportWords[support] ?? support} on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  castVoteBySig: {
    caller: 'anyone',
    describe: ([id, support, voter], { name }) =>
      `bring the signed vote of ${name(voter)}: ${supportWords[support] ?? support}, on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: 'submit-vote',
  },
  castVoteWithReasonAndParams: {
    caller: 'anyone',
    describe: ([id, support]) => `vote ${supportWords[support] ?? support} on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  castVoteWithReasonAndParamsBySig: {
    caller: 'anyone',
    describe: ([id, support, voter], { name }) =>
      `bring the signed vote of ${name(voter)}: ${supportWords[support] ?? support}, on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  queue: {
    caller: 'anyone',
    describe: (args) =>
      args.length === 1
        ? `hand proposal ${args[0]} to the timelock`
        : 'hand a proposal to the timelock',
    command: 'queue',
  },
  execute: {
    caller: 'anyone',
    describe: (args) =>
      args.length === 1 ? `carry out proposal ${args[0]}` : 'carry out a proposal',
    irreversible: 'What it changes is changed; another vote can only change it again.',
    command: 'execute',
  },
  cancel: {
    caller: 'anyone',
    describe: (args) =>
      args.length === 1 ? `cancel proposal ${args[0]}` : `cancel a proposal (${byId})`,
    irreversible: 'A cancelled proposal never comes back; the same calls need another text.',
    command: 'cancel',
  },
  setVotingDelay: {
    caller: 'dao',
    describe: ([delay]) => `let ${formatDuration(delay)} pass between a proposal and its vote`,
    command: 'set-voting',
  },
  setVotingPeriod: {
    caller: 'dao',
    describe: ([period]) => `let votes be cast for ${formatDuration(period)}`,
    command: 'set-voting',
  },
  setProposalThreshold: {
    caller: 'dao',
    describe: ([threshold]) =>
      `ask ${formatUnits(threshold, 18)} votes (${threshold} of the smallest units) of who proposes`,
    command: 'set-voting',
  },
  updateQuorumNumerator: {
    caller: 'dao',
    describe: ([percent]) => `ask ${percent} percent of all votes to take part`,
    command: 'set-voting',
  },
  setLateQuorumVoteExtension: {
    caller: 'dao',
    describe: ([extension]) =>
      `leave at least ${formatDuration(extension)} to vote once enough votes have taken part`,
    command: 'set-voting',
  },
  setProposalGuardian: {
    caller: 'dao',
    describe: ([guardian], { name }) =>
      /^0x0{40}$/.test(guardian)
        ? 'let nobody but each proposer cancel proposals'
        : `let ${name(guardian)} cancel proposals`,
    command: 'set-guardian',
  },
  updateTimelock: {
    caller: 'dao',
    describe: ([timelock], { name }) => `carry proposals out through ${name(timelock)} from now on`,
    irreversible:
      'If that timelock does not obey the governor, the DAO can never decide anything again.',
    command:
      '[a new DAO is a new owner of each contract (transfer-ownership): moving a governor to another timelock leaves its contracts behind]',
  },
  relay: {
    caller: 'dao',
    describe: ([target, value, data], { name }) =>
      `call ${name(target)} in the governor’s own name, with ${value} wei and ${data}`,
    command:
      '[the governor owns nothing and is sent nothing: there is nothing to call in its name]',
  },
  onERC721Received: { caller: 'anyone', describe: () => 'receive a token', command: receives },
  onERC1155Received: { caller: 'anyone', describe: () => 'receive a token', command: receives },
  onERC1155BatchReceived: { caller: 'anyone', describe: () => 'receive tokens', command: receives },
}

const roleNames = new Map(
  (['PROPOSER_ROLE', 'EXECUTOR_ROLE', 'CANCELLER_ROLE'] as const).map((role) => [
    keccak256(toBytes(role)) as string,
    role.split('_')[0]?.toLowerCase() ?? role,
  ]),
)

function roleName(role: string): string {
  return /^0x0+$/.test(role) ? 'admin' : (roleNames.get(role) ?? role)
}

const roles =
  '[the check of a deployment refuses any other holder of a role; a new DAO is a new owner (transfer-ownership)]'
const operations =
  '[the governor does it: propose, queue, execute; for a plain timelock the tasks print it (--via timelock)]'

export const timelockDescriptions: FunctionDescriptions<typeof timelockControllerAbi> = {
  updateDelay: {
    caller: 'dao',
    describe: ([delay]) =>
      `let ${formatDuration(Number(delay))} pass between a decision and its execution`,
    command: 'set-voting',
  },
  grantRole: {
    caller: 'dao',
    describe: ([role, account], { name }) =>
      `make ${name(account)} ${roleName(role)} of the timelock`,
    irreversible: 'Who proposes or administers there can do all that the DAO can.',
    command: roles,
  },
  revokeRole: {
    caller: 'dao',
    describe: ([role, account], { name }) =>
      `take from ${name(account)} that it is ${roleName(role)} of the timelock`,
    command: roles,
  },
  renounceRole: {
    caller: 'anyone',
    describe: ([role]) => `give up being ${roleName(role)} of the timelock`,
    command: '[only the deployer does it, once, in the deployment]',
  },
  schedule: {
    caller: 'anyone',
    describe: ([target, value, data, , , delay], { name }) =>
      `schedule a call of ${name(target)} with ${value} wei and ${data}, for ${formatDuration(Number(delay))} later`,
    command: operations,
  },
  scheduleBatch: {
    caller: 'anyone',
    describe: ([targets, values, datas, , , delay], { name }) => [
      `schedule as one, for ${formatDuration(Number(delay))} later:`,
      ...targets.map((to, i) => `a call of ${name(to)} with ${values[i]} wei and ${datas[i]}`),
    ],
    command: operations,
  },
  execute: {
    caller: 'anyone',
    describe: ([target, value, data], { name }) =>
      `carry out the scheduled call of ${name(target)} with ${value} wei and ${data}`,
    command: operations,
  },
  executeBatch: {
    caller: 'anyone',
    describe: ([targets, values, datas], { name }) => [
      'carry out as one what was scheduled:',
      ...targets.map((to, i) => `a call of ${name(to)} with ${values[i]} wei and ${datas[i]}`),
    ],
    command: operations,
  },
  cancel: {
    caller: 'anyone',
    describe: ([id]) => `cancel the scheduled operation ${id}`,
    command: '[the governor does it when a proposal is cancelled]',
  },
  onERC721Received: { caller: 'anyone', describe: () => 'receive a token', command: receives },
  onERC1155Received: { caller: 'anyone', describe: () => 'receive a token', command: receives },
  onERC1155BatchReceived: { caller: 'anyone', describe: () => 'receive tokens', command: receives },
}

const tokens = '[a token like any other: any wallet does it]'

export const votesDescriptions: FunctionDescriptions<typeof assentVotesAbi> = {
  delegate: {
    caller: 'anyone',
    describe: ([delegatee], { name }) =>
      `let ${name(delegatee)} vote with all tokens of the sender, in votes that begin later`,
    command: 'delegate',
  },
  delegateBySig: {
    caller: 'anyone',
    describe: ([delegatee, , expiry], { name }) =>
      `bring a signed delegation to ${name(delegatee)}, which ends ${formatTime(Number(expiry))}`,
    command: '[voting front ends do it; a holder who can send a transaction uses delegate]',
  },
  transfer: {
    caller: 'anyone',
    describe: ([to, value], { name }) => `give ${value} of the smallest units to ${name(to)}`,
    command: tokens,
  },
  transferFrom: {
    caller: 'anyone',
    describe: ([from, to, value], { name }) =>
      `move ${value} of the smallest units from ${name(from)} to ${name(to)}`,
    command: tokens,
  },
  approve: {
    caller: 'anyone',
    describe: ([spender, value], { name }) =>
      `let ${name(spender)} take up to ${value} of the smallest units of the sender’s tokens`,
    command: tokens,
  },
  permit: {
    caller: 'anyone',
    describe: ([owner, spender, value], { name }) =>
      `let ${name(spender)} take up to ${value} of the smallest units of ${name(owner)}, by a signature`,
    command: tokens,
  },
}
