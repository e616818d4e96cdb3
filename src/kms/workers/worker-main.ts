/** Entry point of a worker process. */
import { keepHeapSmall } from '../heap.ts'
import type { Port } from './channel.ts'
import { runWorker } from './worker.ts'

// a signal to the process group is handled by the parent, which stops its workers in order
process.on('SIGTERM', () => {})
process.on('SIGINT', () => {})

keepHeapSmall()
runWorker(process as Port)
