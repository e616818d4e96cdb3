/** The tests that `scripts/mutants/typescript-mutants.ts` chose for one area, in one process. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: (process.env.ASSENT_MUTANT_TESTS ?? 'test/**/*.test.ts').split(' '),
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    isolate: false,
  },
})
