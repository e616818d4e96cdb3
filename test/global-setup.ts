import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'

import { missingVectors, vectorsFolder } from '../scripts/vectors/vectors.ts'

/** Once per run, before the first test. */
export default function setup(): () => void {
  // workers inherit it: what one test file made, another one finds
  const name = randomUUID()
  process.env.ASSENT_TEST_RUN = name
  warnOfMissingVectors()
  return () => rmSync(`.assent/packed/${name}`, { recursive: true, force: true })
}

function warnOfMissingVectors(): void {
  const missing = vectorsFolder === undefined ? undefined : missingVectors(vectorsFolder)
  if (missing?.length === 0) return
  const what = missing ? `INCOMPLETE (${missing.length} files missing)` : 'ABSENT'
  console.warn(
    `\n*** RECORDED VECTORS ${what}: suites over real quotes are SKIPPED. ` +
      'Run `npm run vectors:fetch`, or set ASSENT_VECTORS to their folder. ***\n',
  )
}
