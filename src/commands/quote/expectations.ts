/** Compares verdicts with expected ones, for folders of test cases. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import { readJson } from '../../lib/files.ts'
import type { VerifyOutput } from './verify-case.ts'

const expectedSchema = z.record(
  z.string(),
  z.strictObject({
    verdict: z.enum(['verified', 'rejected', 'malformed']),
    /** Any of them. */
    codes: z.array(z.string()).min(1).optional(),
    status: z.string().optional(),
    advisoryIds: z.array(z.string()).optional(),
    /** The code with which the default policy rejects it. */
    policy: z.string().optional(),
    /** For people. */
    about: z.string().optional(),
  }),
)

/** Content of an `--expected` file: verdict and code by case name. */
export type ExpectedVerdicts = z.infer<typeof expectedSchema>

/** An object with the expected verdict of each case by its name. @throws FILE_UNREADABLE, INPUT_INVALID */
export async function readExpected(file: string): Promise<ExpectedVerdicts> {
  const parsed = expectedSchema.safeParse(await readJson(file, 'INPUT_INVALID'))
  if (parsed.success) return parsed.data
  throw new AssentError('INPUT_INVALID', `${file}: ${describeIssues(parsed.error)}`, {
    facts: { file },
  })
}

/** Counts answers that are as expected. A case without an answer, or without an expectation, differs. */
export class Comparison {
  readonly #expected: ExpectedVerdicts
  readonly #isDefaultPolicy: boolean
  readonly #missing: Set<string>
  readonly #differing: string[] = []
  #asExpected = 0

  constructor(expected: ExpectedVerdicts, isDefaultPolicy: boolean) {
    this.#expected = expected
    this.#isDefaultPolicy = isDefaultPolicy
    this.#missing = new Set(Object.keys(expected))
  }

  /** @param answer undefined: the case could not be read */
  add(name: string, answer: VerifyOutput | undefined): void {
    this.#missing.delete(name)
    if (answer !== undefined && this.#isExpected(name, answer)) this.#asExpected++
    else this.#differing.push(name)
  }

  #isExpected(name: string, answer: VerifyOutput): boolean {
    if (!Object.hasOwn(this.#expected, name)) return false
    const expected = this.#expected[name] as ExpectedVerdicts[string]
    if (expected.policy !== undefined && this.#isDefaultPolicy) {
      return answer.verdict === 'rejected' && answer.code === expected.policy
    }
    const { codes, status, advisoryIds } = expected
    return (
      answer.verdict === expected.verdict &&
      (codes === undefined || codes.includes(answer.code ?? '')) &&
      (status === undefined || answer.status === status) &&
      (advisoryIds === undefined || advisoryIds.join() === answer.advisoryIds.join())
    )
  }

  /** Counts, and the names of cases that differ or are missing. */
  result() {
    const differing = [...this.#differing, ...this.#missing]
    return { asExpected: this.#asExpected, differ: differing.length, differing }
  }
}
