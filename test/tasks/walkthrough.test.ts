/** Complete decisions with the tasks alone, on a live node; follows docs/governance.md. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { getAddress, keccak256, sha256, toBytes } from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { addOsImageHash, readState } from '../../src/chain/registries/registry.ts'
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

let fixture: TaskFixture

describe.skipIf(absent)('the tasks', () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
  })

  afterAll(() => fixture?.stop())

  function file(name: string): string {
    return join(fixture.folder, name)
  }

  async function write(name: string, value: unknown): Promise<string> {
    await writeFile(file(name), typeof value === 'string' ? value : JSON.stringify(value))
    return file(name)
  }

  function stateOfImage() {
    const { addresses, people } = fixture
    return readState(people.stranger.publicClient, addresses.kmsAuth, 'osImage', image)
  }

  test('a vote approves a base image with evidence that show finds again', async () => {
    const document = await write('evidence.json', evidence)
    const proposing = { kind: 'os-image', ids: [image], evidence: document }
    const { text, value } = await fixture.run('dao approve', {
      ...proposing,
      from: fixture.account('voter'),
      reason: 'It is the first.',
      yes: true,
    })
    expect(text).toContain('approve base image')
    expect(text).toContain('https://example.org/app.git at abab')
    expect(text).toContain('It is the first.')
    expect(text).toContain(`#proposer=${fixture.account('voter').toLowerCase()}`)
    const proposal = String(value.proposals[0].id)

    expect(
      await fixture.refused('dao queue', { proposal, from: fixture.account('voter'), yes: true }),
    ).toBe('PROPOSAL_STATE_WRONG')
    expect(
      await fixture.refused('dao vote', {
        proposal,
        support: 'for',
        from: fixture.account('voter'),
        yes: true,
      }),
    ).toBe('PROPOSAL_STATE_WRONG')
    await fixture.advanceTime(daoTimes.votingDelay + 1)
    expect(
      await fixture.refused('dao vote', {
        proposal,
        support: 'for',
        from: fixture.account('stranger'),
        yes: true,
      }),
    ).toBe('VOTES_TOO_FEW')
    await fixture.run('dao vote', {
      proposal,
      support: 'for',
      from: fixture.account('voter'),
      yes: true,
    })
    expect(
      await fixture.refused('dao vote', {
        proposal,
        support: 'against',
        from: fixture.account('voter'),
        yes: true,
      }),
    ).toBe('PROPOSAL_STATE_WRONG')
    await fixture.advanceTime(daoTimes.votingPeriod + 1)
    await fixture.run('dao queue', { proposal, from: fixture.account('stranger'), yes: true })
    expect(
      await fixture.refused('dao execute', {
        proposal,
        from: fixture.account('stranger'),
        yes: true,
      }),
    ).toBe('PROPOSAL_STATE_WRONG')
    expect(await stateOfImage()).toBe('none')
    await fixture.advanceTime(daoTimes.timelockDelay + 1)
    const executed = await fixture.run('dao execute', {
      proposal,
      from: fixture.account('stranger'),
      yes: true,
    })

    expect(executed.value.state).toBe('executed')
    expect(await stateOfImage()).toBe('active')
    const shown = await fixture.run('dao approvals', { kind: 'os-image', id: image })
    const bytes = JSON.stringify({ source: evidence.source, recipe: evidence.recipe })
    expect(shown.value).toMatchObject({
      state: 'active',
      evidenceDigest: keccak256(toBytes(bytes)),
    })
    expect(shown.text).toContain('https://example.org/app.git')
    const decided = await fixture.run('dao proposal', { proposal })
    expect(decided.text).toContain('It is the first.')
    expect(decided.value).toMatchObject({ state: 'executed', proposer: expect.any(String) })
  })

  test('the guardian suspends immediately, and only the DAO lifts the suspension', async () => {
    const things = { kind: 'os-image', ids: [image], yes: true }
    expect(
      await fixture.refused('dao guardian suspend', {
        ...things,
        from: fixture.account('stranger'),
      }),
    ).toBe('AUTHORITY_MISSING')
    await fixture.run('dao guardian suspend', { ...things, from: fixture.account('guardian') })
    expect(await stateOfImage()).toBe('suspended')
    expect(
      await fixture.refused('dao guardian lift', { ...things, from: fixture.account('guardian') }),
    ).toBe(
      // the DAO may, but the guardian has no votes to propose with
      'VOTES_TOO_FEW',
    )
    expect(
      await fixture.refused('dao guardian lift', {
        ...things,
        from: fixture.account('guardian'),
        via: 'send',
      }),
    ).toBe('AUTHORITY_MISSING')

    await fixture.decide('dao guardian lift', { kind: 'os-image', ids: [image] })

    expect(await stateOfImage()).toBe('active')
  })

  test('approve-list proposes image, KMS, devices and an app’s release together', async () => {
    const owner = { from: fixture.account('owner'), yes: true }
    const { value, text } = await fixture.run('app create', owner)
    const app = value.app as Hex
    expect(text).toContain('The app has no guardian')
    expect(text).toContain(`assent app guardian GUARDIAN --suspension 14d --app ${app}`)
    await fixture.run('app transfer-ownership', {
      app,
      to: fixture.addresses.timelock,
      from: fixture.account('owner'),
      yes: true,
    })
    await fixture.decide('app accept-ownership', { app })
    await write('app-compose.json', manifest)
    const list = await write('release.json', {
      title: 'Release 1',
      reason: 'It fixes the first.',
      approve: [
        { kind: 'os-image', id: `0x${'a2'.repeat(32)}`, evidence },
        { kind: 'kms-measurement', id: `0x${'b2'.repeat(32)}`, expiresAt: '2099-01-01T00:00:00Z' },
        { kind: 'kms-device', id: device },
        { kind: 'release', app, manifestFile: 'app-compose.json', evidence },
        { kind: 'device', app, id: device },
      ],
    })

    await fixture.decide('dao approve-list', { file: list })

    const shown = await fixture.run('app status', { app })
    expect(shown.value).toMatchObject({
      releases: [{ id: compose, state: 'active' }],
      devices: [{ id: device, state: 'active' }],
    })
    const kms = await fixture.run('dao approvals', { kind: 'kms-measurement' })
    expect(kms.value.approvals).toMatchObject([{ state: 'active', expiresAt: 4070908800 }])
    expect((await fixture.run('dao proposals')).text).toContain('executed')
  })

  test('dao proposals takes at most twelve requests for each proposal of its page', async () => {
    const { provider } = await fixture.hre.network.getOrCreate()
    const requests = vi.spyOn(provider, 'request')
    const count = async (limit: string) => {
      requests.mockClear()
      const { value } = await fixture.run('dao proposals', { limit })
      expect(value.proposals).toHaveLength(Number(limit))
      return requests.mock.calls.length
    }
    const [one, three] = [await count('1'), await count('3')]
    requests.mockRestore()

    expect(one).toBeLessThanOrEqual(12 + 20)
    expect(three - one).toBeLessThanOrEqual(2 * 12)
  })

  test('a manifest with another hash than the approved id is refused', async () => {
    const list = await write('wrong.json', {
      approve: [{ kind: 'os-image', id: image, manifestFile: 'app-compose.json', evidence }],
    })
    expect(await fixture.refused('dao approve-list', { file: list })).toBe('EVIDENCE_INVALID')
    const document = await write('evidence.json', { ...evidence, branch: 'main' })
    const approving = { kind: 'os-image', ids: [image], evidence: document }
    expect(await fixture.refused('dao approve', approving)).toBe('EVIDENCE_INVALID')
  })

  test('a draft collects calls that propose submits together', async () => {
    const draft = file('draft.json')
    await fixture.run('dao withdraw', { kind: 'os-image', ids: [image], draft })
    await fixture.run('kms set-gateway', { id: 'gateway', draft })

    await fixture.decide('dao propose', { file: draft, title: 'Both' })

    expect(await stateOfImage()).toBe('withdrawn')
    expect(await fixture.refused('dao propose', { file: file('none.json') })).toBe(
      'FILE_UNREADABLE',
    )
    const text = (await readFile(draft, 'utf8')).replace('31337', '1')
    const other = await write('other.json', text)
    expect(await fixture.refused('dao propose', { file: other })).toBe('DRAFT_INVALID')
  })

  test('too many calls for one transaction become several proposals', async () => {
    const draft = file('many.json')
    const calls = Array.from({ length: 200 }, (_, i) => ({
      ...addOsImageHash(fixture.addresses.kmsAuth, `0x${i.toString(16).padStart(64, 'e')}`),
      value: '0',
    }))
    const listed = calls.map(({ to, data, value }) => ({ to, data, value }))
    await write('many.json', { chainId: 31337, calls: listed })
    const { value } = await fixture.run('dao propose', {
      file: draft,
      title: 'Many',
      from: fixture.account('voter'),
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

  test('anyone can submit a signed vote, and a forged one is refused', async () => {
    const { value } = await fixture.run('dao revoke', {
      kind: 'os-image',
      ids: [image],
      from: fixture.account('voter'),
      yes: true,
    })
    const proposal = String(value.proposals[0].id)
    const signed = file('vote.json')
    await fixture.run('dao sign-vote', {
      proposal,
      support: 'for',
      from: fixture.account('voter'),
      out: signed,
      yes: true,
    })
    await fixture.advanceTime(daoTimes.votingDelay + 1)
    const forged = JSON.parse(await readFile(signed, 'utf8'))
    const other = await write('forged.json', { ...forged, support: 'against' })
    expect(
      await fixture.refused('dao submit-vote', {
        file: other,
        from: fixture.account('stranger'),
        yes: true,
      }),
    ).toBe('SIGNATURE_INVALID')

    await fixture.run('dao submit-vote', {
      file: signed,
      from: fixture.account('stranger'),
      yes: true,
    })

    const shown = await fixture.run('dao proposal', { proposal, json: true })
    const { votes } = JSON.parse(shown.text)
    expect(votes).toMatchObject({ for: '1000000000000000000000', against: '0' })
    expect(
      await fixture.refused('dao cancel', {
        proposal,
        from: fixture.account('stranger'),
        yes: true,
      }),
    ).toBe('AUTHORITY_MISSING')
    const cancelled = await fixture.run('dao cancel', {
      proposal,
      from: fixture.account('guardian'),
      yes: true,
    })
    expect(cancelled.value.state).toBe('canceled')
  })

  test('create-dao transfers an app to its own DAO, which then decides', async () => {
    const owner = { from: fixture.account('owner'), yes: true }
    const guardian = fixture.account('guardian')
    const half = { ...owner, guardian }
    expect(await fixture.refused('app create', half)).toBe('USAGE_INVALID')
    const others = { ...half, suspension: '2h', owner: fixture.account('voter') }
    expect(await fixture.refused('app create', others)).toBe('USAGE_INVALID')
    const { value: created, text: said } = await fixture.run('app create', {
      ...half,
      suspension: '2h',
    })
    const app = created.app as Hex
    expect(said).not.toContain('no guardian')
    const { value: guarded } = await fixture.run('app status', { app })
    expect(guarded).toMatchObject({ guardian: getAddress(guardian), suspension: 7_200 })
    const rules = await write('app-dao.json', {
      token: { name: 'App', symbol: 'APP', holder: fixture.account('owner'), supply: '10' },
      votingDelay: '10s',
      votingPeriod: '100s',
      lateQuorumExtension: '10s',
      proposalThreshold: '1',
      quorumPercent: 20,
      timelockDelay: '50s',
      guardian: 'nobody',
      suspension: '1h',
    })
    const {
      value: { dao },
    } = await fixture.run('dao create', { file: rules, app, ...owner })
    const governor = dao.governor as Hex
    const change = { app, rule: 'any', governor, ...owner }
    expect(await fixture.refused('app devices', change)).toBe('VOTES_TOO_FEW')
    await fixture.run('dao delegate', { to: 'self', governor, ...owner })
    // in the delegation's own block they do not count yet
    expect(await fixture.refused('app devices', change)).toBe('VOTES_TOO_FEW')
    await fixture.run('simulate advance-time', { time: '1s' })

    const { value, text } = await fixture.run('app devices', change)
    expect(text).toContain('allow the app on any device')
    const proposal = String(value.proposals[0].id)
    await fixture.advanceTime(12)
    const voted = await fixture.run('dao vote', { proposal, support: 'for', governor, ...owner })
    expect(voted.text).toContain('governor of the app’s DAO')
    await fixture.advanceTime(120)
    await fixture.run('dao queue', { proposal, governor, ...owner })
    await fixture.advanceTime(60)
    const shown = await fixture.run('dao proposal', { proposal, governor })
    expect(shown.text).toMatch(/timelock +done/)
    await fixture.run('dao execute', { proposal, governor, ...owner })

    const { value: state, text: status } = await fixture.run('app status', { app })
    expect(state).toMatchObject({ owner: dao.timelock, allowAnyDevice: true })
    expect(status).toContain('0 releases')
  })

  test('app status marks a superseded release', async () => {
    const owner = { from: fixture.account('owner'), yes: true }
    const first = await fixture.run('app create', { release: `0x${'c1'.repeat(32)}`, ...owner })
    const app = first.value.app as Hex
    const second = await write('second.json', `${manifest} `)
    await fixture.run('app release', { app, manifest: second, ...owner })
    await fixture.run('app supersede', { app, oldest: '2', ...owner })

    const { text } = await fixture.run('app status', { app })
    expect(text).toMatch(/1 {2}0xc1.*superseded since .*, no keys/)
    expect(text).toMatch(/2 {2}0x.*keys of epoch 1/)
  })

  test('the example file of the docs works with approve-list', async () => {
    const { value } = await fixture.run('dao approve-list', {
      file: join(import.meta.dirname, '../../docs/examples/approvals.json'),
      from: fixture.account('voter'),
      dryRun: true,
    })
    expect(value.descriptions[0].effects).toHaveLength(4)
  })

  test('the DAO changes its voting parameters and its guardian', async () => {
    const impossible = { votingPeriod: '0s', from: fixture.account('voter'), yes: true }
    expect(await fixture.refused('dao set-voting', impossible)).toBe('PROPOSAL_WOULD_FAIL')
    const voting = { quorum: '5', threshold: '2', lateExtension: '15s' }

    await fixture.decide('dao set-voting', voting)

    const { value } = await fixture.run('dao show')
    expect(value).toMatchObject({ quorumPercent: 5, lateQuorumExtension: 15 })
    const guardian = { guardian: fixture.account('stranger'), suspension: '2h' }
    await fixture.decide('dao guardian set', guardian)
    const shown = await fixture.run('dao guardian show')
    expect(shown.value.guardian.toLowerCase()).toBe(fixture.account('stranger'))
    // the tests below have the guardian of before
    await fixture.decide('dao guardian set', {
      guardian: fixture.account('guardian'),
      suspension: '1d',
    })
  })

  test('show-guardian lists the guardian and its suspensions', async () => {
    const id: Hex = `0x${'a7'.repeat(32)}`
    await fixture.decide('dao approve', { kind: 'os-image', ids: [id] })
    await fixture.run('dao guardian suspend', {
      kind: 'os-image',
      ids: [id],
      from: fixture.account('guardian'),
      yes: true,
    })

    const { value, text } = await fixture.run('dao guardian show')

    expect(value.guardian.toLowerCase()).toBe(fixture.account('guardian'))
    expect(value.suspended).toMatchObject([{ kind: 'os-image', id }])
    expect(text).toContain(`os-image ${id}  suspended until`)
  })
})
