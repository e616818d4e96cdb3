/** The in-process chain as an endpoint: no network between, the same checks. */
import type { EIP1193Provider } from 'viem'

import type { Endpoint } from '../../src/chain/proven/rpc.ts'

export function providerEndpoint(provider: EIP1193Provider, name: string): Endpoint {
  return {
    name,
    request: async (method, params, result) =>
      result.parse(await provider.request({ method, params } as never)),
  }
}
