/** Settings of the account that pays, and of its fees. */
import { parseGwei } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { addressSchema, bytes32Schema, urlSchema } from '../../lib/schema.ts'

/** An amount in gwei, as a number or as text; the value is in wei. */
export const gweiSchema = z
  .union([z.number().nonnegative(), z.string().regex(/^\d+(\.\d{1,9})?$/)])
  .transform((amount) => parseGwei(typeof amount === 'number' ? amount.toFixed(9) : amount))

/** A keystore with its password, a web3signer with its account, or a private key for test chains. */
export const signerShape = {
  keystoreFile: z.string().min(1).optional(),
  keystorePasswordFile: z.string().min(1).optional(),
  web3signerUrl: urlSchema.optional(),
  /** The account that the remote signer must hold. */
  account: addressSchema.optional(),
  privateKey: bytes32Schema.optional(),
  allowInsecureKey: z.boolean().default(false),
}

/** The checked settings. */
export type SignerSettings = z.output<z.ZodObject<typeof signerShape>>

/** @throws CONFIG_INVALID unless exactly one signer is set, and completely */
export function requireSigner(settings: SignerSettings): void {
  requireOne(settings, ['keystoreFile', 'web3signerUrl', 'privateKey'])
  requireTogether(settings, 'keystoreFile', 'keystorePasswordFile')
  requireTogether(settings, 'web3signerUrl', 'account')
}

/** @throws RELAYER_KEY_INSECURE for a private key that the settings do not allow */
export function requireAllowedKey({ privateKey, allowInsecureKey }: SignerSettings): void {
  if (privateKey === undefined || allowInsecureKey) return
  throw new AssentError('RELAYER_KEY_INSECURE', 'The configuration contains a private key.')
}

/** @throws CONFIG_INVALID unless exactly one of these settings is set */
export function requireOne<T extends object>(
  config: T,
  names: readonly (keyof T & string)[],
): void {
  const given = names.filter((name) => config[name] !== undefined)
  if (given.length === 1) return
  throw new AssentError('CONFIG_INVALID', `Set exactly one of ${names.join(', ')}.`, {
    facts: { given },
  })
}

function requireTogether(
  config: SignerSettings,
  one: keyof SignerSettings,
  other: keyof SignerSettings,
): void {
  if ((config[one] === undefined) === (config[other] === undefined)) return
  throw new AssentError('CONFIG_INVALID', `Set both ${one} and ${other}, or neither.`, {
    facts: { one, other },
  })
}
