/** The opened settings, indexer and chain, for all pages, and the queries on them. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect } from 'react'

import type { Settings } from '../settings.ts'
import type { Chain } from './chain.ts'
import { type Checked, type Claim, checkClaims } from './checks.ts'
import type { At, Indexer, List, ListName, Row } from './indexer.ts'
import { reportDifferences } from './trust.ts'

/** What every page needs. */
export interface Sources {
  readonly settings: Settings
  readonly indexer: Indexer
  readonly chain: Chain
}

const SourcesContext = createContext<Sources | undefined>(undefined)

export function SourcesProvider({ value, children }: { value: Sources; children: ReactNode }) {
  return <SourcesContext.Provider value={value}>{children}</SourcesContext.Provider>
}

export function useSources(): Sources {
  const found = useContext(SourcesContext)
  if (found === undefined) throw new Error('There is no SourcesProvider.')
  return found
}

const pollMs = 3_000

/** The last indexed block. All lists are read again when it changes, also after a reorg. */
export function useHead() {
  const { indexer, settings } = useSources()
  return useQuery({
    queryKey: ['head'],
    queryFn: async () => {
      const { chainId, ...at } = await indexer.status()
      if (chainId !== settings.chainId) {
        throw new Error(`The indexer serves chain ${chainId}, not ${settings.chainId}.`)
      }
      return at
    },
    refetchInterval: pollMs,
  })
}

const nameOfBlock = (at: At | undefined) => (at === undefined ? '' : `${at.block}:${at.hash}`)

/** A list of the indexer at its last block. */
export function useList<N extends ListName>(name: N, filters: Record<string, string> = {}) {
  const { indexer } = useSources()
  const { data: head } = useHead()
  return useQuery<List<Row<N>>>({
    queryKey: ['list', name, filters, nameOfBlock(head)],
    queryFn: () => indexer.list(name, filters),
    enabled: head !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  })
}

/** The history of a contract, or of one thing in it. */
export function useEvents(contract: string, subject?: string) {
  const { indexer } = useSources()
  const { data: head } = useHead()
  return useQuery({
    queryKey: ['events', contract, subject, nameOfBlock(head)],
    queryFn: () => indexer.events(contract, subject),
    enabled: head !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  })
}

/**
 * Checks claims of one list with storage proofs. Until the answer is there, every check is missing, and a missing check is
 * shown as unproven.
 *
 * @param name tells apart the checks of one list
 */
export function useChecks(
  name: string,
  at: At | undefined,
  claims: readonly Claim[],
): Checked | undefined {
  const { chain } = useSources()
  const { data } = useQuery({
    queryKey: ['checks', name, nameOfBlock(at), claims.length, digestOf(claims)],
    queryFn: () => checkClaims(chain, at as At, claims),
    enabled: at !== undefined && claims.length > 0,
    staleTime: (query) => (query.state.data?.block === undefined ? 0 : Number.POSITIVE_INFINITY),
    refetchInterval: (query) => (query.state.data?.block === undefined ? pollMs : false),
    // several claims have 256 bits
    structuralSharing: false,
  })
  useEffect(() => {
    for (const check of data?.checks.values() ?? []) {
      if (check.state === 'differs') reportDifferences(check.differences)
    }
  }, [data])
  return data
}

/** Distinguishes sets of claims; not a security function. */
function digestOf(claims: readonly Claim[]): string {
  let sum = 0n
  for (const { slot, told } of claims) sum = (sum * 31n + BigInt(slot) + told) % (1n << 64n)
  return sum.toString(36)
}
