/** Schedules without a test runner, until one breaks a promise: `node explore.ts FIRST COUNT`. */
import { runSchedule } from './schedule.ts'

// A schedule throws thousands of errors that nobody reads.
Error.stackTraceLimit = 0

const [first = 1, count = 2_000] = process.argv.slice(2).map(Number)

for (let seed = first; seed < first + count; seed++) {
  try {
    await runSchedule(seed)
  } catch (error) {
    console.log(`seed ${seed}: ${String(error).slice(0, 200)}`)
    process.exit(1)
  }
}
