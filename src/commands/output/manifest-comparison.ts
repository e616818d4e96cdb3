/** A comparison of manifests as JSON, and its exit code. */
import { z } from 'zod'

import { type ExitCode, exitCodes } from '../exit-code.ts'
import { bytes32 } from './json.ts'

/** JSON form of a `ManifestComparison`. */
export const comparisonSchema = z.strictObject({
  before: bytes32,
  after: bytes32,
  result: z.enum(['same-bytes', 'same-meaning', 'different']),
  changes: z
    .array(
      z.strictObject({
        kind: z.enum(['added', 'removed', 'changed']),
        place: z.string(),
        before: z.json(),
        after: z.json(),
      }),
    )
    .nullable()
    .describe('null: one side is only known by its hash'),
})

/** 1 if the manifests differ in meaning, otherwise 0. */
export function exitCodeOfComparison({ result }: z.infer<typeof comparisonSchema>): ExitCode {
  return result === 'different' ? exitCodes.no : exitCodes.yes
}
