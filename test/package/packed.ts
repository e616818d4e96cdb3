/** The packed npm package. It is packed once in a test run, by the first file that needs it. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

export interface Packed {
  /** Path of the archive. */
  readonly file: string
  /** Paths of the files in it. */
  readonly paths: readonly string[]
}

/** `npm test` builds first; a single run of a test needs `npm run build`. */
export const isBuilt = existsSync(join(root, 'dist'))

const waitMs = 120_000

export async function packPackage(): Promise<Packed> {
  const folder = join(root, '.assent/packed', process.env.ASSENT_TEST_RUN ?? `${process.pid}`)
  const list = join(folder, 'packed.json')
  await mkdir(dirname(folder), { recursive: true })
  const isFirst = await mkdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
  if (isFirst) await pack(folder, list)
  for (let waited = 0; !existsSync(list); waited += 100) {
    if (waited > waitMs) throw new Error('Another test file did not finish npm pack.')
    await sleep(100)
  }
  return JSON.parse(await readFile(list, 'utf8'))
}

async function pack(folder: string, list: string): Promise<void> {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const { stdout } = await run('npm', args, { cwd: root, maxBuffer: 1 << 26 })
  const [{ filename, files }] = JSON.parse(stdout)
  const packed: Packed = {
    file: join(folder, filename),
    paths: files.map(({ path }: { path: string }) => path),
  }
  await writeFile(`${list}.new`, JSON.stringify(packed))
  await rename(`${list}.new`, list)
}
