/** Descriptions of the functions of the governor, the timelock and the votes token. */
import { formatUnits, keccak256, toBytes } from 'viem'
import { quoteText } from '../../../lib/printable.ts'
import type { assentGovernorAbi, assentVotesAbi, timelockControllerAbi } from '../../abi.ts'
import { describeValidity, type FunctionDescriptions, formatDuration } from './types.ts'

const voteNames = ['against', 'for', 'abstain']

const ballots =
  'other ways to vote of OpenZeppelin’s Governor; `assent dao vote` uses castVoteWithReason'
const receives = '[called by token contracts, not by people]'

/** Descriptions of the governor's functions. */
export const governorDescriptions: FunctionDescriptions<typeof assentGovernorAbi> = {
  propose: {
    caller: 'anyone',
    describe: ([targets, , , description]) =>
      `propose ${targets.length === 1 ? 'one call' : `${targets.length} calls`}: ${quoteText(description.split('\n', 1)[0] ?? '')}`,
    irreversible:
      'The text and the calls of a proposal cannot be changed; it can only be cancelled.',
    command: 'dao propose',
  },
  castVoteWithReason: {
    caller: 'anyone',
    describe: ([id, support]) => `vote "${voteNames[support] ?? support}" on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: 'dao vote',
  },
  castVote: {
    caller: 'anyone',
    describe: ([id, support]) => `vote "${voteNames[support] ?? support}" on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  castVoteBySig: {
    caller: 'anyone',
    describe: ([id, support, voter], { name }) =>
      `submit the signed vote "${voteNames[support] ?? support}" of ${name(voter)} on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: 'dao submit-vote',
  },
  castVoteWithReasonAndParams: {
    caller: 'anyone',
    describe: ([id, support]) => `vote "${voteNames[support] ?? support}" on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  castVoteWithReasonAndParamsBySig: {
    caller: 'anyone',
    describe: ([id, support, voter], { name }) =>
      `submit the signed vote "${voteNames[support] ?? support}" of ${name(voter)} on proposal ${id}`,
    irreversible: 'A vote cannot be changed.',
    command: `[${ballots}]`,
  },
  queue: {
    caller: 'anyone',
    describe: (args) =>
      args.length === 1
        ? `queue proposal ${args[0]} in the timelock`
        : 'queue the proposal with these calls in the timelock',
    command: 'dao queue',
  },
  execute: {
    caller: 'anyone',
    describe: (args) =>
      args.length === 1 ? `execute proposal ${args[0]}` : 'execute the proposal with these calls',
    irreversible: 'Only another proposal can reverse the changes.',
    command: 'dao execute',
  },
  cancel: {
    caller: 'anyone',
    describe: (args) =>
      args.length === 1 ? `cancel proposal ${args[0]}` : 'cancel the proposal with these calls',
    irreversible:
      'A cancelled proposal cannot be reopened; the same calls need a proposal with another text.',
    command: 'dao cancel',
  },
  setVotingDelay: {
    caller: 'dao',
    describe: ([delay]) =>
      `set the voting delay (from proposal to start of voting) to ${formatDuration(delay)}`,
    command: 'dao set-voting',
  },
  setVotingPeriod: {
    caller: 'dao',
    describe: ([period]) => `set the voting period to ${formatDuration(period)}`,
    command: 'dao set-voting',
  },
  setProposalThreshold: {
    caller: 'dao',
    describe: ([threshold]) =>
      `require ${formatUnits(threshold, 18)} votes (${threshold} smallest units) to propose`,
    command: 'dao set-voting',
  },
  updateQuorumNumerator: {
    caller: 'dao',
    describe: ([percent]) => `set the quorum to ${percent} percent of all votes`,
    command: 'dao set-voting',
  },
  setLateQuorumVoteExtension: {
    caller: 'dao',
    describe: ([extension]) =>
      `keep voting open for at least ${formatDuration(extension)} after the quorum is reached`,
    command: 'dao set-voting',
  },
  setProposalGuardian: {
    caller: 'dao',
    describe: ([guardian], { name }) =>
      /^0x0{40}$/.test(guardian)
        ? 'remove the proposal guardian: only its proposer can cancel a proposal'
        : `make ${name(guardian)} the proposal guardian, who can cancel proposals`,
    command: 'dao guardian set',
  },
  updateTimelock: {
    caller: 'dao',
    describe: ([timelock], { name }) =>
      `execute later proposals through the timelock ${name(timelock)}`,
    irreversible:
      'If this timelock does not accept calls from the governor, the DAO can never execute a proposal again.',
    command:
      '[not useful: the contracts stay with the old timelock; for a new DAO use transfer-ownership on each contract]',
  },
  relay: {
    caller: 'dao',
    describe: ([target, value, data], { name }) =>
      `call ${name(target)} from the governor, with ${value} wei and calldata ${data}`,
    command: '[not useful: the governor owns no contracts and no tokens]',
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
  '[assent deployment check reports any other holder of a role; for a new DAO use deployment transfer-ownership]'
const operations =
  '[called by the governor for propose, queue and execute; for a plain timelock use --via timelock]'

/** Descriptions of the timelock's functions. Most can only be called through a decision. */
export const timelockDescriptions: FunctionDescriptions<typeof timelockControllerAbi> = {
  updateDelay: {
    caller: 'dao',
    describe: ([delay]) =>
      `set the timelock delay (from queueing to execution) to ${formatDuration(Number(delay))}`,
    command: 'dao set-voting',
  },
  grantRole: {
    caller: 'dao',
    describe: ([role, account], { name }) =>
      `give ${name(account)} the role ${roleName(role)} of the timelock`,
    irreversible: 'A proposer or admin of the timelock can do everything that the DAO can do.',
    command: roles,
  },
  revokeRole: {
    caller: 'dao',
    describe: ([role, account], { name }) =>
      `take the role ${roleName(role)} of the timelock from ${name(account)}`,
    command: roles,
  },
  renounceRole: {
    caller: 'anyone',
    describe: ([role]) => `give up the role ${roleName(role)} of the timelock`,
    command: '[called by the deployer, once, during the deployment]',
  },
  schedule: {
    caller: 'anyone',
    describe: ([target, value, data, , , delay], { name }) =>
      `schedule a call to ${name(target)} with ${value} wei and calldata ${data}, executable after ${formatDuration(Number(delay))}`,
    command: operations,
  },
  scheduleBatch: {
    caller: 'anyone',
    describe: ([targets, values, datas, , , delay], { name }) => [
      `schedule these calls as one operation, executable after ${formatDuration(Number(delay))}:`,
      ...targets.map((to, i) => `call ${name(to)} with ${values[i]} wei and calldata ${datas[i]}`),
    ],
    command: operations,
  },
  execute: {
    caller: 'anyone',
    describe: ([target, value, data], { name }) =>
      `execute the scheduled call to ${name(target)} with ${value} wei and calldata ${data}`,
    command: operations,
  },
  executeBatch: {
    caller: 'anyone',
    describe: ([targets, values, datas], { name }) => [
      'execute these calls, which were scheduled as one operation:',
      ...targets.map((to, i) => `call ${name(to)} with ${values[i]} wei and calldata ${datas[i]}`),
    ],
    command: operations,
  },
  cancel: {
    caller: 'anyone',
    describe: ([id]) => `cancel the scheduled operation ${id}`,
    command: '[called by the governor when a proposal is cancelled]',
  },
  onERC721Received: { caller: 'anyone', describe: () => 'receive a token', command: receives },
  onERC1155Received: { caller: 'anyone', describe: () => 'receive a token', command: receives },
  onERC1155BatchReceived: { caller: 'anyone', describe: () => 'receive tokens', command: receives },
}

const tokens = '[an ERC-20 function; use any wallet]'

/** Descriptions of the votes token's functions, the wrapped token included. */
export const votesDescriptions: FunctionDescriptions<typeof assentVotesAbi> = {
  delegate: {
    caller: 'anyone',
    describe: ([delegatee], { name }) =>
      `delegate all votes of the sender to ${name(delegatee)}, for voting that starts later`,
    command: 'dao delegate',
  },
  delegateBySig: {
    caller: 'anyone',
    describe: ([delegatee, , expiry], { name }) =>
      `submit a signed delegation to ${name(delegatee)}, ${describeValidity(Number(expiry))}`,
    command: '[for voting front ends; a holder who can send transactions uses dao delegate]',
  },
  transfer: {
    caller: 'anyone',
    describe: ([to, value], { name }) => `transfer ${value} smallest token units to ${name(to)}`,
    command: tokens,
  },
  transferFrom: {
    caller: 'anyone',
    describe: ([from, to, value], { name }) =>
      `transfer ${value} smallest token units from ${name(from)} to ${name(to)}`,
    command: tokens,
  },
  approve: {
    caller: 'anyone',
    describe: ([spender, value], { name }) =>
      `let ${name(spender)} spend up to ${value} smallest token units of the sender`,
    command: tokens,
  },
  permit: {
    caller: 'anyone',
    describe: ([owner, spender, value], { name }) =>
      `let ${name(spender)} spend up to ${value} smallest token units of ${name(owner)}, with a signature`,
    command: tokens,
  },
}
