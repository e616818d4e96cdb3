/** `settings.json` beside the page: the deployment to show and the servers to ask. `assent dashboard` writes it. */
import { z } from 'zod'

import type { Addresses } from '../../src/chain/record/deployments.ts'
import { addressSchema } from '../../src/lib/schema.ts'

const place = z.string().min(1).max(2_000)

const settingsSchema = z.object({
  /** Name of the profile or of the chain. */
  name: z.string().max(200),
  chainId: z.int().positive(),
  addresses: z.record(z.string(), addressSchema),
  /** First block of the deployment. */
  fromBlock: z.int().nonnegative(),
  /** JSON-RPC endpoints: absolute, or relative to the page. */
  endpoints: z
    .array(z.object({ name: z.string().max(200), url: place }))
    .min(1)
    .max(16),
  /** Endpoints that must return the same block. */
  required: z.int().positive(),
  /** The indexer's API: absolute, or relative to the page. */
  indexer: place,
  /** Where `assent dashboard` fetches collateral; null: a static folder has no such server. */
  collateral: place.nullable(),
  /** Names of ids in the profile. */
  names: z.record(z.string(), z.string()).default({}),
})

/** The checked settings. Addresses are in lower case, URLs are absolute. */
export type Settings = Omit<z.output<typeof settingsSchema>, 'addresses'> & {
  readonly addresses: Addresses
}

/** Reads the settings of this page. @throws if they are missing or malformed */
export async function readSettings(): Promise<Settings> {
  const answer = await fetch('settings.json', { cache: 'no-store', redirect: 'error' })
  if (!answer.ok) throw new Error(`settings.json: status ${answer.status}`)
  const settings = settingsSchema.parse(await answer.json())
  const absolute = (url: string) => new URL(url, document.baseURI).href
  return {
    ...settings,
    addresses: settings.addresses as Addresses,
    endpoints: settings.endpoints.map(({ name, url }) => ({ name, url: absolute(url) })),
    indexer: absolute(settings.indexer).replace(/\/$/, ''),
    collateral: settings.collateral === null ? null : absolute(settings.collateral),
  }
}
