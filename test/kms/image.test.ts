/** What the KMS image contains: the files that the KMS needs, and nothing of the other services or the simulator. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import {
  findPackageFolders,
  findReachable,
  kmsEntryPoints,
  listImageContents,
  writeImage,
} from '../../scripts/package/kms-image.ts'
import { fetchAppKeys } from '../../src/kms/client.ts'
import { runBootstrap, runCreateLog } from '../../src/kms/main.ts'
import { createMachine, type Machine } from './process-fixture.ts'

const root = join(import.meta.dirname, '../..')
const entries = kmsEntryPoints.map((entry) => join(root, 'src', `${entry}.ts`))
const foreign = /^src\/(relayer|auth|tee\/simulator|public|ethers)\/|\.sql$/
const foreignPackages =
  /^(@electric-sql|drizzle-orm|pg|ethers|hardhat|@nomicfoundation|@openzeppelin|solc)\b/

const neededByFew =
  /node_modules\/(viem|@chainsafe)\/|^src\/(log-verify|chain\/abi)|\/doctor\.ts$|\/light-client\.ts$/

/** Paths of all files that Node loads for this one. */
async function loadedBy(file: string): Promise<string[]> {
  const program = `
    const { registerHooks } = require('node:module')
    const load = (url, context, next) => { console.log(url); return next(url, context) }
    registerHooks({ load })
    import(${JSON.stringify(pathToFileURL(file).href)})`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program])
  return stdout.split('\n').flatMap((url) => (url.startsWith('file:') ? [fileURLToPath(url)] : []))
}

const namesOf = (files: readonly string[]) => files.map((file) => relative(root, file))

describe('the sources of the KMS', () => {
  test('import nothing from relayer, webhook or simulator', () => {
    const { files, packages } = findReachable(entries)

    expect(files.length).toBeGreaterThan(100)
    expect(namesOf(files).filter((file) => foreign.test(file))).toEqual([])
    expect(packages.filter((name) => foreignPackages.test(name))).toEqual([])
  })

  test('are searched with dynamic imports: the search finds that the whole command line reaches the relayer', () => {
    const { files, packages } = findReachable([join(root, 'src/cli/main.ts')])

    expect(namesOf(files)).toContain('src/relayer/service.ts')
    expect(packages).toContain('drizzle-orm')
  })

  test('name only files that the image has at that path', async () => {
    const { files } = findReachable(entries)
    const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')))
    const naming = namesOf(files.filter((_, index) => texts[index]?.includes('import.meta.')))

    // package.json, and the entry point of a worker
    expect(naming).toEqual(['src/cli/program.ts', 'src/kms/workers/pool.ts'])
  })

  test('load viem, the light client and the tools only where they are used', async () => {
    const loaded = await loadedBy(join(root, 'src/commands/kms/run.ts'))

    expect(namesOf(loaded)).toContain('src/kms/service.ts')
    expect(namesOf(loaded).filter((file) => neededByFew.test(file))).toEqual([])
  })

  test('need no package that only another service uses', () => {
    const folders = findPackageFolders(findReachable(entries).packages)

    expect(folders).toContain('node_modules/viem')
    const names = folders.map((folder) => folder.replace(/^.*node_modules\//, ''))
    expect(names.filter((name) => foreignPackages.test(name))).toEqual([])
  })
})

test('the Dockerfile copies into the image only what scripts/package/kms-image.ts wrote', async () => {
  const dockerfile = await readFile(join(root, 'deploy/kms/Dockerfile'), 'utf8')
  const [, build = '', image = ''] = dockerfile.split(/^FROM .*$/m)

  expect(build).toContain('node scripts/package/kms-image.ts /image')
  expect(image.match(/^(COPY|ADD|RUN) .*$/gm)).toEqual(['COPY --from=build /image ./'])
  expect(image).toContain('ENTRYPOINT ["node", "/opt/assent/dist/cli/kms-image.js"]')
})

// `npm test` builds first; a single run of this file needs `npm run build`
describe.skipIf(!existsSync(join(root, 'dist/cli/kms-image.js')))('the image', () => {
  let folder: string
  let machine: Machine

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kms-image-'))
    await writeImage(folder)
    machine = await createMachine(join(folder, 'dist/cli/kms-image.js'))
  }, 120_000)
  afterAll(async () => {
    await machine.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test('contains exactly the listed files, and nothing of relayer, webhook or simulator', async () => {
    const paths = await readdir(folder, { recursive: true, withFileTypes: true })
    const files = paths
      .filter((each) => each.isFile())
      .map((each) => relative(folder, join(each.parentPath, each.name)))

    expect(files.sort()).toEqual([...listImageContents().files].sort())
    const own = files.filter((file) => !file.startsWith('node_modules/'))
    expect(own.map((file) => file.replace(/^dist/, 'src')).filter((f) => foreign.test(f))).toEqual(
      [],
    )
  })

  test('runs a node with workers that releases keys', async () => {
    const state = await machine.newFolder()
    const configFile = await machine.configure(state, {
      workers: 2,
      releaseLog: {
        folder: join(state, 'log'),
        node: 'kms-1',
        witnesses: 'insecure-none',
        entries: 'public',
      },
    })
    await runBootstrap({ configFile, env: {} })
    await runCreateLog({ configFile, env: {} })
    const node = await machine.runPool(configFile)
    const app = machine.boot('app')

    await expect(fetchAppKeys({ url: node.url }, app.source, app.vmConfig)).resolves.toHaveProperty(
      'k256Key',
    )
    expect(await node.stop()).toBe(0)
  }, 120_000)
})
