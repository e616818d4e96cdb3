/** URLs of PCCS. Each counts once when they vote, so two spellings of one service must not pass as two. */
import { addressOf, distinctUrls } from '../../lib/schema.ts'

/** The path of the API, which Intel's own settings contain (`https://host:8081/sgx/certification/v4/`). */
const apiPath = /\/(sgx|tdx)\/certification\/v\d+$/

/** Removes the path of the API. */
export function apiBase(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname.replace(/\/+$/, '').replace(apiPath, '')
}

/** A list of PCCS. Two spellings of one service are an error, also with and without the path of the API. */
export const pccsUrlsSchema = distinctUrls((url) => addressOf(url).replace(apiPath, ''))
