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
