/** Wrong networks, variables and addresses: each error names the real cause and the next step. */
import { join } from 'node:path'

import { createHardhatRuntimeEnvironment } from 'hardhat/hre'
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

import config from '../../hardhat.config.ts'
import { findAnvil } from '../anvil.ts'
import { createTaskFixture, type TaskFixture, tasksOn } from './fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: wrong input of the tasks is SKIPPED. ***\n')

const root = join(import.meta.dirname, '..', '..')
const secret = 'c0ffee'

function environment(network: string): Promise<HardhatRuntimeEnvironment> {
  return createHardhatRuntimeEnvironment(config, { network }, root)
}

let fixture: TaskFixture

describe.skipIf(absent)('wrong input of a task', () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
  }, 120_000)

  afterEach(() => vi.unstubAllEnvs())
  afterAll(() => fixture?.stop())

  async function failure(hre: HardhatRuntimeEnvironment, task: string, args = {}) {
    return tasksOn(hre, fixture.folder).failure(task, { json: true, ...args })
  }

  describe('in the environment', () => {
    test.each([
      ['no ASSENT_RPC_URL', 'live', {}, 'CONFIG_INVALID', 'ASSENT_RPC_URL, which is not set'],
      [
        'a malformed ASSENT_RPC_URL',
        'live',
        { ASSENT_RPC_URL: secret },
        'CONFIG_INVALID',
        'ASSENT_RPC_URL, which has an invalid value',
      ],
      [
        'an ASSENT_RPC_URL that nobody serves',
        'live',
        { ASSENT_RPC_URL: 'http://127.0.0.1:1' },
        'CHAIN_UNREACHABLE',
        'The RPC endpoint of the network live does not answer',
      ],
      ['no ASSENT_KEY', 'signed', { url: '' }, 'CONFIG_INVALID', 'ASSENT_KEY, which is not set'],
      [
        'a malformed ASSENT_KEY',
        'signed',
        { url: '', ASSENT_KEY: secret },
        'CONFIG_INVALID',
        'has an account whose private key is invalid',
      ],
      ['an unknown network', 'mainnet', {}, 'USAGE_INVALID', 'has no network mainnet'],
      ['the in-process network', 'default', {}, 'USAGE_INVALID', '--network is missing'],
    ])(
      'is refused: %s',
      async (_, network, { url, ...variables }: Record<string, string>, code, message) => {
        for (const name of ['ASSENT_RPC_URL', 'ASSENT_KEY']) vi.stubEnv(name, undefined)
        if (url !== undefined) vi.stubEnv('ASSENT_RPC_URL', fixture.url)
        for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)

        const error = await failure(await environment(network), 'dao delegate', { to: 'self' })

        expect(error).toMatchObject({ code, message: expect.stringContaining(message) })
        expect(error.hint).toMatch(/\w/)
        expect(JSON.stringify(error)).not.toContain(secret)
      },
    )
  })

  describe('in an address', () => {
    const account = () => fixture.account('stranger')
    const other = () => fixture.addresses.timelock
    const signing = { from: 'voter' }
    const deciding = { ...signing, dryRun: true }

    test.each([
      ['dao show', 'governor', {}],
      ['dao proposals', 'governor', {}],
      ['dao proposal', 'governor', { proposal: '1' }],
      ['dao delegate', 'governor', { to: 'self', ...signing }],
      ['dao vote', 'governor', { proposal: '1', support: 'for', ...signing }],
      ['dao queue', 'governor', { proposal: '1', ...signing }],
      ['kms set-gateway', 'governor', { id: 'any', ...deciding }],
      ['app status', 'app', {}],
      ['app notice', 'app', { notice: '1h', ...deciding }],
      ['app guardian', 'app', { guardian: 'nobody', suspension: '1h', ...deciding }],
      ['deployment set-hosts', 'hosts', deciding],
      ['deployment set-images', 'images', deciding],
    ])(
      'is refused by %s for the wrong contract in %s',
      async (task, name, { from, ...args }: TaskInput) => {
        const signer = from === undefined ? {} : { from: fixture.account('voter') }
        const wrong = (address: string) =>
          failure(fixture.hre, task, { ...signer, ...args, [name]: address })

        expect(await wrong(account())).toMatchObject({ code: 'CONTRACT_MISSING' })
        expect(await wrong(other())).toMatchObject({ code: 'CONTRACT_MISMATCH' })
        expect(await wrong('0x1234')).toMatchObject({ code: 'USAGE_INVALID' })
      },
    )
  })
})

interface TaskInput {
  readonly from?: string
  readonly [argument: string]: unknown
}
