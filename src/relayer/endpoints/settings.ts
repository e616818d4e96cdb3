/** Settings of the RPC endpoints that several services have. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { isRemoteHttp } from '../../lib/schema.ts'
import type { FinalityRule } from './quorum.ts'

/** The rule for the final block: a tag, or a number of blocks above it. */
export const finalitySchema = z
  .union([z.enum(['finalized', 'safe']), z.int().min(0).max(10_000)])
  .transform(
    (value): FinalityRule => (typeof value === 'number' ? { depth: value } : { tag: value }),
  )

/**
 * Refuses `http://` to another machine, unless the settings allow it.
 *
 * @param urls by the name of their setting
 * @throws CONFIG_INVALID; the message contains no URL, because it can contain a password
 */
export function requireSecureUrls(
  urls: Readonly<Record<string, readonly string[]>>,
  { insecureRemoteHttp }: { readonly insecureRemoteHttp: boolean },
): void {
  if (insecureRemoteHttp) return
  for (const [name, list] of Object.entries(urls)) {
    if (!list.some(isRemoteHttp)) continue
    const message = `Configuration: ${name}: http to another machine needs insecureRemoteHttp`
    throw new AssentError('CONFIG_INVALID', message)
  }
}
