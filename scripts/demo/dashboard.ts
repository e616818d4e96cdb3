/** The dashboard of the demo: the page, and an indexer in this process. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'

import { connectEndpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { deployedAddresses, readDeployment } from '../../src/chain/record/deployments.ts'
import { runLocalIndexer } from '../../src/dashboard/indexer.ts'
import { readPageFiles } from '../../src/dashboard/page-files.ts'
import { serveDashboard } from '../../src/dashboard/serve.ts'
import { projectRoot } from '../run-tool.ts'

/** A running dashboard. */
export interface DemoDashboard {
  readonly url: string
  /** Names of ids, which the page shows from its next load on. */
  readonly names: Record<string, string>
  stop(): Promise<void>
}

/**
 * Builds the page if it is not built, and serves it.
 *
 * @returns undefined if the page cannot be built, for example without a package registry: the demo works without it
 */
export async function startDemoDashboard(
  rpcUrl: string,
  chainId: number,
  recordFolder: string,
): Promise<DemoDashboard | undefined> {
  if (!buildPage()) return undefined
  const deployment = await readDeployment(recordFolder, chainId)
  const indexer = await runLocalIndexer({
    rpcUrls: [rpcUrl],
    chainId,
    deployment,
    folder: undefined,
    finality: { depth: 64 },
    pollMs: 500,
  })
  const names: Record<string, string> = {}
  const running = await serveDashboard({
    files: await readPageFiles(),
    settings: {
      name: 'demo',
      chainId,
      addresses: deployedAddresses(deployment),
      fromBlock: 0,
      endpoints: [{ name: new URL(rpcUrl).host, url: 'rpc/0' }],
      required: 1,
      indexer: 'indexer',
      collateral: null,
      names,
    },
    endpoints: [connectEndpoint({ url: rpcUrl, name: 'development', timeoutMs: 10_000 })],
    indexer: indexer.answer,
    port: 0,
  })
  return {
    url: running.url,
    names,
    async stop() {
      await running.stop()
      await indexer.stop()
    },
  }
}

/** Whether the page is there. Its packages are installed on the first start. */
function buildPage(): boolean {
  const web = path.join(projectRoot, 'web')
  if (existsSync(path.join(web, 'dist/index.html'))) return true
  const npm = (...args: readonly string[]) =>
    spawnSync('npm', [...args, '--prefix', web], {
      // standard output belongs to the demo alone
      stdio: ['ignore', process.stderr, 'inherit'],
      shell: process.platform === 'win32',
    }).status === 0
  const isInstalled =
    existsSync(path.join(web, 'node_modules')) ||
    npm('ci', '--no-audit', '--no-fund', '--loglevel=error')
  return isInstalled && npm('run', 'build', '--silent')
}
