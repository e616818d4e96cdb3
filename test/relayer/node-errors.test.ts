import { RpcRequestError, TimeoutError } from 'viem'
import { describe, expect, test } from 'vitest'

import {
  classifyNodeError,
  combineAnswers,
  type NodeAnswer,
} from '../../src/relayer/endpoints/node-errors.ts'

/** What the nodes in use say, in their own words. */
const sayings: readonly (readonly [string, NodeAnswer, string])[] = [
  ['geth', 'accepted', 'already known'],
  ['geth', 'nonce-too-low', 'nonce too low: next nonce 8, tx nonce 7'],
  ['geth', 'nonce-too-high', 'nonce too high'],
  ['geth', 'underpriced', 'replacement transaction underpriced'],
  ['geth', 'underpriced', 'transaction underpriced: gas tip cap 1, minimum needed 1000000'],
  [
    'geth',
    'underpriced',
    'max fee per gas less than block base fee: address 0xab, maxFeePerGas: 1',
  ],
  [
    'geth',
    'insufficient-funds',
    'insufficient funds for gas * price + value: balance 0, tx cost 1',
  ],
  ['geth', 'rejected', 'intrinsic gas too low: gas 100, minimum needed 21000'],
  ['geth', 'rejected', 'exceeds block gas limit'],
  ['geth', 'rejected', 'transaction type not supported'],
  ['geth', 'rejected', 'tx fee (2.10 ether) exceeds the configured cap (1.00 ether)'],
  ['reth', 'rejected', 'transaction gas limit too high (cap: 16777216)'],
  ['erigon', 'underpriced', 'could not replace existing tx'],
  ['nethermind', 'accepted', 'AlreadyKnown'],
  ['nethermind', 'nonce-too-low', 'OldNonce, Current nonce: 4, nonce of rejected tx: 3'],
  ['nethermind', 'nonce-too-high', 'NonceGap, Future nonce. Expected nonce: 4'],
  ['nethermind', 'underpriced', 'ReplacementNotAllowed'],
  ['nethermind', 'insufficient-funds', 'InsufficientFunds, Account balance: 0'],
  ['besu', 'accepted', 'Known transaction'],
  ['besu', 'insufficient-funds', 'Upfront cost exceeds account balance'],
  ['besu', 'nonce-too-high', 'Transaction nonce is too distant from current sender nonce'],
  ['anvil', 'accepted', 'transaction already imported'],
  ['hardhat', 'nonce-too-low', 'Nonce too low. Expected nonce to be 1 but got 0.'],
  ['hardhat', 'insufficient-funds', "Sender doesn't have enough funds to send tx."],
  [
    'hardhat',
    'reverted',
    "VM Exception while processing transaction: reverted with custom error 'No()'",
  ],
  ['arbitrum', 'reverted', 'execution reverted'],
  ['a provider', 'rate-limited', 'daily request count exceeded, request rate limited'],
  ['a provider', 'rate-limited', 'Too Many Requests'],
  ['nobody yet', 'unknown', 'the stars are wrong'],
]

test.each(sayings)('the error of %s means %s if the message is "%s"', (_node, answer, saying) => {
  expect(classifyNodeError(new Error('outer', { cause: new Error(saying) }))).toBe(answer)
})

test('the request that viem quotes in its message is not read as the answer of the node', () => {
  const error = new RpcRequestError({
    body: { method: 'eth_sendRawTransaction', params: ['already known'] },
    error: { code: -32_000, message: 'nonce too low' },
    url: 'http://node/revert',
  })

  expect(classifyNodeError(error)).toBe('nonce-too-low')
})

test('a timeout does not count as an answer', () => {
  expect(classifyNodeError(new TimeoutError({ body: {}, url: 'http://node' }))).toBe('unreachable')
})

describe('several nodes', () => {
  test.each([
    [['rejected', 'accepted'], 2, 'accepted'],
    [['rejected', 'reverted'], 2, 'reverted'],
    [['rejected'], 1, 'rejected'],
    [['underpriced'], 1, 'underpriced'],
    // what costs gas is not one node's word
    [['rejected', 'unreachable'], 2, 'unreachable'],
    [['reverted', 'unknown', 'unknown'], 2, 'unknown'],
    [['underpriced', 'unreachable', 'unreachable'], 2, 'unreachable'],
    [['underpriced', 'insufficient-funds', 'insufficient-funds'], 2, 'insufficient-funds'],
    [['reverted', 'nonce-too-high', 'nonce-too-high'], 2, 'nonce-too-high'],
    [['rejected', 'underpriced'], 2, 'unknown'],
    // one that is silent, or says something else, does not hide what two say
    [['rejected', 'rejected', 'unreachable'], 2, 'rejected'],
    [['underpriced', 'underpriced', 'nonce-too-low'], 2, 'underpriced'],
    [['nonce-too-low', 'unreachable'], 2, 'nonce-too-low'],
  ] as const)('with the answers %j, of which %d count, mean %s', (answers, quorum, expected) => {
    expect(combineAnswers(answers, quorum)).toBe(expected)
    expect(combineAnswers(answers.toReversed(), quorum)).toBe(expected)
  })
})
