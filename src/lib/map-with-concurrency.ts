import { forEachOf } from './pool.ts'

/**
 * Calls `work` for each item, a few at a time, and returns the results in the order of the items.
 *
 * @param width how many calls run at once. The default hides network latency and is polite to a public endpoint
 * @throws the first error of `work`, after the running calls have ended
 *
 * @example
 * const receipts = await mapWithConcurrency(hashes, readReceipt)
 */
export async function mapWithConcurrency<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  width = 8,
): Promise<Result[]> {
  const results = new Array<Result>(items.length)
  await forEachOf([...items.entries()], width, async ([index, item]) => {
    results[index] = await work(item)
  })
  return results
}
