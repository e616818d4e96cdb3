/** Suites over recorded vectors: where these are absent, the suites count as skipped and the run says so. */
import { describe, test } from 'vitest'

import { vectorsFolder } from '../scripts/vectors.ts'

export {
  readCommittedJson,
  readVector,
  readVectorJson,
  readVectorText,
  vectorsFolder,
} from '../scripts/vectors.ts'

/** A suite over recorded vectors; `body` runs only where they are at hand. */
export function describeRecorded(title: string, body: () => void): void {
  if (vectorsFolder !== undefined) {
    describe(title, body)
    return
  }
  describe.skipIf(true)(title, () => {
    test('needs the recorded vectors', () => {})
  })
}

/** Said once per run, before the first test. */
export function announceVectors(): void {
  if (vectorsFolder === undefined) {
    console.warn(
      '\n*** RECORDED VECTORS ABSENT: suites over real quotes are SKIPPED. ' +
        'Run `npm run vectors:fetch`, then set ASSENT_VECTORS to its folder. ***\n',
    )
  }
}
