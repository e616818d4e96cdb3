import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { parseQuote } from '../../src/quote/parse.ts'
import { createConfigfsSource, kernelFolder, type ReportFolder } from '../../src/tee/configfs.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'

const reportData = new Uint8Array(64).fill(6)
const cvm = createSimulator({ at: Date.parse('2026-08-20T12:00:00Z') / 1000 })
  .createPlatform()
  .createCvm({ image: createImage(), compose: '{}' })

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'assent-tsm-'))
})
afterEach(() => rmSync(root, { recursive: true }))

/**
 * A kernel on real files: attributes appear with the folder and go with it, a write counts one generation
 * up, the quote is made when it is read.
 */
function fakeKernel(overrides: Partial<ReportFolder> = {}, provider = 'tdx_guest'): ReportFolder {
  const files = kernelFolder(root)
  const path = (entry: string, attribute: string) => join(root, entry, attribute)
  return {
    async create(entry) {
      await files.create(entry)
      writeFileSync(path(entry, 'provider'), `${provider}\n`)
      writeFileSync(path(entry, 'generation'), '0\n')
      writeFileSync(path(entry, 'inblob'), '')
      writeFileSync(path(entry, 'outblob'), '')
    },
    async read(entry, attribute) {
      if (attribute === 'outblob') {
        const inblob = new Uint8Array(readFileSync(path(entry, 'inblob')))
        writeFileSync(path(entry, 'outblob'), cvm.quote(inblob, { padding: 3000 }))
      }
      return files.read(entry, attribute)
    },
    async write(entry, attribute, value) {
      await files.write(entry, attribute, value)
      writeFileSync(path(entry, 'generation'), `${generation(entry) + 1}\n`)
    },
    async remove(entry) {
      rmSync(join(root, entry), { recursive: true })
    },
    ...overrides,
  }
}

const generation = (entry: string) =>
  Number(readFileSync(join(root, entry, 'generation'), 'latin1'))

test('the configfs quote source asks the kernel for a quote and removes its entry', async () => {
  const source = createConfigfsSource({ folder: fakeKernel() })

  const evidence = await source.attest(reportData)

  expect(parseQuote(evidence.quote).report.reportData).toEqual(reportData)
  expect(evidence.eventLog).toBe('[]')
  expect(readdirSync(root)).toEqual([])
})

test('the configfs quote source adds values that the kernel does not know', async () => {
  const source = createConfigfsSource({
    folder: fakeKernel(),
    describe: async () => ({ eventLog: cvm.eventLog(), vmConfig: cvm.vmConfig }),
  })

  expect(await source.attest(reportData)).toMatchObject({ vmConfig: cvm.vmConfig })
})

test('the configfs quote source serves callers at the same time, each with an entry of its own', async () => {
  const source = createConfigfsSource({ folder: fakeKernel() })
  const wanted = [1, 2, 3, 4].map((value) => new Uint8Array(64).fill(value))

  const quotes = await Promise.all(wanted.map((data) => source.attest(data)))

  expect(quotes.map(({ quote }) => parseQuote(quote).report.reportData)).toEqual(wanted)
})

describe('the configfs quote source refuses', () => {
  const failing = (errno: string) => async () => {
    throw Object.assign(new Error(errno), { code: errno })
  }

  test('a kernel without configfs-tsm', async () => {
    const source = createConfigfsSource({ folder: kernelFolder(join(root, 'absent')) })

    await expect(source.attest(reportData)).rejects.toMatchObject({ code: 'TEE_UNAVAILABLE' })
  })

  test('a kernel that reports for another TEE', async () => {
    const source = createConfigfsSource({ folder: fakeKernel({}, 'sev_guest') })

    await expect(source.attest(reportData)).rejects.toMatchObject({
      code: 'TEE_UNAVAILABLE',
      facts: { provider: 'sev_guest' },
    })
  })

  test('a quote with lines that another process wrote', async () => {
    const kernel = fakeKernel()
    const source = createConfigfsSource({
      folder: {
        ...kernel,
        async write(entry, attribute, value) {
          await kernel.write(entry, attribute, value)
          await kernel.write(entry, attribute, value)
        },
      },
    })

    await expect(source.attest(reportData)).rejects.toMatchObject({ code: 'TEE_CONCURRENT_USE' })
    expect(readdirSync(root)).toEqual([])
  })

  test('a quote over other report data', async () => {
    const kernel = fakeKernel()
    const source = createConfigfsSource({
      folder: {
        ...kernel,
        write: (entry, attribute) => kernel.write(entry, attribute, new Uint8Array(64)),
      },
    })

    await expect(source.attest(reportData)).rejects.toMatchObject({
      code: 'TEE_REPORT_DATA_MISMATCH',
    })
  })

  test.each([
    ['EINVAL', 'TEE_REFUSED'],
    ['EIO', 'TEE_REFUSED'],
    ['ETIMEDOUT', 'TEE_TIMEOUT'],
    ['EACCES', 'TEE_UNAVAILABLE'],
  ])('%s from the kernel as %s', async (errno, code) => {
    const source = createConfigfsSource({ folder: fakeKernel({ write: failing(errno) }) })

    await expect(source.attest(reportData)).rejects.toMatchObject({ code })
    expect(readdirSync(root)).toEqual([])
  })

  test('an endless wait for the kernel', async () => {
    const source = createConfigfsSource({
      folder: fakeKernel({ write: () => new Promise(() => {}) }),
      timeoutMs: 20,
    })

    await expect(source.attest(reportData)).rejects.toMatchObject({ code: 'TEE_TIMEOUT' })
  })

  test('an attribute of unlimited size', async () => {
    mkdirSync(join(root, 'entry'))
    writeFileSync(join(root, 'entry', 'outblob'), new Uint8Array(200_000))

    await expect(kernelFolder(root).read('entry', 'outblob')).rejects.toMatchObject({
      code: 'TEE_ANSWER_INVALID',
    })
  })
})
