/** A view of the chain in memory, with what each endpoint knows and says under the hand of a test. */
import type { Finality } from '../../../src/chain/boot/boot.ts'
import { volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../../src/chain/proven/header-quorum.ts'
import type { Endpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { openView } from '../../../src/chain/proven/view.ts'
import type { ViewOptions } from '../../../src/chain/proven/view-context.ts'
import { AssentError } from '../../../src/errors/index.ts'
import type { SyntheticChain } from './synthetic.ts'

/** What an endpoint knows: heights of its newest and of its final block; `down`: it answers nothing. */
export type Knowledge = { readonly head: number; readonly final: number } | 'down'

export interface Seen extends Partial<Omit<ViewOptions, 'source'>> {
  readonly finality?: Finality
  /** By endpoint; all that there is unless told otherwise. */
  readonly knows?: readonly (() => Knowledge)[]
}

export function lookAt(chain: SyntheticChain, seen: Seen = {}) {
  const { finality = 'finalized', knows = [everything, everything], ...changed } = seen
  const asked: { endpoint: string; method: string; params: readonly unknown[] }[] = []
  const answer: Endpoint['request'][] = knows.map(
    (knowledge, index) => async (method, params, result) => {
      asked.push({ endpoint: `${index}`, method, params })
      const known = knowledge()
      if (known === 'down') throw new AssentError('CHAIN_TIMEOUT', 'It is down.')
      const parsed = result.safeParse(await chain.answer(method, params, known))
      if (parsed.success) return parsed.data
      throw new AssentError('CHAIN_ANSWER_INVALID', 'It knows no such block.')
    },
  )
  function everything() {
    const last = chain.blocks.length - 1
    return { head: last, final: last }
  }
  const endpoints = answer.map((request, index): Endpoint => ({ name: `${index}`, request }))
  const required = changed.required ?? 2
  const headerFields = changed.headerFields ?? []
  const view = openView({
    chainId: 31337,
    kms: chain.kmsAuth,
    pinned: chain.pinned,
    source: agreedHeaders({ endpoints, required, chainId: 31337, finality, headerFields }),
    endpoints,
    required,
    checkpoint: volatileCheckpoint(),
    maxBlockAgeSeconds: 100,
    refreshSeconds: 12,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock: () => chain.head().timestamp,
    ...changed,
  })
  return { view, asked, proofs: () => asked.filter(({ method }) => method === 'eth_getProof') }
}
