/** zod pieces that several parts share: exact widths, lower-case hex, no defaults. */
import { z } from 'zod'

import type { Hex } from './bytes.ts'

/** Hex of exactly `length` bytes, with `0x`. */
export function hexSchema(length: number) {
  return z
    .string()
    .regex(new RegExp(`^0x[0-9a-fA-F]{${length * 2}}$`), `0x and ${length * 2} hexadecimal digits`)
    .transform((text) => text.toLowerCase() as Hex)
}

export const addressSchema = hexSchema(20)
export const bytes32Schema = hexSchema(32)

/** Bytes of any length, with `0x`. */
export const bytesSchema = z
  .string()
  .regex(/^0x([0-9a-fA-F]{2})*$/, 'bytes as 0x and hexadecimal digits')
  .transform((text) => text.toLowerCase() as Hex)

/** Number of a TCP port; 0 lets the system choose. */
export const portSchema = z.int().min(0).max(65535)

export const urlSchema = z.url({ protocol: /^https?$/ })
