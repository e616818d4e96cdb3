/**
 * Does the same for each, a few at a time, and answers in their order.
 *
 * @param width how many at once: enough not to wait for each round trip, few enough for a public endpoint
 * @throws what `work` throws first
 */
export async function mapWithConcurrency<item, result>(
  items: readonly item[],
  work: (item: item) => Promise<result>,
  width = 8,
): Promise<result[]> {
  const results: result[] = []
  for (let first = 0; first < items.length; first += width) {
    results.push(...(await Promise.all(items.slice(first, first + width).map(work))))
  }
  return results
}
