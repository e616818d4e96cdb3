/** The JSON of a review, and its text. */
import { z } from 'zod'

import { type Kind, kinds } from '../../chain/kinds.ts'
import { tcbStatuses } from '../../quote/verdict.ts'
import { describeReview } from '../../review/describe-review.ts'
import { type ProposalReview, reviewDigest } from '../../review/review-proposal.ts'
import { type WarningCode, warningCodes } from '../../review/warnings.ts'
import { address, bytes, bytes32, decimal, unixTime } from './json.ts'
import type { Output } from './output.ts'

const kind = z.enum(Object.keys(kinds) as [Kind, ...Kind[]])
const answer = z.strictObject({ allowed: z.boolean(), reason: z.string() })
const changedBoot = z.strictObject({
  boot: z.strictObject({
    bootOf: z.enum(['app', 'kms']),
    appId: address,
    composeHash: bytes32,
    deviceId: bytes32,
    mrAggregated: bytes32,
    mrSystem: bytes32,
    osImageHash: bytes32,
    tcbStatus: z.enum(tcbStatuses),
  }),
  periods: z.array(
    z.strictObject({
      from: unixTime,
      until: unixTime.optional().describe('absent: no end is known'),
      before: answer.describe('without the proposal'),
      after: answer.describe('with the proposal'),
    }),
  ),
})

const manifest = z.strictObject({
  composeHash: bytes32,
  name: z.string(),
  services: z.array(
    z.strictObject({ name: z.string(), image: z.string(), digest: z.string().nullable() }),
  ),
  variableNames: z.array(z.string()),
  environmentPin: bytes32.nullable(),
  flags: z.record(z.string(), z.unknown()),
})

const block = z.strictObject({ number: decimal, hash: bytes32, timestamp: unixTime })

/** A review, with the digest of its canonical JSON. */
export const reviewSchema = z.strictObject({
  version: z.literal(1),
  chainId: z.int(),
  block,
  governor: address,
  proposal: decimal.nullable().describe('null: calls that were not proposed'),
  executedFirst: z.array(decimal).describe('queued proposals that were executed first'),
  calls: z.array(
    z.strictObject({
      to: address,
      value: decimal.describe('wei'),
      data: bytes,
      contract: z.string().nullable(),
      functionName: z.string().nullable(),
      effects: z.array(z.string()),
      irreversible: z.string().nullable(),
    }),
  ),
  approvals: z.array(
    z.strictObject({
      kind,
      id: bytes32,
      registry: address,
      activeFrom: unixTime,
      expiresAt: unixTime.describe('unix seconds; 0: no end'),
      evidence: z
        .strictObject({
          source: z.strictObject({ repository: z.string(), commit: z.string() }),
          recipe: z.string(),
          manifest: z.string().optional(),
        })
        .optional(),
      imageName: z.string().optional(),
      release: z
        .strictObject({
          source: z.enum(['proposal', 'file']),
          manifest,
          difference: z
            .strictObject({
              from: bytes32,
              changes: z.array(
                z.strictObject({
                  kind: z.enum(['added', 'removed', 'changed']),
                  place: z.string(),
                  before: z.unknown(),
                  after: z.unknown(),
                }),
              ),
            })
            .optional(),
        })
        .optional(),
    }),
  ),
  warnings: z.array(
    z.strictObject({
      code: z.enum(Object.keys(warningCodes) as [WarningCode, ...WarningCode[]]),
      message: z.string(),
    }),
  ),
  execution: z.strictObject({
    assumptions: z.array(z.string()),
    queuedAt: unixTime.optional(),
    executedAt: unixTime,
    succeeded: z.boolean(),
    failure: z
      .strictObject({
        step: z.enum(['queue', 'execute']),
        call: z.int().optional().describe('position in the proposal, from 1'),
        error: z.string(),
        values: z.array(z.string()),
        data: bytes,
      })
      .optional(),
    gasUsed: decimal,
    events: z.array(
      z.strictObject({
        address,
        contract: z.string().optional(),
        name: z.string().optional(),
        args: z.array(z.strictObject({ name: z.string(), value: z.unknown() })),
        topics: z.array(bytes32),
        data: bytes,
      }),
    ),
    changes: z.array(
      z.strictObject({
        address,
        contract: z.string().optional(),
        slot: bytes32,
        name: z.string().optional(),
        before: z.string(),
        after: z.string(),
      }),
    ),
    accounts: z.array(
      z.strictObject({
        address,
        contract: z.string().optional(),
        balance: z.strictObject({ before: decimal, after: decimal }).optional(),
        code: z.strictObject({ before: z.string(), after: z.string() }).optional(),
      }),
    ),
  }),
  changedBoots: z
    .strictObject({
      from: unixTime,
      losses: z.array(changedBoot),
      gains: z.array(changedBoot),
      evaluated: z.int(),
      omitted: z.array(z.string()),
    })
    .nullable()
    .describe('null: the execution fails'),
})

/** Prints a review section by section, without empty ones. */
export function printReview(
  output: Output,
  review: ProposalReview,
  { hasPrintedCalls = false }: { readonly hasPrintedCalls?: boolean } = {},
): void {
  for (const { title, points } of describeReview(review)) {
    if (points.length === 0 || (hasPrintedCalls && title === 'Calls')) continue
    output.line()
    output.heading(title)
    for (const [first, ...rest] of points) {
      const print = title === 'Warnings' ? output.warning : output.line
      print(`  ${first}`)
      for (const line of rest) output.line(`    ${line}`)
    }
  }
  output.line()
  output.line(`SHA-256 of the review’s JSON: ${reviewDigest(review)}`)
}
