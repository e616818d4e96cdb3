/** One approval with its check. */
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'

import { type Kind, kinds } from '../../../src/chain/approval.ts'
import { approvalClaims } from './checks.ts'
import { useChecks, useHead, useSources } from './context.tsx'

/** @param registry undefined: the deployment has no such registry */
export function useApproval(registry: string | undefined, kind: Kind, subject: string | undefined) {
  const { indexer } = useSources()
  const head = useHead()
  const id = `${registry}:${kinds[kind]}:${subject}`
  const found = useQuery({
    queryKey: ['approval', id, head.data?.block, head.data?.hash],
    // a query must not answer with undefined
    queryFn: async () => (await indexer.one('approvals', id)) ?? null,
    enabled: head.data !== undefined && registry !== undefined && subject !== undefined,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
  })
  const row = found.data?.row
  const checked = useChecks(
    `approval ${id}`,
    found.data?.at,
    useMemo(() => (row === undefined ? [] : approvalClaims([row])), [row]),
  )
  return { row, checked, error: found.error ?? head.error, isRead: found.data !== undefined }
}
