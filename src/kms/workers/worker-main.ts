/** Where a worker process begins. */
import type { Port } from './channel.ts'
import { runWorker } from './worker.ts'

// a signal to the whole group is for the process that started this one
process.on('SIGTERM', () => {})
process.on('SIGINT', () => {})

runWorker(process as Port)
