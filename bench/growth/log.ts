/** The start of a node whose release log has many entries. */
import { createReleaseLog, openReleaseLog } from '../../src/kms/log/log.ts'
import { denial, newLocation } from '../../test/kms/log/log-fixture.ts'

/** Entries that are appended at the same time, and so with one flush. */
const together = 500

/** Milliseconds of processor time until the log is open. */
export async function logCost(entries: number): Promise<number> {
  const location = await newLocation()
  await createReleaseLog(location)
  const log = await openReleaseLog(location)
  for (let at = 0; at < entries; at += together) {
    const count = Math.min(together, entries - at)
    await Promise.all(Array.from({ length: count }, (_, index) => log.append(denial(at + index))))
  }
  await log.close()
  const before = process.cpuUsage()
  const opened = await openReleaseLog(location)
  const { user, system } = process.cpuUsage(before)
  await opened.close()
  return (user + system) / 1_000
}
