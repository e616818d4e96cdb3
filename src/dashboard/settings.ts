/** `settings.json`, from which the page learns what to show and which servers to ask. */
import type { Addresses } from '../chain/record/deployments.ts'

/** What the page is told. The page checks it again (`web/src/settings.ts`). */
export interface PageSettings {
  /** Name of the profile or of the chain. */
  readonly name: string
  readonly chainId: number
  readonly addresses: Addresses
  /** First block of the deployment. */
  readonly fromBlock: number
  /** JSON-RPC endpoints: absolute, or relative to the page. */
  readonly endpoints: readonly { readonly name: string; readonly url: string }[]
  /** Endpoints that must return the same block. */
  readonly required: number
  /** The indexer's API: absolute, or relative to the page. */
  readonly indexer: string
  /** Where the server of the page fetches collateral; null without such a server. */
  readonly collateral: string | null
  /** Names of ids, from the profile. */
  readonly names: Readonly<Record<string, string>>
}

/** The majority: one endpoint alone decides only if there is no other. */
export function requiredEndpoints(count: number): number {
  return Math.floor(count / 2) + 1
}
