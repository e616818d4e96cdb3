import type { Hex } from '../../src/lib/bytes.ts'

/** A record with nothing but addresses: the indexer reads no more. */
export function recordOf(addresses: Readonly<Record<string, Hex>>): object {
  const contracts = Object.fromEntries(
    Object.entries(addresses).map(([name, address], nonce) => [
      name,
      {
        address,
        contract: 'Some',
        block: 0,
        transaction: `0x${'00'.repeat(32)}`,
        deployer: address,
        nonce,
        arguments: [],
      },
    ]),
  )
  const compiler = { version: '0.8.35', settings: {} }
  return { chainId: 31337, commit: 'c0ffee', compiler, contracts }
}
