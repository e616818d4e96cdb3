/** Size of the heap at which a serving process collects garbage. */
import { setFlagsFromString } from 'node:v8'

/**
 * Old objects may grow by this part before V8 collects them; by V8's own rule they grow to several times their size.
 * The objects of a connection are old when it ends, because handles of the system refer to them. Only a full collection
 * frees them, with the certificates and buffers outside of the heap that belong to them.
 */
const growingPercent = 35

/** Called at the start of a process that serves, and not by a library: it is a setting of the whole process. */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${growingPercent}`)
}
