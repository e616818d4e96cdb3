/** What was found to be wrong since the page was loaded. A difference stays until then: a liar is not believed again. */
import { useSyncExternalStore } from 'react'

import type { Difference } from './checks.ts'

let differences: readonly Difference[] = []
const listeners = new Set<() => void>()

/** Remembers differences; each is kept once. */
export function reportDifferences(found: readonly Difference[]): void {
  const nameOf = ({ address, slot }: Difference) => `${address}:${slot}`
  const known = new Set(differences.map(nameOf))
  const added = found.filter((each) => !known.has(nameOf(each)))
  if (added.length === 0) return
  differences = [...differences, ...added]
  for (const listen of listeners) listen()
}

/** All differences that were found. */
export function useDifferences(): readonly Difference[] {
  return useSyncExternalStore(
    (listen) => {
      listeners.add(listen)
      return () => listeners.delete(listen)
    },
    () => differences,
  )
}
