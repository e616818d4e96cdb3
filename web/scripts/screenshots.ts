/**
 * Screenshots of every page in both themes and at three widths: `npm run screenshots --prefix web`.
 *
 *   node scripts/screenshots.ts              all, into .assent/screenshots
 *   node scripts/screenshots.ts --url URL    of a dashboard that runs
 */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { openBrowser } from '../test/browser.ts'
import { proposeGateway, startStack } from '../test/stack.ts'

const { values } = parseArgs({
  options: { url: { type: 'string' }, out: { type: 'string', default: '../.assent/screenshots' } },
})
const folder = path.resolve(import.meta.dirname, '..', values.out)
mkdirSync(folder, { recursive: true })

const stack = values.url === undefined ? await startStack({ blocks: 20 }) : undefined
if (stack !== undefined) {
  await proposeGateway(stack.history, 'Name the gateway')
  await stack.sync()
}
const url = values.url ?? (stack?.url as string)

/** The id of the first row of a list. */
async function first(list: string): Promise<string | undefined> {
  const answer = await fetch(`${url}indexer/v1/${list}`)
  const { items } = (await answer.json()) as { items: Record<string, string>[] }
  const row = items.at(-1)
  return list.startsWith('approvals') ? row?.registry : row?.id
}

const app = await first('approvals?kind=4')
const machine = await first('hosts')
const proposal = await first('proposals?limit=200')
const pages = {
  overview: '/',
  proposals: '/proposals',
  proposal: `/proposals/${proposal}`,
  apps: '/apps',
  app: `/apps/${app}`,
  machines: '/machines',
  machine: `/machines/${machine}`,
  images: '/images',
  kms: '/kms',
  quote: '/quote',
}
const widths = [360, 1280, 2560]
const browser = await openBrowser()
for (const theme of ['light', 'dark'] as const) {
  for (const width of widths) {
    const page = await browser.newPage({
      viewport: { width, height: width === 360 ? 800 : 900 },
      colorScheme: theme,
    })
    for (const [name, place] of Object.entries(pages)) {
      await page.goto(`${url}#${place}`)
      await page.waitForTimeout(name === 'proposal' ? 6_000 : 1_200)
      await page.screenshot({ path: path.join(folder, `${name}-${width}-${theme}.png`) })
    }
    await page.close()
  }
}
console.log(`${Object.keys(pages).length * widths.length * 2} screenshots in ${folder}`)
await browser.close()
await stack?.stop()
process.exit(0)
