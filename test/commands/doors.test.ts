/** One command through both front doors: the command line, and Hardhat. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Wallet } from 'ethers'
import { privateKeyToAddress } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

import { anvilKeys, findAnvil } from '../anvil.ts'
import { daoTimes } from '../chain/dao.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'
import { serveWeb3Signer } from '../web3signer.ts'
import { assent } from './run-command.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests of both front doors are SKIPPED. ***\n')

let fixture: TaskFixture
let folder: string

const json = async (...args: string[]) => JSON.parse((await assent(...args, '--json')).text)

describe.skipIf(absent)('a command', () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
    folder = await mkdtemp(join(tmpdir(), 'assent-doors-'))
    vi.spyOn(process, 'cwd').mockReturnValue(folder)
    await writeProfile({})
  }, 120_000)
  afterEach(() => writeProfile({}))
  afterAll(async () => {
    vi.restoreAllMocks()
    await fixture?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function writeProfile(
    account: Record<string, string>,
    names: readonly string[] = [],
  ): Promise<void> {
    const entries = Object.entries(account).map(([key, value]) => `${key} = "${value}"`)
    const section = entries.length === 0 ? [] : ['[profiles.local.account]', ...entries]
    const lines = [
      '[profiles.local]',
      `rpcUrls = ["${fixture.url}"]`,
      `deployments = "${fixture.folder}"`,
      ...section,
      '[profiles.local.names]',
      ...names,
    ]
    await writeFile(join(folder, 'assent.toml'), lines.join('\n'))
  }

  test('prints the same JSON from the assent program and from the Hardhat task', async () => {
    const { value } = await fixture.run('dao show', { json: false })

    expect(await json('dao', 'show')).toEqual(
      JSON.parse(
        JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)),
      ),
    )
  })

  test('signs with an account of the node and finds a proposal by its first digits', async () => {
    const from = fixture.account('voter')
    const id = `0x${'b7'.repeat(32)}`
    const made = await json('dao', 'approve', 'os-image', id.slice(2), '--from', from, '--yes')
    expect(made).toMatchObject({ outcome: 'proposed', proposals: [{ isNew: true }] })
    const proposal = made.proposals[0].id as string

    const { text, exitCode } = await assent('dao', 'proposal', proposal.slice(0, 8))
    expect(exitCode).toBe(0)
    expect(text).toContain(`is proposal ${proposal}`)
    expect(text).toContain(`approve base image ${id}`)
    // 64 decimal digits are no hexadecimal id
    const long = await assent('dao', 'proposal', proposal.slice(0, 64))
    expect(long.text).toContain(`is proposal ${proposal}`)
    const delegated = await assent('dao', 'delegate', from, '--from', from)
    expect(delegated.text).toContain('CONFIRMATION_MISSING')
    expect(delegated.text).toContain('To be sent by')
    expect(delegated.text).not.toContain('Sent by')
    const unknown = await assent('dao', 'proposal', '99999999', '--json')
    expect(unknown).toMatchObject({
      exitCode: 2,
      text: expect.stringContaining('NAME_UNKNOWN'),
    })
  })

  test('signs with a keystore whose password is in a file', async () => {
    const wallet = new Wallet(anvilKeys[0])
    await writeFile(join(folder, 'key.json'), await wallet.encrypt('pass wörd', undefined))
    await writeFile(join(folder, 'password'), 'pass wörd\n')
    await writeProfile({ keystore: 'key.json', passwordFile: 'password' })

    expect(await json('dao', 'delegate', 'self', '--yes')).toMatchObject({
      outcome: 'sent',
      by: wallet.address,
    })
    const shown = await assent('config', 'show')
    expect(shown.text).toContain(join(folder, 'key.json'))
    expect(shown.text).not.toContain('wörd')
  }, 60_000)

  test('signs with an external signer over JSON-RPC, and sends nothing if it refuses', async () => {
    const voter = fixture.account('voter')
    await writeProfile({ signer: fixture.url, address: voter })
    expect(await json('dao', 'delegate', 'self', '--yes')).toMatchObject({ outcome: 'sent' })

    await writeProfile({ signer: 'http://127.0.0.1:1', address: voter })
    const { exitCode, text } = await assent('dao', 'delegate', 'self', '--yes')
    expect(exitCode).toBe(3)
    expect(text).toContain('SIGNER_UNREACHABLE')
  })

  test('signs transactions and votes with a web3signer', async () => {
    const key = anvilKeys[1]
    const address = privateKeyToAddress(key)
    const signer = await serveWeb3Signer({ key })
    await writeProfile({ web3signer: signer.url, address })
    const id = `0x${'b8'.repeat(32)}`
    const made = await json('dao', 'approve', 'os-image', id, '--yes')
    expect(made).toMatchObject({ outcome: 'proposed' })
    const proposal = made.proposals[0].id as string
    const signed = await json('dao', 'sign-vote', proposal, 'for', '--yes')
    signer.stop()

    // the governor recovers the voter from the signature
    await writeFile(join(folder, 'vote.json'), JSON.stringify(signed))
    await fixture.advanceTime(daoTimes.votingDelay + 1)
    await writeProfile({})
    const from = fixture.account('stranger')
    const vote = join(folder, 'vote.json')
    expect(await json('dao', 'submit-vote', vote, '--from', from, '--yes')).toMatchObject({
      outcome: 'sent',
      by: expect.any(String),
    })
  })

  test('takes apps and approvals by name and first digits, and refuses ambiguous ones', async () => {
    const [one, two] = [`0x${'ce'.repeat(31)}01`, `0x${'ce'.repeat(31)}02`] as const
    await fixture.decide('dao approve', { kind: 'os-image', ids: [one, two] })
    const both = await assent('dao', 'approvals', 'os-image', 'cececece', '--json')
    expect(both.exitCode).toBe(2)
    expect(JSON.parse(both.text).error).toMatchObject({
      code: 'NAME_AMBIGUOUS',
      facts: { candidates: [one, two], total: 2 },
    })
    await writeProfile({}, [`release-a = "${one}"`])
    const named = await json('dao', 'approvals', 'os-image', 'release-a')
    expect(named).toMatchObject({ id: one, state: 'active' })
    expect(await assent('dao', 'approvals', 'os-image', 'cece')).toMatchObject({ exitCode: 2 })

    const from = fixture.account('owner')
    const { app } = await json('app', 'create', '--from', from, '--yes')
    for (const text of [app, app.slice(2), app.slice(0, 10), app.slice(2, 10).toLowerCase()]) {
      expect((await json('app', 'status', '--app', text)).app.toLowerCase()).toBe(app.toLowerCase())
    }
    const missing = await assent('app', 'status')
    expect(missing.exitCode).toBe(2)
    expect(missing.text).toContain('--app')
  })

  test('asks no question without a terminal', async () => {
    const from = fixture.account('voter')
    expect(await assent('dao', 'delegate', 'self', '--from', from)).toMatchObject({
      exitCode: 2,
      text: expect.stringContaining('CONFIRMATION_MISSING'),
    })
  })

  test.each([
    ['an endpoint that does not answer', ['--rpc-url', 'http://127.0.0.1:1'], 3],
    ['an endpoint that is no URL', ['--rpc-url', 'localhost'], 2],
    ['a profile that is not in the file', ['--profile', 'other'], 2],
    ['a folder without a record', ['--deployments', '/nowhere'], 2],
    ['an unknown option', ['--governer', '0x'], 2],
    ['a governor that is no contract', ['--governor', `0x${'12'.repeat(20)}`], 2],
  ])('exits with the right code for %s', async (_, wrong, exitCode) => {
    const silent = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    expect((await assent('dao', 'show', ...wrong)).exitCode).toBe(exitCode)
    silent.mockRestore()
  })

  test.each([
    ['an unknown key', 'rpcUrl = "x"', 'rpcUrl'],
    ['a private key', '[profiles.local.account]\nkey = "0xc0ffee"', 'account'],
    ['a table that is not TOML', '[profiles.local', 'line 1'],
    [
      'a signer on another host without https',
      '[profiles.local.account]\nsigner = "http://192.0.2.1"',
      'https',
    ],
    ['more bytes than a project file has', `# ${'x'.repeat(1 << 16)}`, 'bytes'],
  ])('refuses a project file with %s', async (_, content, message) => {
    await writeFile(join(folder, 'assent.toml'), content)
    const { text, exitCode } = await assent('dao', 'show')

    expect(exitCode).toBe(2)
    expect(text).toMatch(/^CONFIG_INVALID/)
    expect(text).toContain(message)
    expect(text).not.toContain('c0ffee')
  })
})
