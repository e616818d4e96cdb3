/** A CVM's whole life as its container runs it: waits without keys, is bootstrapped over HTTP, serves, starts again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { fetchAppKeys, verifyFetchedKeys } from '../../src/kms/client.ts'
import { fromHex } from '../../src/lib/bytes.ts'
import { createMachine, type Machine } from './process-fixture.ts'

let machine: Machine
const children: ChildProcess[] = []

beforeAll(async () => {
  machine = await createMachine()
}, 60_000)
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await machine.stop()
})

test('`kms start` bootstraps once and only serves at later starts', async () => {
  const folder = await machine.newFolder()
  const log = { folder: join(folder, 'log'), node: 'kms-1', entries: 'private' }
  const configFile = await machine.configure(folder, {
    onboardPort: 0,
    releaseLog: { ...log, witnesses: 'insecure-none' },
  })
  const first = start(configFile)
  const onboarding = await first.address(/"url":"(http:[^"]+)"/)
  const post = async (method: string, body: object) => {
    const answer = await fetch(`${onboarding}/prpc/Onboard.${method}?json`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    return (await answer.json()) as Record<string, string>
  }
  const cvm = machine.boot('app')
  const rootOf = async (url: string) => {
    const keys = await fetchAppKeys({ url }, cvm.source, cvm.vmConfig)
    verifyFetchedKeys(cvm.appId, keys, fromHex(made.k256_pubkey ?? '', 'root', 33))
    return keys.k256Key
  }

  expect(await readdir(folder)).toEqual(['config.json'])
  const made = await post('Bootstrap', { domain: 'localhost' })
  expect(await post('Bootstrap', { domain: 'localhost' })).toMatchObject({
    error: expect.stringContaining('already been bootstrapped'),
  })
  await post('Finish', {})
  const key = await rootOf(await first.address(/"url":"(https:[^"]+)"/))
  expect(await first.stop()).toBe(0)

  const second = start(configFile)
  expect(await rootOf(await second.address(/"url":"(https:[^"]+)"/))).toEqual(key)
  expect(await second.stop()).toBe(0)
}, 60_000)

function start(configFile: string) {
  const command = join(import.meta.dirname, '../../bin/assent.js')
  const child = spawn(process.execPath, [command, 'kms', 'start', '--config', configFile])
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk
    })
  }
  return {
    address: async (pattern: RegExp) => {
      await expect.poll(() => output, { timeout: 20_000 }).toMatch(pattern)
      return pattern.exec(output)?.[1]?.replace('127.0.0.1', 'localhost') ?? ''
    },
    stop: async () => {
      child.kill('SIGTERM')
      const [code] = await once(child, 'exit')
      return code as number
    },
  }
}
