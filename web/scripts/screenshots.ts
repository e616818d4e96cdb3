/**
 * Screenshots of every page in both themes and at three widths: `npm run screenshots --prefix web`.
 *
 *   node scripts/screenshots.ts              all, into .assent/screenshots
 *   node scripts/screenshots.ts --url URL    of a dashboard that runs
 *   node scripts/screenshots.ts --docs       also the small ones of ../docs/pictures
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { openBrowser } from '../test/browser.ts'
import { proposeGateway, startStack } from '../test/stack.ts'

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    out: { type: 'string', default: '../.assent/screenshots' },
    docs: { type: 'boolean', default: false },
  },
})
const folder = path.resolve(import.meta.dirname, '..', values.out)
mkdirSync(folder, { recursive: true })

const stack = values.url === undefined ? await startStack({ blocks: 20 }) : undefined
if (stack !== undefined) {
  await proposeGateway(stack.history, 'Name the gateway')
  await stack.sync()
}
const url = values.url ?? (stack?.url as string)

type Item = Readonly<Record<string, string | number | boolean | null>>

/** The first rows of a list of the indexer. */
async function read(list: string): Promise<readonly Item[]> {
  const answer = await fetch(`${url}indexer/v1/${list}`)
  return ((await answer.json()) as { items: Item[] }).items
}

// what has most to show: an app with releases, a machine with a proof, an open proposal
const app = (await read('approvals?kind=4')).at(-1)?.registry
const hosts = await read('hosts')
const machine = (hosts.find(({ attestedAt }) => (attestedAt ?? 0) !== 0) ?? hosts[0])?.id
const proposals = await read('proposals?limit=200')
const proposal = proposals.toSorted((a, b) => Number(b.voteStart) - Number(a.voteStart))[0]?.id
const image = (await read('images')).find(({ name }) => name !== '')?.id
const rootKey = (await read('root-keys'))[0]?.id
const pages = {
  overview: '/',
  proposals: '/proposals',
  proposal: `/proposals/${proposal}`,
  apps: '/apps',
  app: `/apps/${app}`,
  machines: '/machines',
  machine: `/machines/${machine}`,
  images: '/images',
  image: `/images/${image}`,
  kms: '/kms',
  'root-key': `/kms/root-keys/${rootKey}`,
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
      await page.screenshot({
        path: path.join(folder, `${name}-${width}-${theme}.png`),
        fullPage: true,
      })
    }
    await page.close()
  }
}

/** Most bytes of a picture in the docs. */
const maxBytes = 60 * 1024
const documented = [
  ['overview', 'light'],
  ['app', 'dark'],
  ['proposal', 'light'],
] as const
if (values.docs) {
  for (const [name, colorScheme] of documented) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, colorScheme })
    await page.goto(`${url}#${pages[name]}`)
    await page.waitForTimeout(6_000)
    const session = await page.context().newCDPSession(page)
    const options = { format: 'webp', quality: 60 } as const
    const { data } = await session.send('Page.captureScreenshot', options)
    const bytes = Buffer.from(data, 'base64')
    if (bytes.length > maxBytes)
      throw new Error(`The picture of ${name} has ${bytes.length} bytes.`)
    const pictures = path.join(import.meta.dirname, '../../docs/pictures')
    writeFileSync(path.join(pictures, `dashboard-${name}.webp`), bytes)
    await page.close()
  }
}
console.log(`${Object.keys(pages).length * widths.length * 2} screenshots in ${folder}`)
await browser.close()
await stack?.stop()
process.exit(0)
