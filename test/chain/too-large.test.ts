/** What needs more gas than one transaction may use says so, whatever the node calls it. */
import hre from 'hardhat'
import { BaseError, type EIP1193Provider, keccak256, toBytes } from 'viem'
import { expect, test } from 'vitest'

import { toChainError } from '../../src/chain/call.ts'
import { propose } from '../../src/chain/governance/governance.ts'
import { addOsImageHash } from '../../src/chain/registries/registry.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { createDao, hardhatArtifacts } from './dao.ts'

test('a proposal of 200 approvals is too large for one transaction and is split', async () => {
  const { provider } = await hre.network.create()
  const dao = await createDao({
    provider: provider as unknown as EIP1193Provider,
    artifacts: hardhatArtifacts(hre),
    mode: 'hardhat',
  })
  const calls = Array.from({ length: 200 }, (_, i) =>
    addOsImageHash(dao.addresses.kmsAuth, keccak256(toBytes(`${i}`))),
  )
  const refused = await propose(
    dao.clients.voter,
    dao.addresses.governor,
    calls,
    '# Many\n\nin full length',
  ).catch((error: unknown) => error)

  expect(isAssentError(refused, 'TRANSACTION_TOO_LARGE')).toBe(true)
  expect((refused as Error).message).toBe(
    'Too much for one transaction: propose 200 calls: "# Many".',
  )
}, 120_000)

test.each([
  'gas required exceeds allowance (16777216)',
  'out of gas',
  'EVM error OutOfGas',
  'EVM error ReentrancySentryOOG',
  'transaction gas limit too high (cap: 16777216, tx: 30000000)',
  'exceeds block gas limit',
  'intrinsic gas too low: gas limit cap',
])('a node that says "%s" reports a transaction that is too large', (words) => {
  const error = toChainError(new BaseError('failed', { cause: new Error(words) }), 'propose')

  expect(isAssentError(error, 'TRANSACTION_TOO_LARGE')).toBe(true)
})

test.each(['execution reverted', 'insufficient funds for gas * price + value', 'no such method'])(
  'a node that says "%s" does not report a transaction that is too large',
  (words) => {
    const error = toChainError(new BaseError('failed', { cause: new Error(words) }), 'propose')

    expect(isAssentError(error, 'TRANSACTION_TOO_LARGE')).toBe(false)
  },
)
