/**
 * Waits until a signal is aborted: the end of a service.
 *
 * @example
 * await aborted(stopSignal)
 * await service.stop()
 */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
