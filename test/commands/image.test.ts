/** The commands of the group image, on a live node. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { readEvidence } from '../../src/chain/governance/approval-evidence.ts'
import { to0x, toHex } from '../../src/lib/bytes.ts'
import { createImage, startImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../anvil.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests of image commands are SKIPPED. ***\n')

const image = createImage({ name: 'test-image' })
const osImageHash = to0x(image.osImageHash)
const evidence = {
  source: { repository: 'https://example.org/image.git', commit: 'ab'.repeat(20) },
  recipe: 'make image',
}

let fixture: TaskFixture
let folder: string

describe.skipIf(absent)('the commands of base images', () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
    folder = await mkdtemp(join(tmpdir(), 'assent-image-'))
    await mkdir(join(folder, 'image'))
    await writeFile(join(folder, 'image/sha256sum.txt'), image.checksumFile)
    await writeFile(join(folder, 'evidence.json'), JSON.stringify(evidence))
    const cvm = createSimulator().createPlatform().createCvm({ image, compose: '{}' })
    const quote = { quote: toHex(cvm.quote(new Uint8Array(64))) }
    await writeFile(join(folder, 'quote.json'), JSON.stringify(quote))
  }, 120_000)
  afterAll(async () => {
    await fixture?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const file = (name: string) => join(folder, name)
  const boot = startImage(image)
  const registers = `0x${[boot.mrTd, boot.rtmr0, boot.rtmr1, boot.rtmr2].map(toHex).join('')}`

  test('one proposal approves an image with its name and measurements, and closes it', async () => {
    expect((await fixture.run('image list')).value).toMatchObject({ total: 0, images: [] })

    const proposal = await fixture.decide('image approve', {
      image: file('image'),
      name: 'dstack-0.6.0',
      like: file('quote.json'),
      registers: `${registers},0x${'22'.repeat(192)}`,
      evidence: file('evidence.json'),
      close: true,
    })

    const listed = await fixture.run('image list')
    expect(listed.value).toMatchObject({
      total: 1,
      images: [
        { osImageHash, name: 'dstack-0.6.0', isClosed: true, state: 'active', activeSets: 2 },
      ],
    })
    expect(listed.text).toContain('closed: 2 active measurement sets')
    const shown = await fixture.run('image status', { image: 'dstack-0.6.0' })
    expect(shown.value).toMatchObject({
      osImageHash,
      measurementSets: [
        { variant: 'tdx', state: 'active' },
        { variant: 'tdx', state: 'active' },
      ],
    })
    expect((await fixture.run('dao proposal', { proposal, quick: true })).value.state).toBe(
      'executed',
    )
  })

  test('the checksum file of the image is published as the manifest of the evidence', async () => {
    const { value } = await fixture.run('dao approvals', { kind: 'os-image', id: osImageHash })
    const { manifest } = readEvidence(value.evidence) ?? {}

    expect(`0x${createHash('sha256').update(String(manifest)).digest('hex')}`).toBe(osImageHash)
  })

  test('status warns if a closed image has no active measurement set', async () => {
    const other = `0x${'a7'.repeat(32)}`
    await fixture.decide('image approve', { image: other, close: true })

    const { text, value } = await fixture.run('image status', { image: 'a7a7a7' })

    expect(text).toContain('no measurement set is active')
    expect(value).toMatchObject({ isClosed: true, name: '', measurementSets: [] })
  })

  test('an image that was never approved is shown as such', async () => {
    const { value } = await fixture.run('image status', { image: '0b'.repeat(32) })

    expect(value).toMatchObject({ state: 'none', isClosed: false, measurementSets: [] })
  })

  test.each([
    ['a folder without a checksum file', { image: 'missing' }, 'FILE_UNREADABLE'],
    ['registers of another length', { registers: '0x1234' }, 'PROPOSAL_WOULD_FAIL'],
    ['registers that are not hexadecimal', { registers: 'zz' }, 'HEX_INVALID'],
    ['a missing quote', { like: 'missing.bin' }, 'FILE_UNREADABLE'],
    ['a quote for another variant', { like: 'q', variant: 'amd-sev-snp' }, 'USAGE_INVALID'],
    ['another variant', { variant: 'sgx' }, 'USAGE_INVALID'],
    ['a time that is none', { expiresAt: 'tomorrow' }, 'USAGE_INVALID'],
  ])('approve refuses %s', async (_, args, code) => {
    const given = { image: 'b1'.repeat(32), from: fixture.account('voter'), yes: true, ...args }

    expect(await fixture.refused('image approve', given)).toBe(code)
  })

  test('approve refuses evidence about another image', async () => {
    await writeFile(file('wrong.json'), JSON.stringify({ ...evidence, manifest: 'other' }))
    const args = { image: file('image'), evidence: file('wrong.json'), yes: true }

    expect(
      await fixture.refused('image approve', { ...args, from: fixture.account('voter') }),
    ).toBe('EVIDENCE_INVALID')
  })

  test('list and status refuse wrong input', async () => {
    expect(await fixture.refused('image list', { limit: 'all' })).toBe('USAGE_INVALID')
    expect(await fixture.refused('image status', { image: 'no-such-image' })).toBe('NAME_UNKNOWN')
  })
})
