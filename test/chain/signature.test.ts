/** Signatures of accounts with a key and of contracts, as OpenZeppelin's SignatureChecker accepts them. */
import { network } from 'hardhat'
import type { Abi, Address, PublicClient } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { isSignedBy } from '../../src/chain/rpc/signature.ts'
import { compile } from './fakes.ts'

const source = `
contract Accepts { function isValidSignature(bytes32 d, bytes calldata s) external pure returns (bytes4) { return s.length == 3 && d != 0 ? bytes4(0x1626ba7e) : bytes4(0xffffffff); } }
contract Reverts { function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) { revert("no"); } }
contract Nothing { fallback() external {} }
`
const digest = `0x${'ab'.repeat(32)}` as const

let connection: Awaited<ReturnType<typeof network.create>>
let client: PublicClient
const contracts: Record<string, Address> = {}

beforeAll(async () => {
  connection = await network.create()
  client = (await connection.viem.getPublicClient()) as unknown as PublicClient
  const [wallet] = await connection.viem.getWalletClients()
  for (const [name, { abi, bytecode }] of Object.entries(compile(source))) {
    const hash = await wallet?.deployContract({ abi: abi as Abi, bytecode, args: [] })
    const receipt = await client.waitForTransactionReceipt({ hash: hash ?? digest })
    contracts[name] = receipt.contractAddress as Address
  }
})
afterAll(() => connection.close())

test.each([
  ['Accepts', '0x010203', true],
  ['Accepts', '0x0102', false],
  ['Reverts', '0x010203', false],
  ['Nothing', '0x010203', false],
] as const)('the signature of the contract %s with %s: %s', async (name, signature, expected) => {
  expect(await isSignedBy(client, contracts[name] as Address, digest, signature)).toBe(expected)
})

test('the signature of an account with a key has the one form that contracts accept', async () => {
  const [wallet] = await connection.viem.getWalletClients()
  if (wallet === undefined) throw new Error('no account')
  const { address } = wallet.account
  const signature = await wallet.signMessage({ message: { raw: '0x01' } })
  const { hashMessage } = await import('viem')
  const signed = hashMessage({ raw: '0x01' })
  const check = (of: `0x${string}`, what = signed) => isSignedBy(client, address, what, of)

  expect(await check(signature)).toBe(true)
  expect(await check(signature, digest)).toBe(false)
  const recovery = signature.endsWith('1b') ? '00' : '01'
  for (const other of [
    `${signature.slice(0, -2)}${recovery}`,
    `${signature}00`,
    signature.slice(0, -2),
    '0x',
    `0x${'00'.repeat(65)}`,
    `0x${'ff'.repeat(64)}1b`,
  ]) {
    expect(await check(other as `0x${string}`), other).toBe(false)
  }
})

test('an endpoint that does not answer is an error and not a refusal of the signature', async () => {
  const silent = { getCode: () => Promise.reject(new Error('no answer')) } as never

  await expect(isSignedBy(silent, contracts.Accepts as Address, digest, '0x')).rejects.toThrow(
    'no answer',
  )
})
