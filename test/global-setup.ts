import { missingVectors, vectorsFolder } from '../scripts/vectors/vectors.ts'

/** Said once per run, before the first test. */
export default function setup(): void {
  const missing = vectorsFolder === undefined ? undefined : missingVectors(vectorsFolder)
  if (missing?.length === 0) return
  const what = missing ? `INCOMPLETE (${missing.length} files missing)` : 'ABSENT'
  console.warn(
    `\n*** RECORDED VECTORS ${what}: suites over real quotes are SKIPPED. ` +
      'Run `npm run vectors:fetch`, or set ASSENT_VECTORS to their folder. ***\n',
  )
}
