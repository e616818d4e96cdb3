/** The whole way of a decision, by the tasks alone, against a live node. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { getAddress, keccak256, sha256, toBytes } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { addOsImageHash, readState } from '../../src/chain/registry.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { findAnvil } from '../anvil.ts'
import { daoTimes } from '../chain/dao.ts'
import { createTaskFixture, type TaskFixture } from './fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests of the tasks are SKIPPED. ***\n')

const manifest = '{"name":"demo","runner":"docker-compose"}'
const compose = sha256(toBytes(manifest))
const image: Hex = `0x${'a1'.repeat(32)}`
const device: Hex = `0x${'d1'.repeat(32)}`
const evidence = {
  source: { repository: 'https://example.org/app.git', commit: 'ab'.repeat(20) },
  recipe: 'make image',
}

let world: TaskFixture

describe.skipIf(absent)('the tasks', () => {
  beforeAll(async () => {
    world = await createTaskFixture()
  })

  afterAll(() => world?.stop())

  function file(name: string): string {
    return join(world.folder, name)
  }

  async function write(name: string, value: unknown): Promise<string> {
    await writeFile(file(name), typeof value === 'string' ? value : JSON.stringify(value))
    return file(name)
  }

  function stateOfImage() {
    const { addresses, people } = world
    return readState(people.stranger.publicClient, addresses.kmsAuth, 'osImage', image)
  }

  test('approve an image by a vote, on evidence that anyone finds again', async () => {
    const document = await write('evidence.json', evidence)
    const proposing = { kind: 'os-image', ids: [image], evidence: document }
    const { text, value } = await world.run('approve', {
      ...proposing,
      from: world.account('voter'),
      reason: 'It is the first.',
      yes: true,
    })
    expect(text).toContain('approve base image')
    expect(text).toContain('https://example.org/app.git at abab')
    expect(text).toContain('It is the first.')
    expect(text).toContain(`#proposer=${world.account('voter').toLowerCase()}`)
    const proposal = String(value.proposalId)

    expect(
      await world.refused('queue', { proposal, from: world.account('voter'), yes: true }),
    ).toBe('PROPOSAL_STATE_WRONG')
    expect(
      await world.refused('vote', {
        proposal,
        support: 'for',
        from: world.account('voter'),
        yes: true,
      }),
    ).toBe('PROPOSAL_STATE_WRONG')
    await world.pass(daoTimes.votingDelay + 1)
    expect(
      await world.refused('vote', {
        proposal,
        support: 'for',
        from: world.account('stranger'),
        yes: true,
      }),
    ).toBe('VOTES_TOO_FEW')
    await world.run('vote', { proposal, support: 'for', from: world.account('voter'), yes: true })
    expect(
      await world.refused('vote', {
        proposal,
        support: 'against',
        from: world.account('voter'),
        yes: true,
      }),
    ).toBe('PROPOSAL_STATE_WRONG')
    await world.pass(daoTimes.votingPeriod + 1)
    await world.run('queue', { proposal, from: world.account('stranger'), yes: true })
    expect(
      await world.refused('execute', { proposal, from: world.account('stranger'), yes: true }),
    ).toBe('PROPOSAL_STATE_WRONG')
    expect(await stateOfImage()).toBe('none')
    await world.pass(daoTimes.timelockDelay + 1)
    const executed = await world.run('execute', {
      proposal,
      from: world.account('stranger'),
      yes: true,
    })

    expect(executed.value.state).toBe('executed')
    expect(await stateOfImage()).toBe('active')
    const shown = await world.run('show', { kind: 'os-image', id: image })
    const bytes = JSON.stringify({ source: evidence.source, recipe: evidence.recipe })
    expect(shown.value).toMatchObject({
      state: 'active',
      evidenceDigest: keccak256(toBytes(bytes)),
    })
    expect(shown.text).toContain('https://example.org/app.git')
    const told = await world.run('proposal', { proposal })
    expect(told.text).toContain('It is the first.')
    expect(told.value).toMatchObject({ state: 'executed', proposer: expect.any(String) })
  })

  test('let the guardian suspend at once, and only the DAO lift', async () => {
    const things = { kind: 'os-image', ids: [image], yes: true }
    expect(await world.refused('suspend', { ...things, from: world.account('stranger') })).toBe(
      'AUTHORITY_MISSING',
    )
    await world.run('suspend', { ...things, from: world.account('guardian') })
    expect(await stateOfImage()).toBe('suspended')
    expect(await world.refused('lift', { ...things, from: world.account('guardian') })).toBe(
      // the DAO may, but the guardian has no votes to propose with
      'VOTES_TOO_FEW',
    )
    expect(
      await world.refused('lift', { ...things, from: world.account('guardian'), via: 'send' }),
    ).toBe('AUTHORITY_MISSING')

    await world.decide('lift', { kind: 'os-image', ids: [image] })

    expect(await stateOfImage()).toBe('active')
  })

  test('propose image, KMS, devices and an app’s release as one decision', async () => {
    const { value } = await world.run('create-app', { from: world.account('owner'), yes: true })
    const app = value.app as Hex
    await world.run('transfer-ownership', {
      contract: app,
      to: world.addresses.timelock,
      from: world.account('owner'),
      yes: true,
    })
    await world.decide('accept-ownership', { contract: app })
    await write('app-compose.json', manifest)
    const list = await write('release.json', {
      title: 'Release 1',
      reason: 'It mends the first.',
      approve: [
        { kind: 'os-image', id: `0x${'a2'.repeat(32)}`, evidence },
        { kind: 'kms-measurement', id: `0x${'b2'.repeat(32)}`, expiresAt: '2099-01-01T00:00:00Z' },
        { kind: 'kms-device', id: device },
        { kind: 'release', app, manifestFile: 'app-compose.json', evidence },
        { kind: 'device', app, id: device },
      ],
    })

    await world.decide('approve-list', { file: list })

    const shown = await world.run('show-app', { app })
    expect(shown.value).toMatchObject({
      releases: [{ id: compose, state: 'active' }],
      devices: [{ id: device, state: 'active' }],
    })
    const kms = await world.run('show', { kind: 'kms-measurement' })
    expect(kms.value.things).toMatchObject([{ state: 'active', expiresAt: 4070908800 }])
    expect((await world.run('proposals')).text).toContain('executed')
  })

  test('refuse a manifest that is not what would be approved', async () => {
    const list = await write('wrong.json', {
      approve: [{ kind: 'os-image', id: image, manifestFile: 'app-compose.json', evidence }],
    })
    expect(await world.refused('approve-list', { file: list })).toBe('EVIDENCE_INVALID')
    const document = await write('evidence.json', { ...evidence, branch: 'main' })
    const approving = { kind: 'os-image', ids: [image], evidence: document }
    expect(await world.refused('approve', approving)).toBe('EVIDENCE_INVALID')
  })

  test('collect drafts and propose them together', async () => {
    const draft = file('draft.json')
    await world.run('withdraw', { kind: 'os-image', ids: [image], draft })
    await world.run('set-gateway', { id: 'gateway', draft })

    await world.decide('propose', { file: draft, title: 'Both' })

    expect(await stateOfImage()).toBe('withdrawn')
    expect(await world.refused('propose', { file: file('none.json') })).toBe('FILE_UNREADABLE')
    const text = (await readFile(draft, 'utf8')).replace('31337', '1')
    const other = await write('other.json', text)
    expect(await world.refused('propose', { file: other })).toBe('DRAFT_INVALID')
  })

  test('propose in parts what is too much for one transaction', async () => {
    const draft = file('many.json')
    const calls = Array.from({ length: 200 }, (_, i) => ({
      ...addOsImageHash(world.addresses.kmsAuth, `0x${i.toString(16).padStart(64, 'e')}`),
      value: '0',
    }))
    const listed = calls.map(({ to, data, value }) => ({ to, data, value }))
    await write('many.json', { chainId: 31337, calls: listed })
    const { value } = await world.run('propose', {
      file: draft,
      title: 'Many',
      from: world.account('voter'),
      dryRun: true,
    })
    const texts = (value.proposals as { description: string }[]).map(
      ({ description }) => description,
    )

    expect(texts.map((text) => text.split('\n', 1)[0])).toEqual([
      '# Many (part 1 of 2)',
      '# Many (part 2 of 2)',
    ])
    expect(texts.join('\n').match(/approve base image 0x/g)).toHaveLength(200)
  })

  test('take a signed vote from whoever brings it', async () => {
    const { value } = await world.run('revoke', {
      kind: 'os-image',
      ids: [image],
      from: world.account('voter'),
      yes: true,
    })
    const proposal = String(value.proposalId)
    const signed = file('vote.json')
    await world.run('sign-vote', {
      proposal,
      support: 'for',
      from: world.account('voter'),
      out: signed,
      yes: true,
    })
    await world.pass(daoTimes.votingDelay + 1)
    const forged = JSON.parse(await readFile(signed, 'utf8'))
    const other = await write('forged.json', { ...forged, support: 'against' })
    expect(
      await world.refused('submit-vote', {
        file: other,
        from: world.account('stranger'),
        yes: true,
      }),
    ).toBe('SIGNATURE_INVALID')

    await world.run('submit-vote', { file: signed, from: world.account('stranger'), yes: true })

    const told = await world.run('proposal', { proposal, json: true })
    const { votes } = JSON.parse(told.text)
    expect(votes).toMatchObject({ for: '1000000000000000000000', against: '0' })
    expect(
      await world.refused('cancel', { proposal, from: world.account('stranger'), yes: true }),
    ).toBe('AUTHORITY_MISSING')
    const cancelled = await world.run('cancel', {
      proposal,
      from: world.account('guardian'),
      yes: true,
    })
    expect(cancelled.value.state).toBe('canceled')
  })

  test('give an app to a DAO of its own, where its people decide', async () => {
    const owner = { from: world.account('owner'), yes: true }
    const guardian = world.account('guardian')
    const half = { ...owner, guardian }
    expect(await world.refused('create-app', half)).toBe('USAGE_INVALID')
    const others = { ...half, suspension: '2h', owner: world.account('voter') }
    expect(await world.refused('create-app', others)).toBe('USAGE_INVALID')
    const { value: created } = await world.run('create-app', { ...half, suspension: '2h' })
    const app = created.app as Hex
    const { value: guarded } = await world.run('show-app', { app })
    expect(guarded).toMatchObject({ guardian: getAddress(guardian), suspension: 7_200 })
    const rules = await write('app-dao.json', {
      token: { name: 'App', symbol: 'APP', holder: world.account('owner'), supply: '10' },
      votingDelay: '10s',
      votingPeriod: '100s',
      lateQuorumExtension: '10s',
      proposalThreshold: '1',
      quorumPercent: 20,
      timelockDelay: '50s',
      guardian: 'nobody',
      suspension: '1h',
    })
    const { value: dao } = await world.run('create-dao', { file: rules, app, ...owner })
    const governor = dao.governor as Hex
    const change = { app, any: 'yes', governor, ...owner }
    expect(await world.refused('set-allow-any-device', change)).toBe('VOTES_TOO_FEW')
    await world.run('delegate', { to: 'self', governor, ...owner })
    // in the delegation's own block they do not count yet
    expect(await world.refused('set-allow-any-device', change)).toBe('VOTES_TOO_FEW')
    await world.run('advance-time', { time: '1s' })

    const { value, text } = await world.run('set-allow-any-device', change)
    expect(text).toContain('allow the app on any device')
    const proposal = String(value.proposalId)
    await world.pass(12)
    const voted = await world.run('vote', { proposal, support: 'for', governor, ...owner })
    expect(voted.text).toContain('governor of the app’s DAO')
    await world.pass(120)
    await world.run('queue', { proposal, governor, ...owner })
    await world.pass(60)
    const shown = await world.run('proposal', { proposal, governor })
    expect(shown.text).toMatch(/timelock +done/)
    await world.run('execute', { proposal, governor, ...owner })

    const { value: state, text: told } = await world.run('show-app', { app })
    expect(state).toMatchObject({ owner: dao.timelock, allowAnyDevice: true })
    expect(told).toContain('0 releases')
  })

  test('show that a superseded release is none any more', async () => {
    const owner = { from: world.account('owner'), yes: true }
    const first = await world.run('create-app', { release: `0x${'c1'.repeat(32)}`, ...owner })
    const app = first.value.app as Hex
    const second = await write('second.json', `${manifest} `)
    await world.run('approve-release', { app, manifest: second, ...owner })
    await world.run('supersede', { app, oldest: '2', ...owner })

    const { text } = await world.run('show-app', { app })
    expect(text).toMatch(/1 {2}0xc1.*superseded: no boot, no keys/)
    expect(text).toMatch(/2 {2}0x.*keys of epoch 1/)
  })

  test('propose the list of a release that the docs show', async () => {
    const { value } = await world.run('approve-list', {
      file: join(import.meta.dirname, '../../docs/examples/release.json'),
      from: world.account('voter'),
      dryRun: true,
    })
    expect(value.descriptions[0].effects).toHaveLength(4)
  })

  test('change how the DAO decides, and who its guardian is', async () => {
    const impossible = { votingPeriod: '0s', from: world.account('voter'), yes: true }
    expect(await world.refused('set-voting', impossible)).toBe('PROPOSAL_WOULD_FAIL')
    const voting = { quorum: '5', threshold: '2', lateExtension: '15s' }

    await world.decide('set-voting', voting)

    const { value } = await world.run('show-dao')
    expect(value).toMatchObject({ quorumPercent: 5, lateQuorumExtension: 15 })
    const guardian = { guardian: world.account('stranger'), suspension: '2h' }
    await world.decide('set-guardian', guardian)
    const shown = await world.run('show-guardian')
    expect(shown.value.guardian.toLowerCase()).toBe(world.account('stranger'))
    // the tests below have the guardian of before
    await world.decide('set-guardian', { guardian: world.account('guardian'), suspension: '1d' })
  })

  test('show the guardian and what he suspended', async () => {
    const id: Hex = `0x${'a7'.repeat(32)}`
    await world.decide('approve', { kind: 'os-image', ids: [id] })
    await world.run('suspend', {
      kind: 'os-image',
      ids: [id],
      from: world.account('guardian'),
      yes: true,
    })

    const { value, text } = await world.run('show-guardian')

    expect(value.guardian.toLowerCase()).toBe(world.account('guardian'))
    expect(value.suspended).toMatchObject([{ kind: 'os-image', id }])
    expect(text).toContain(`os-image ${id}  suspended until`)
  })
})
