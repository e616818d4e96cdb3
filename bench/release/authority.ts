/** A chain view that is warm: it answers from memory, as between two blocks. */
import type { BootAuthority } from '../../src/chain/boot.ts'

export async function createWarmAuthority(): Promise<BootAuthority> {
  const block = {
    number: 1n,
    hash: `0x${'11'.repeat(32)}` as const,
    timestamp: Math.floor(Date.now() / 1000),
  }
  return {
    chainId: 31_337,
    kms: `0x${'22'.repeat(20)}`,
    ask: async () => ({ allowed: true, reason: '', gatewayAppId: 'gateway', block }),
    facts: async () => ({
      gatewayAppId: 'gateway',
      appImplementation: `0x${'33'.repeat(20)}`,
      block,
    }),
  }
}
