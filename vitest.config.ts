import { defineConfig } from 'vitest/config'

import { inputs } from './scripts/test-effort.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: inputs(60_000, 4 * 3_600_000),
    hookTimeout: 120_000,
    setupFiles: ['test/setup.ts'],
    globalSetup: ['test/global-setup.ts'],
    maxWorkers: 2,
    // loading viem, zod and the contracts anew for each file took a tenth of the time
    isolate: false,
  },
})
