/** Light or dark: as the system says, until the reader chooses. The choice is not stored. */
import { useSyncExternalStore } from 'react'

type Theme = 'light' | 'dark'

const query = matchMedia('(prefers-color-scheme: dark)')
let chosen: Theme | undefined
const listeners = new Set<() => void>()

const current = (): Theme => chosen ?? (query.matches ? 'dark' : 'light')

function apply(): void {
  document.documentElement.dataset.theme = current()
  for (const listen of listeners) listen()
}

query.addEventListener('change', apply)
apply()

export function useTheme(): readonly [Theme, () => void] {
  const theme = useSyncExternalStore((listen) => {
    listeners.add(listen)
    return () => listeners.delete(listen)
  }, current)
  return [
    theme,
    () => {
      chosen = current() === 'dark' ? 'light' : 'dark'
      apply()
    },
  ]
}
