/**
 * Calls `work` for each item, with at most `limit` calls running at once.
 *
 * After a failure no new call starts. The error is thrown when the running calls have ended, so nothing continues in the
 * background.
 *
 * @throws the first error of `work`
 *
 * @example
 * await forEachOf(hosts, 32, renewHost)
 */
export async function forEachOf<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // all workers share one iterator, so each item is taken once
  const remaining = items.values()
  let hasFailed = false
  const runWorker = async () => {
    for (const item of remaining) {
      if (hasFailed) return
      try {
        await work(item)
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: limit }, runWorker))
  const failed = ended.find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
