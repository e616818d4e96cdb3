/** `assent dashboard`: serves the built page for the deployment of the profile, or writes it as a static folder. */
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { connectEndpoint, endpointNames } from '../../chain/proven/rpc-endpoint.ts'
import { type DashboardIndexer, remoteIndexer, runLocalIndexer } from '../../dashboard/indexer.ts'
import { pageFolder, pagePolicy, readPageFiles } from '../../dashboard/page-files.ts'
import { serveDashboard } from '../../dashboard/serve.ts'
import { type PageSettings, requiredEndpoints } from '../../dashboard/settings.ts'
import { AssentError } from '../../errors/index.ts'
import { aborted } from '../../lib/aborted.ts'
import { replaceFile } from '../../lib/files.ts'
import { urlSchema } from '../../lib/schema.ts'
import type { ArgumentsOf } from '../command.ts'
import type { dashboard } from '../dashboard.ts'
import type { Session } from '../session/session.ts'

type Args = ArgumentsOf<typeof dashboard>

const endpointTimeoutMs = 20_000
const developmentChains = [31337, 1337]

export async function run(args: Args, session: Session): Promise<void> {
  const indexerUrl = readIndexerUrl(args.indexer ?? session.profile.indexer)
  if (args.out !== undefined) return writeFolder(args.out, indexerUrl, session)
  const port = readPort(args.port)
  const files = await readPageFiles()
  const { output, profile } = session
  const indexer = await openIndexer(indexerUrl, session)
  const names = endpointNames(profile.rpcUrls)
  const running = await serveDashboard({
    files,
    settings: {
      ...commonSettings(session),
      endpoints: profile.rpcUrls.map((url, place) => ({
        name: new URL(url).host,
        url: `rpc/${place}`,
      })),
      indexer: 'indexer',
    },
    endpoints: profile.rpcUrls.map((url, place) =>
      connectEndpoint({
        url,
        name: names[place] as string,
        timeoutMs: endpointTimeoutMs,
        maxBytes: 16 * 1024 * 1024,
      }),
    ),
    indexer: indexer.answer,
    port,
  })
  output.pause()
  output.line(`The dashboard of ${session.name}: ${running.url}`)
  output.line('Ctrl-C stops it.')
  await aborted(session.stopSignal())
  await Promise.all([running.stop(), indexer.stop()])
}

/** @throws USAGE_INVALID */
function readIndexerUrl(url: string | undefined): string | undefined {
  if (url === undefined || urlSchema.safeParse(url).success) return url
  throw new AssentError('USAGE_INVALID', '--indexer: expected an http:// or https:// URL.', {
    facts: { option: '--indexer' },
  })
}

/** @throws USAGE_INVALID */
function readPort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw new AssentError('USAGE_INVALID', `--port: expected a port, found "${text}".`, {
    facts: { option: '--port', found: text },
  })
}

function openIndexer(
  url: string | undefined,
  { profile, chainId, deployment, output }: Session,
): Promise<DashboardIndexer> {
  if (url !== undefined) return Promise.resolve(remoteIndexer(url))
  const isDevelopment = developmentChains.includes(chainId)
  return runLocalIndexer({
    rpcUrls: profile.rpcUrls,
    chainId,
    deployment,
    folder: isDevelopment ? undefined : join('.assent', 'dashboard'),
    finality: isDevelopment ? { depth: 64 } : { tag: 'finalized' },
    pollMs: isDevelopment ? 500 : 4_000,
    onProgress: ({ block, latest }) => {
      if (block < latest) output.progress(`Block ${block} of ${latest} is indexed`)
      else output.pause()
    },
  })
}

function commonSettings({ name, chainId, addresses, deployment, profile }: Session) {
  return {
    name,
    chainId,
    addresses,
    fromBlock: Math.min(...Object.values(deployment.contracts).map(({ block }) => block)),
    required: requiredEndpoints(profile.rpcUrls.length),
    collateral: null,
    names: Object.fromEntries(profile.names),
  }
}

/** The page with its settings, and with its policy in the document, because a gateway sends none. */
async function writeFolder(
  folder: string,
  indexer: string | undefined,
  session: Session,
): Promise<void> {
  const { output, profile } = session
  if (indexer === undefined) {
    throw new AssentError('USAGE_INVALID', 'A static folder needs the URL of an indexer.', {
      facts: { option: '--indexer' },
      hint: 'Pass --indexer, or set indexer in a profile of assent.toml.',
    })
  }
  requireWithoutKeys(profile.rpcUrls)
  const settings: PageSettings = {
    ...commonSettings(session),
    endpoints: profile.rpcUrls.map((url) => ({ name: new URL(url).host, url })),
    indexer,
  }
  await cp(pageFolder(), folder, { recursive: true })
  const place = join(folder, 'index.html')
  const html = await readFile(place, 'utf8')
  const servers = [...new Set([...profile.rpcUrls, indexer].map((url) => new URL(url).origin))]
  // `frame-ancestors` has no effect in a document
  const policy = pagePolicy(servers).replace(/; frame-ancestors [^;]*/, '')
  const meta = `<meta http-equiv="content-security-policy" content="${policy}" />`
  await replaceFile(place, html.replace('<head>', `<head>\n    ${meta}`))
  await replaceFile(join(folder, 'settings.json'), `${JSON.stringify(settings, null, 2)}\n`)
  output.line(`Written to ${folder}. Every visitor’s browser asks: ${servers.join(', ')}`)
}

/** Everybody can read the folder. @throws USAGE_INVALID */
function requireWithoutKeys(urls: readonly string[]): void {
  const place = urls.findIndex((url) => {
    const { username, password, search } = new URL(url)
    return username !== '' || password !== '' || search !== ''
  })
  if (place === -1) return
  throw new AssentError(
    'USAGE_INVALID',
    `Endpoint ${place + 1} has a user, a password or a query in its URL, which everybody could read.`,
    { facts: { endpoint: place + 1 }, hint: 'Use a public endpoint for a static folder.' },
  )
}
