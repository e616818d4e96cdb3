/**
 * Helios as an outside check, in a process of its own because it reads the clock: it follows the beacon API at an address
 * and prints the block that it calls final.
 *
 *   node helios-process.ts URL ROOT SECONDS
 *
 * Prints `{hash}` or `{refused}` as JSON. `SECONDS` is the Unix time at which it starts.
 */
const [, , url = '', checkpoint = '', seconds = ''] = process.argv
const start = Number(seconds) * 1000 - performance.now()
Date.now = () => Math.floor(start + performance.now())

// the package is made for browsers
Object.assign(globalThis, { window: globalThis })
const { createHeliosProvider } = await import('@a16z/helios')

try {
  const provider = await createHeliosProvider(
    { executionRpc: url, consensusRpc: url, checkpoint, network: 'mainnet', dbType: 'config' },
    'ethereum',
  )
  await provider.waitSynced()
  const block = await provider.request({
    method: 'eth_getBlockByNumber',
    params: ['finalized', false],
  })
  console.log(JSON.stringify({ hash: block?.hash }))
} catch (error) {
  console.log(JSON.stringify({ refused: String(error).slice(0, 200) }))
}
process.exit(0)
