/** Suites over recorded vectors: where these are absent, the suites count as skipped and the run says so. */
import { describe, test } from 'vitest'

import { missingVectors, vectorsFolder } from '../scripts/vectors/vectors.ts'

export {
  readCommittedJson,
  readVector,
  readVectorJson,
  readVectorText,
  vectorsFolder,
} from '../scripts/vectors/vectors.ts'

/** A folder with holes would fail in the middle of a suite. */
const isComplete = vectorsFolder !== undefined && missingVectors(vectorsFolder).length === 0

/** A suite over recorded vectors; `body` runs only where all of them are at hand. */
export function describeRecorded(title: string, body: () => void): void {
  if (isComplete) {
    describe(title, body)
    return
  }
  describe.skipIf(true)(title, () => {
    test('needs the recorded vectors', () => {})
  })
}
