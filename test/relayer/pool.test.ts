import { setTimeout as sleep } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { forEachOf } from '../../src/lib/pool.ts'

test('forEachOf does everything once within the limit', async () => {
  let underWay = 0
  let most = 0
  const done: number[] = []
  await forEachOf([5, 1, 3, 2, 4, 6], 2, async (item) => {
    most = Math.max(most, ++underWay)
    await sleep(item)
    underWay -= 1
    done.push(item)
  })
  expect(most).toBe(2)
  expect(done.sort()).toEqual([1, 2, 3, 4, 5, 6])
})

test('forEachOf is not delayed by one slow task', async () => {
  const done: string[] = []
  const others = Promise.withResolvers<void>()
  await forEachOf(['long', 'a', 'b', 'c'], 2, async (item) => {
    if (item === 'long') await others.promise
    done.push(item)
    if (item === 'c') others.resolve()
  })
  expect(done).toEqual(['a', 'b', 'c', 'long'])
})

test('forEachOf throws a failure after running tasks ended and starts no more', async () => {
  const begun: number[] = []
  let ended = false
  const work = forEachOf([1, 2, 3, 4], 2, async (item) => {
    begun.push(item)
    if (item === 2) throw new Error('two')
    await sleep(10)
    ended = true
  })
  await expect(work).rejects.toThrow('two')
  expect(ended).toBe(true)
  expect(begun).toEqual([1, 2])
})
