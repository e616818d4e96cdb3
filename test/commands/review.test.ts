/** What a voter runs: dao proposals, dao proposal, dao review and dao drill. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { sha256, toHex } from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import * as drill from '../../src/commands/dao/drill.ts'
import * as proposal from '../../src/commands/dao/proposal.ts'
import * as review from '../../src/commands/dao/review.ts'
import * as clearSigning from '../../src/commands/deployment/clear-signing.ts'
import * as verifySources from '../../src/commands/deployment/verify-sources.ts'
import { findAnvil } from '../anvil.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'
import { assent } from './run-command.ts'

const absent = findAnvil() === undefined
const image = `0x${'a1'.repeat(32)}`

let fixture: TaskFixture
let folder: string

const json = async (...args: string[]) => JSON.parse((await assent(...args, '--json')).text)

describe.skipIf(absent)('a voter', () => {
  let id: string

  beforeAll(async () => {
    fixture = await createTaskFixture()
    folder = await mkdtemp(join(tmpdir(), 'assent-review-'))
    vi.spyOn(process, 'cwd').mockReturnValue(folder)
    await writeFile(
      join(folder, 'assent.toml'),
      `[profiles.local]\nrpcUrls = ["${fixture.url}"]\ndeployments = "${fixture.folder}"\n`,
    )
    const from = fixture.account('voter')
    const made = await json('dao', 'approve', 'os-image', image, '--from', from, '--yes')
    id = made.proposals[0].id
  }, 120_000)
  afterAll(async () => {
    vi.restoreAllMocks()
    await fixture?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test('sees warnings, the execution and the changed storage of a proposal', async () => {
    const { text, exitCode } = await assent('dao', 'proposal', id.slice(0, 8))

    expect(exitCode).toBe(0)
    expect(text).toContain(`NO_EVIDENCE: Image ${image} is approved without evidence.`)
    expect(text).toContain('It succeeds')
    expect(text).toContain(`_approvals[0][${image}]: not approved → active`)
    expect(text).toContain('Assumed: The vote succeeds.')
  })

  test('is told before sending that an approval changes nothing', async () => {
    const from = fixture.account('voter')
    const draft = join(folder, 'twice.json')
    const add = ['dao', 'approve', 'kms-device', `0x${'c3'.repeat(32)}`, '--draft', draft]
    await assent(...add, '--from', from)
    await assent(...add, '--from', from)
    const propose = ['dao', 'propose', draft, '--from', from, '--dry-run'] as const
    const { text } = await assent(...propose)
    const { descriptions, proposals } = await json(...propose)

    const sentence = `KMS device 0x${'c3'.repeat(32)} is approved by the same terms earlier in this list`
    expect(text).toContain(`Changes nothing: ${sentence}.`)
    expect(descriptions.map(({ repeats }: { repeats: string[] }) => repeats)).toEqual([
      [],
      [sentence],
    ])
    expect(proposals[0].description).toContain(`these approvals changed nothing:\n\n- ${sentence}`)
  })

  test('is asked if a name of the profile was meant', async () => {
    const file = join(folder, 'assent.toml')
    const before = await readFile(file, 'utf8')
    await writeFile(file, `${before}[profiles.local.names]\nrelease-2 = "${id}"\n`)
    const { error } = await json('dao', 'proposal', 'relaese-2')
    await writeFile(file, before)

    expect(error).toMatchObject({ code: 'USAGE_INVALID', hint: 'Did you mean release-2?' })
  })

  test('gets the review as JSON with a schema, and none with --quick', async () => {
    const full = proposal.schema.parse(await json('dao', 'proposal', id))
    const quick = proposal.schema.parse(await json('dao', 'proposal', id, '--quick'))

    expect(full.review).toMatchObject({ proposal: id, execution: { succeeded: true } })
    expect(quick.review).toBeNull()
  })

  test('writes a report that a later run repeats byte for byte', async () => {
    const out = join(folder, 'review')
    const found = review.schema.parse(await json('dao', 'review', id, '--out', out))
    const block = found.review.block.number
    await fixture.advanceTime(5)
    const again = review.schema.parse(await json('dao', 'review', id, '--block', block))

    const bytes = await readFile(`${out}.json`)
    expect(sha256(toHex(bytes))).toBe(found.digest)
    expect(again.digest).toBe(found.digest)
    expect(await readFile(`${out}.md`, 'utf8')).toContain(found.digest)
  })

  test('reviews a draft that nobody proposed', async () => {
    const draft = join(folder, 'draft.json')
    const from = fixture.account('voter')
    await assent(
      'dao',
      'revoke',
      'os-image',
      `0x${'b2'.repeat(32)}`,
      '--draft',
      draft,
      '--from',
      from,
    )

    const found = review.schema.parse(await json('dao', 'review', draft))

    expect(found.review).toMatchObject({ proposal: null, execution: { succeeded: true } })
    expect(found.review.warnings.map(({ code }) => code)).toContain('IRREVERSIBLE')
  })

  test('drills an emergency', async () => {
    const { value } = await fixture.run('dao drill', {})
    expect(drill.schema.parse(JSON.parse(JSON.stringify(value))).approvals).toEqual([])
    const { text } = await assent('dao', 'drill')
    expect(text).toContain('There is no active approval for a drill.')
  })

  test('reads each call once in the text of a proposal', async () => {
    const { text } = await assent('dao', 'proposal', id)

    // the proposer's text, marked with |, can say it again
    const lines = text.split('\n').filter((line) => !line.startsWith('  |'))
    expect(lines.filter((line) => line.includes(`approve base image ${image}`))).toHaveLength(1)
  })

  test('gets the same review for a draft, a Safe batch and calldata, and the same calls for a timelock', async () => {
    const owner = fixture.addresses.timelock
    const from = fixture.account('voter')
    const block = String(await fixture.anvil.client.getBlockNumber())
    const until = String(Math.floor(Date.now() / 1000) + 30 * 86_400)
    const action = [
      ...['dao', 'approve', 'os-image', `0x${'c3'.repeat(32)}`],
      ...['--not-after', until, '--from', from, '--yes'],
    ]
    const reviewOf = async (file: string, ...form: string[]) => {
      expect((await json(...action, ...form, file)).error).toBeUndefined()
      return review.schema.parse(await json('dao', 'review', file, '--block', block))
    }
    const via = (form: string) =>
      reviewOf(join(folder, `${form}.json`), '--via', form, '--owner', owner, '--out')

    const draft = await reviewOf(join(folder, 'forms.json'), '--draft')
    const timelock = await via('timelock')

    expect((await via('safe')).digest).toBe(draft.digest)
    expect((await via('calldata')).digest).toBe(draft.digest)
    // a timelock keeps operations without end, so its calls begin with a deadline
    expect(timelock.review.calls[0]).toMatchObject({ functionName: 'requireNotAfter' })
    expect(timelock.review.calls.slice(1)).toEqual(draft.review.calls)
  })

  test('gets descriptors for a wallet with the addresses of the deployment', async () => {
    const out = join(folder, 'erc7730')
    const value = clearSigning.schema.parse(await json('deployment', 'clear-signing', '--out', out))
    const file = join(out, 'calldata-AssentGovernor.json')
    const { context } = JSON.parse(await readFile(file, 'utf8'))

    expect(value.files).toContain('eip712-Ballot.json')
    expect(context.contract.deployments).toEqual([
      {
        chainId: 31_337,
        address: expect.stringMatching(new RegExp(fixture.addresses.governor, 'i')),
      },
    ])
  })

  test('gets the files for Sourcify and Etherscan', async () => {
    const out = join(folder, 'verification')
    const value = verifySources.schema.parse(
      await json('deployment', 'verify-sources', '--out', out),
    )

    expect(value.others).toEqual([])
    expect(value.contracts.map(({ name }) => name)).toContain('kmsAuth')
    const body = JSON.parse(await readFile(join(out, 'governor.sourcify.json'), 'utf8'))
    expect(body.contractIdentifier).toContain('AssentGovernor.sol:AssentGovernor')
  }, 120_000)

  test.each([
    [['dao', 'proposal', '99999999'], 2, 'NAME_UNKNOWN'],
    [['dao', 'review', 'missing.json'], 2, 'USAGE_INVALID'],
    [['dao', 'review', '1', '--block', 'x'], 2, 'USAGE_INVALID'],
    [['dao', 'proposal', '1', '--manifest', '/nowhere'], 2, undefined],
    [['dao', 'drill', '--app', 'nobody'], 2, undefined],
    [['dao', 'review'], 2, undefined],
  ])('is refused with wrong input: %j', async (args, exitCode, code) => {
    const found = await assent(...args, '--json')
    expect(found.exitCode).toBe(exitCode)
    if (code !== undefined) expect(found.text).toContain(code)
  })
})
