/** What a dstack KMS posts to the webhook: the documented fields, exact widths, nothing padded. */
import { z } from 'zod'

import type { AskedBoot } from '../chain/boot.ts'
import { AssentError } from '../errors/index.ts'
import { fromHex } from '../lib/bytes.ts'
import { describeIssues } from '../lib/config.ts'

/** Hex of exactly `length` bytes, with or without a lower-case `0x`. */
function hexField(length: number, orEmpty = false) {
  const digits = `(?:0x)?[0-9a-fA-F]{${length * 2}}`
  return z
    .string()
    .regex(
      new RegExp(`^(?:${digits}${orEmpty ? '|' : ''})$`),
      `${length * 2} hexadecimal digits${orEmpty ? ' or nothing' : ''}`,
    )
    .transform((text) => fromHex(text, 'field'))
}

const bootSchema = z.strictObject({
  teeVariant: z.string().max(64).optional(),
  mrAggregated: hexField(32),
  osImageHash: hexField(32),
  mrSystem: hexField(32),
  appId: hexField(20),
  composeHash: hexField(32),
  instanceId: hexField(20, true),
  deviceId: hexField(32),
  // read by no contract
  keyProviderInfo: z
    .string()
    .max(16_384)
    .regex(/^(?:0x)?(?:[0-9a-fA-F]{2})*$/, 'hexadecimal digits')
    .optional(),
  tcbStatus: z.string().max(128),
  advisoryIds: z.array(z.string().max(256)).max(128),
})

export interface BootRequest {
  readonly teeVariant: string | undefined
  readonly boot: AskedBoot
}

/** @throws INPUT_INVALID naming every wrong field */
export function parseBootRequest(body: string): BootRequest {
  const parsed = bootSchema.safeParse(parseJson(body))
  if (!parsed.success) {
    throw new AssentError('INPUT_INVALID', `Boot request: ${describeIssues(parsed.error)}`, {
      facts: { fields: parsed.error.issues.map((issue) => issue.path.join('.')) },
    })
  }
  const { teeVariant, keyProviderInfo: _, ...boot } = parsed.data
  return { teeVariant, boot }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new AssentError('INPUT_INVALID', 'The boot request is not JSON.', { cause })
  }
}
