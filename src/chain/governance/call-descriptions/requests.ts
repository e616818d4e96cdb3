/** Descriptions of the functions of Requests. Most can be called by anyone: state and signatures decide. */
import type { requestsAbi } from '../../abi.ts'
import { formatDuration, formatTime } from '../format-time.ts'
import type { FunctionDescriptions } from './types.ts'

/** Descriptions of the functions of `Requests`. */
export const requestsDescriptions: FunctionDescriptions<typeof requestsAbi> = {
  request: {
    caller: 'anyone',
    describe: ([app, inputDigest, , deadline, callbackGas], { name }) => [
      `ask app ${name(app)} to work on the input ${inputDigest} until ${formatTime(deadline)}, for the ether that is sent along`,
      callbackGas === 0
        ? 'call nobody with the result'
        : `call the sender with the result, with ${callbackGas} gas`,
    ],
    irreversible: 'The fee is returned only if no instance answers in time.',
    command: 'request send',
  },
  assign: {
    caller: 'anyone',
    describe: ([id]) => `assign the next worker to request ${id}`,
    command: 'request assign',
  },
  refund: {
    caller: 'anyone',
    describe: ([id]) => `return the fee of request ${id} to the balance of its requester`,
    command: 'request refund',
  },
  recordMissed: {
    caller: 'anyone',
    describe: ([id]) => `record that the last worker of request ${id} missed its time`,
    command: 'request refund',
  },
  join: {
    caller: 'anyone',
    describe: ([app, key, deviceId, capacity], { name }) =>
      `let the key ${name(key)} work for app ${name(app)} with the bond for host ${deviceId}, on at most ${capacity} requests at the same time, and be paid for it`,
    command: '[the worker itself sends it]',
  },
  retire: {
    caller: 'anyone',
    describe: ([key], { name }) => `take the key ${name(key)} from the workers of its app`,
    command: '[assent/chain has the call]',
  },
  fulfil: {
    caller: 'anyone',
    describe: ([id, result]) =>
      `bring the result of request ${id} (${(result.length - 2) / 2} bytes), if its worker signed it, and pay the worker`,
    irreversible: 'A result is final.',
    command: '[the worker itself sends it]',
  },
  decline: {
    caller: 'anyone',
    describe: ([id]) => `give request ${id} to another worker`,
    command: '[assent/chain has the call]',
  },
  proveContradiction: {
    caller: 'anyone',
    describe: ([id, key], { name }) =>
      `show that the key ${name(key)} signed two results of request ${id}`,
    irreversible: 'The key can never work again.',
    command: '[needs two signatures: proveContradiction of assent/chain]',
  },
  slash: {
    caller: 'anyone',
    describe: ([key], { name }) =>
      `slash the bond of the key ${name(key)} for one fault, in favour of the DAO`,
    irreversible: 'Only the DAO can pay the amount back.',
    command: '[assent/chain has the call]',
  },
  setTerms: {
    caller: 'anyone',
    describe: ([app, { payee, minFee, ownerShare, answerTime }], { name }) =>
      answerTime === 0
        ? `let app ${name(app)} take no further requests`
        : `let app ${name(app)} take requests for ${minFee} wei or more, of which ${name(payee)} receives ${ownerShare / 100} percent; each worker has ${formatDuration(answerTime)}`,
    command: 'app set-request-terms',
  },
  withdraw: {
    caller: 'anyone',
    describe: ([account], { name }) => `pay ${name(account)} its balance of Requests`,
    command: 'request withdraw',
  },
  withdrawTo: {
    caller: 'anyone',
    describe: ([to], { name }) => `pay the sender's balance of Requests to ${name(to)}`,
    command: '[assent/chain has the call]',
  },
}
