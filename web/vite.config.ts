/** Builds the dashboard: static files that run from any folder, without inline scripts. */
import { fileURLToPath } from 'node:url'

import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const platform = (name: string) =>
  fileURLToPath(new URL(`../src/lib/browser/${name}.ts`, import.meta.url))

export default defineConfig({
  // relative, so that the folder can be served from any path, also by an IPFS gateway
  base: './',
  plugins: [react()],
  resolve: {
    // the one place where shared code of ../src gets browser versions of Node's modules
    alias: [
      { find: 'node:crypto', replacement: platform('node-crypto') },
      { find: 'node:buffer', replacement: platform('node-buffer') },
      { find: /^node:.*/, replacement: platform('absent') },
    ],
  },
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1_500,
    rolldownOptions: { transform: { inject: { Buffer: ['buffer', 'Buffer'] } } },
  },
})
