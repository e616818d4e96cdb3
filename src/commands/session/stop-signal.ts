/** Aborted by the first SIGTERM or SIGINT; a second one ends the process at once, as usual. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const stop = () => controller.abort()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  return controller.signal
}
