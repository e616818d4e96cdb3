/** Connects to the chain of a profile, without Hardhat. */
import {
  type Chain,
  createPublicClient,
  defineChain,
  fallback,
  http,
  type PublicClient,
  type Transport,
} from 'viem'

import { checkedTransport } from '../../chain/rpc/checked-transport.ts'
import { AssentError } from '../../errors/index.ts'
import { openAccounts } from './accounts.ts'
import type { Network } from './session.ts'
import type { Profile } from './settings.ts'

/** Milliseconds for a request; it is sent twice at most. */
const timeoutMs = 20_000
/** Milliseconds for the first answer of all endpoints. */
const firstAnswerMs = 10_000

/** What a front door adds to the settings. */
export interface ConnectOptions {
  /** Milliseconds for the first answer. */
  readonly deadlineMs?: number | undefined
  /** Shows the address of the page on which a wallet in the browser is asked. */
  readonly announce?: (url: string) => void
}

/**
 * Connects to the endpoints of a profile. Endpoints that do not answer now are skipped, but all that answer must serve the
 * same chain. Requests go to the first endpoint that answers: its answers are trusted, except where a command says that it
 * verifies proofs. Redirects are not followed, because the URL and the request can contain what only this endpoint may
 * see.
 *
 * @throws CONFIG_INVALID if no endpoint is set, CHAIN_UNREACHABLE, CHAIN_ID_WRONG
 */
export async function connectNetwork(
  profile: Profile,
  { deadlineMs = firstAnswerMs, announce = () => {} }: ConnectOptions = {},
): Promise<Network> {
  const { rpcUrls } = profile
  if (rpcUrls.length === 0) {
    throw new AssentError('CONFIG_INVALID', 'No chain endpoint is set.', {
      facts: { profile: profile.name ?? null, file: profile.file ?? null },
      hint: 'Pass --rpc-url, set ASSENT_RPC_URL, or set rpcUrls in a profile of assent.toml.',
    })
  }
  const found = await Promise.allSettled(rpcUrls.map((url) => askChainId(url, deadlineMs)))
  const chainId = agreeOnChain(rpcUrls, found, { expected: profile.chainId, deadlineMs })
  const answering = rpcUrls
    .filter((_, i) => found[i]?.status === 'fulfilled')
    .map((url) => endpointOf(url, { retryCount: 1, timeout: timeoutMs }))
  const [first, ...others] = answering
  const transport =
    others.length === 0 ? (first as Transport) : fallback(answering, { rank: false })
  const name = profile.name ?? hostOf(rpcUrls[0] as string)
  const chain = chainOf(chainId, name)
  const publicClient = createPublicClient({
    chain,
    transport,
    cacheTime: 0,
    // a development chain answers immediately
    pollingInterval: chainId === 31337 ? 50 : 2_000,
  }) as PublicClient
  return {
    name,
    chainId,
    publicClient,
    accounts: openAccounts(profile, { chain, transport, announce }),
  }
}

function endpointOf(url: string, limits: { retryCount: number; timeout: number }): Transport {
  return checkedTransport(http(url, { ...limits, fetchOptions: { redirect: 'error' } }))
}

/** One try, because a silent endpoint must not delay the others. */
function askChainId(url: string, timeout: number): Promise<number> {
  return createPublicClient({ transport: endpointOf(url, { retryCount: 0, timeout }) }).getChainId()
}

/** The chain that all answering endpoints serve. */
function agreeOnChain(
  urls: readonly string[],
  answers: readonly PromiseSettledResult<number>[],
  { expected, deadlineMs }: { expected: number | undefined; deadlineMs: number },
): number {
  const found = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : null))
  const facts = { endpoints: urls.map((url, i) => ({ endpoint: hostOf(url), chainId: found[i] })) }
  const chains = new Set(found.filter((each) => each !== null))
  const [chainId] = chains
  if (chainId === undefined) {
    const cause = answers.find((answer) => answer.status === 'rejected')?.reason
    throw new AssentError(
      'CHAIN_UNREACHABLE',
      `No chain endpoint gave a valid answer within ${deadlineMs / 1000} seconds.`,
      { cause, facts },
    )
  }
  if (chains.size > 1) {
    throw new AssentError('CHAIN_ID_WRONG', 'The endpoints serve different chains.', { facts })
  }
  if (expected !== undefined && chainId !== expected) {
    throw new AssentError(
      'CHAIN_ID_WRONG',
      `The endpoints serve chain ${chainId}, not ${expected}.`,
      {
        facts: { ...facts, expected },
      },
    )
  }
  return chainId
}

/** Host and port: the rest of a URL can contain a key. */
function hostOf(url: string): string {
  return new URL(url).host
}

/** A chain of which only the id is known. */
export function chainOf(chainId: number, name: string): Chain {
  return defineChain({
    id: chainId,
    name,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [] } },
  })
}
