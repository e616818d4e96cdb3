/**
 * Measures the first view in Chromium, over a local chain and indexer: `npm run first-view --prefix web`.
 *
 * Each load has an empty cache. Prints the median milliseconds from the request of the page until the overview shows its numbers,
 * and until the first of them is proven. Fails if the first one is above the limit.
 */
import { openBrowser } from '../test/browser.ts'
import { startStack } from '../test/stack.ts'

/** Milliseconds until the numbers are shown. */
const limit = 1_500
const loads = 9

const stack = await startStack({ blocks: 20 })
const browser = await openBrowser()

async function load(): Promise<{ shown: number; proven: number }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const page = await context.newPage()
  const start = performance.now()
  await page.goto(stack.url, { waitUntil: 'commit' })
  await page.locator('main .figures').waitFor()
  const shown = performance.now() - start
  await page.locator('main .figures .origin[data-origin="proof"]').first().waitFor()
  const proven = performance.now() - start
  await context.close()
  return { shown, proven }
}

const median = (values: readonly number[]) =>
  Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number)

await load()
const found = []
for (let count = 0; count < loads; count++) found.push(await load())
const shown = median(found.map((each) => each.shown))
const proven = median(found.map((each) => each.proven))
console.log(
  `first view ${shown} ms of at most ${limit} ms; first proof ${proven} ms (median of ${loads})`,
)
await browser.close()
await stack.stop()
process.exit(shown > limit ? 1 : 0)
