/** The tests that `scripts/mutants/typescript-mutants.ts` chose for one area, in one process. */
import { defineConfig } from 'vitest/config'

const [include, exclude] = JSON.parse(process.env.ASSENT_MUTANT_TESTS ?? '[[], []]')

export default defineConfig({
  test: {
    include,
    exclude,
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    isolate: false,
  },
})
