import './platform/zod.ts'
import './styles.css'

import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { createRoot } from 'react-dom/client'

import { openChain } from './data/chain.ts'
import { SourcesProvider } from './data/context.tsx'
import { openIndexer } from './data/indexer.ts'
import { router } from './router.tsx'
import { readSettings } from './settings.ts'

const root = createRoot(document.getElementById('root') as HTMLElement)
// a request that failed is repeated at the next poll
const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } })

try {
  const settings = await readSettings()
  const sources = {
    settings,
    indexer: openIndexer(settings.indexer),
    chain: openChain(settings),
  }
  root.render(
    <SourcesProvider value={sources}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </SourcesProvider>,
  )
} catch (error) {
  root.render(
    <main>
      <h1>The dashboard cannot start</h1>
      <p role="alert">{error instanceof Error ? error.message : String(error)}</p>
      <p>
        The file <code>settings.json</code> beside this page says what to show. The command{' '}
        <code>assent dashboard</code> writes it.
      </p>
    </main>,
  )
}
