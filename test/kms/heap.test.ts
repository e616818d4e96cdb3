/** The setting of the garbage collector of a serving process. */
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

/** Most bytes of heap that a process uses whose objects live long enough to become old. */
function peakOf(before: string): number {
  const program = `
    import { keepHeapSmall } from ${JSON.stringify(join(root, 'src/kms/heap.ts'))}
    ${before}
    const kept = Array.from({ length: 2_000 }, (_, index) => new Array(2_048).fill(index))
    const recent = []
    let peak = 0
    for (let index = 0; index < 150_000; index++) {
      recent[index % 8_000] = new Array(256).fill(index)
      if (index % 100 === 0) peak = Math.max(peak, process.memoryUsage().heapUsed)
    }
    console.log(peak + 0 * kept.length)`
  // with other threads the collector's progress depends on the load of the machine
  const options = [
    '--single-threaded',
    '--max-semi-space-size=4',
    '--input-type=module-typescript',
    '-e',
    program,
  ]
  return Number(execFileSync(process.execPath, options, { encoding: 'utf8' }))
}

test('the heap limit of young objects lets old objects be collected before the heap has doubled', () => {
  expect(peakOf('keepHeapSmall()')).toBeLessThan(0.75 * peakOf(''))
})

test.each([
  'src/commands/kms/run.ts',
  'src/commands/kms/start.ts',
  'src/kms/workers/worker-main.ts',
])('%s sets the heap limit before it serves', async (file) => {
  const text = await readFile(join(root, file), 'utf8')

  expect(text.match(/^\s*keepHeapSmall\(\)$/gm)).toHaveLength(1)
})
