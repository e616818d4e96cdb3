/**
 * Reads the request that a dstack KMS sends to the webhook. Known members must have their exact length; nothing is
 * padded. Unknown members are ignored, as in dstack's own webhook servers, because each dstack release sends others.
 */
import { z } from 'zod'

import type { EvaluatedBoot } from '../chain/boot/boot.ts'
import { AssentError } from '../errors/index.ts'
import { fromHex } from '../lib/bytes.ts'
import { describeIssues, namesOfIssues } from '../lib/config.ts'
import { readJson } from '../lib/json.ts'

/** Hex of exactly `length` bytes, with or without `0x`. @param orEmpty an empty text is valid too */
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

/** Unknown members may be lists or objects; older releases send an event log. */
const jsonLimits = { depth: 32, values: 65_536 }

const bootSchema = z.object({
  // dstack after v0.5.11
  teeVariant: z.string().max(64).optional(),
  // v0.5.6 to v0.5.11: the same values under the older name
  attestationMode: z.string().max(64).optional(),
  mrAggregated: hexField(32),
  osImageHash: hexField(32),
  mrSystem: hexField(32),
  appId: hexField(20),
  composeHash: hexField(32),
  instanceId: hexField(20, true),
  deviceId: hexField(32),
  // no contract reads it
  keyProviderInfo: z
    .string()
    .max(16_384)
    .regex(/^(?:0x)?(?:[0-9a-fA-F]{2})*$/, 'hexadecimal digits')
    .optional(),
  tcbStatus: z.string().max(128),
  // the length is checked first, so that a long list costs nothing
  advisoryIds: z
    .array(z.unknown())
    .max(128)
    .pipe(z.array(z.string().max(256))),
})

/** v0.5.1 to v0.5.5 do not name the TEE. They send the registers of a TD, because they support no other TEE. */
const tdRegistersSchema = z.object({
  mrtd: hexField(48),
  rtmr0: hexField(48),
  rtmr1: hexField(48),
  rtmr2: hexField(48),
  rtmr3: hexField(48),
})

/** A parsed request of a dstack KMS. */
export interface BootRequest {
  /** For example `dstack-tdx`; undefined if the request does not name its TEE in any known form. */
  readonly teeVariant: string | undefined
  /** Facts as dstack's KMS sent them. The webhook trusts the KMS for them: nothing here is proven by a quote. */
  readonly boot: EvaluatedBoot
}

/**
 * Reads the body of `POST /bootAuth/app` or `/bootAuth/kms` from any dstack release since v0.5.1.
 *
 * @param body JSON text
 * @throws INPUT_INVALID with the names of the invalid members
 */
export function parseBootRequest(body: string): BootRequest {
  const json = parseJson(body)
  const parsed = bootSchema.safeParse(json)
  if (!parsed.success) {
    throw new AssentError('INPUT_INVALID', `Boot request: ${describeIssues(parsed.error)}`, {
      facts: { fields: namesOfIssues(parsed.error) },
    })
  }
  const { teeVariant, attestationMode, keyProviderInfo: _, ...boot } = parsed.data
  if (teeVariant !== undefined && attestationMode !== undefined && teeVariant !== attestationMode) {
    throw new AssentError('INPUT_INVALID', 'Boot request: teeVariant and attestationMode differ.', {
      facts: { teeVariant, attestationMode },
    })
  }
  const tdx = tdRegistersSchema.safeParse(json).success ? 'dstack-tdx' : undefined
  return { teeVariant: teeVariant ?? attestationMode ?? tdx, boot }
}

function parseJson(body: string): unknown {
  try {
    return readJson(body, jsonLimits).value
  } catch (cause) {
    throw new AssentError('INPUT_INVALID', 'The boot request cannot be read as JSON.', { cause })
  }
}
