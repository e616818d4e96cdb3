/** The pages and their paths. The path is behind `#`, so the folder needs no server that knows it. */
import {
  createHashHistory,
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from '@tanstack/react-router'

import { Overview } from './pages/overview.tsx'
import { Frame } from './ui/frame.tsx'

const rootRoute = createRootRoute({
  component: Frame,
  notFoundComponent: () => <p role="alert">There is no such page.</p>,
})

const page = (path: string, load: () => Promise<{ Page: () => React.ReactNode }>) =>
  createRoute({
    getParentRoute: () => rootRoute,
    path,
    component: lazyRouteComponent(load, 'Page'),
  })

const routes = [
  createRoute({ getParentRoute: () => rootRoute, path: '/', component: Overview }),
  page('/apps', () => import('./pages/apps.tsx')),
  page('/apps/$id', () => import('./pages/app.tsx')),
  page('/proposals', () => import('./pages/proposals.tsx')),
  page('/proposals/$id', () => import('./pages/proposal.tsx')),
  page('/machines', () => import('./pages/machines.tsx')),
  page('/machines/$id', () => import('./pages/machine.tsx')),
  page('/images', () => import('./pages/images.tsx')),
  page('/images/$id', () => import('./pages/image.tsx')),
  page('/kms/root-keys/$id', () => import('./pages/root-key.tsx')),
  page('/kms', () => import('./pages/kms.tsx')),
  page('/quote', () => import('./pages/quote.tsx')),
]

export const router = createRouter({
  routeTree: rootRoute.addChildren(routes),
  history: createHashHistory(),
  defaultPreload: 'intent',
})
