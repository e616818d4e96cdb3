/** The in-process chain as an endpoint: no network between, the same checks. */
import type { EIP1193Provider } from 'viem'
import { volatileCheckpoint } from '../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../src/chain/proven/header-quorum.ts'
import type { Endpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { type ChainView, openView } from '../../src/chain/proven/view.ts'
import type { ViewOptions } from '../../src/chain/proven/view-context.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Registries } from './registries.ts'

export function providerEndpoint(provider: EIP1193Provider, name: string): Endpoint {
  return {
    name,
    request: async (method, params, result) =>
      result.parse(await provider.request({ method, params } as never)),
  }
}

/** The current state at two endpoints of the in-process chain; it is read again after a minute. */
export function viewOf(
  provider: EIP1193Provider,
  { kmsAuth, pinned }: Pick<Registries, 'kmsAuth' | 'pinned'>,
  clock: Clock,
  changed: Partial<ViewOptions> = {},
): ChainView {
  const endpoints = ['1', '2'].map((name) => providerEndpoint(provider, name))
  const rules = { endpoints, required: 2, chainId: 31337, finality: 'finalized' } as const
  return openView({
    chainId: 31337,
    kms: kmsAuth,
    pinned,
    source: agreedHeaders(rules),
    endpoints,
    required: 2,
    checkpoint: volatileCheckpoint(),
    maxBlockAgeSeconds: 5000,
    refreshSeconds: 60,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock,
    ...changed,
  })
}
