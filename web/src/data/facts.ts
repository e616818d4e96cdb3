/** Facts that several pages need: the agreed block, names, and the states of proposals. */
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { decodeFunctionResult, encodeFunctionData } from 'viem'

import { assentGovernorAbi } from '../../../src/chain/abi.ts'
import { type ProposalState, proposalStates } from '../../../src/chain/governance/governance.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { escapeText } from '../../../src/lib/printable.ts'
import { useSources } from './context.tsx'
import type { At, Row } from './indexer.ts'

const nameOfBlock = (at: At | undefined) => (at === undefined ? '' : `${at.block}:${at.hash}`)

/** The block of the indexer as the endpoints have it. */
export function useAgreedBlock(at: At | undefined) {
  const { chain } = useSources()
  return useQuery({
    queryKey: ['block', nameOfBlock(at)],
    queryFn: () => chain.blockOf(at as At),
    enabled: at !== undefined,
    refetchInterval: (query) => (query.state.status === 'error' ? 3_000 : false),
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })
}

/** Names that the profile gives to ids. */
export function useNames(): (id: string) => string | undefined {
  const { settings } = useSources()
  return useMemo(() => {
    const byId = new Map(
      Object.entries(settings.names).map(([name, id]) => [id.toLowerCase(), name]),
    )
    return (id) => byId.get(id.toLowerCase())
  }, [settings])
}

/** The first line of a proposal's text, which its proposer wrote. */
export function titleOf({ description, id }: Pick<Row<'proposals'>, 'description' | 'id'>): string {
  const [first = ''] = description.split('\n', 1)
  const title = escapeText(first.replace(/^#+\s*/, '').trim())
  return title === '' ? `Proposal ${id.slice(0, 8)}…` : title.slice(0, 160)
}

/** States of proposals as the governor answers, if enough endpoints give the same answer. */
export function useProposalStates(ids: readonly string[], at: At | undefined) {
  const { chain, settings } = useSources()
  const governor = settings.addresses.governor as Hex
  return useQuery({
    queryKey: ['proposal states', nameOfBlock(at), ids],
    queryFn: async () => {
      const block = await chain.blockOf(at as At)
      const found = await Promise.all(
        ids.map(async (id): Promise<readonly [string, ProposalState]> => {
          const call = { abi: assentGovernorAbi, functionName: 'state' } as const
          const data = await chain.call(
            block,
            governor,
            encodeFunctionData({ ...call, args: [BigInt(id)] }),
          )
          const state = proposalStates[decodeFunctionResult({ ...call, data })]
          if (state === undefined) throw new Error('The governor answered with an unknown state.')
          return [id, state]
        }),
      )
      return new Map(found)
    },
    enabled: at !== undefined && ids.length > 0,
    refetchInterval: (query) => (query.state.status === 'error' ? 3_000 : false),
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })
}
