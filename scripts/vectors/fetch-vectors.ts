/**
 * Gets the recorded vectors: `npm run vectors:fetch -- [FOLDER] [--from URL]`.
 *
 * Downloads every file of `vectors/manifest.json` from its public origin, derives the recorded form where
 * the origin has another one, and keeps only bytes with the recorded SHA-256. `--from` takes all files
 * from one archive instead. What nobody serves any more is named at the end; Intel, for one, serves only
 * today's collateral.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { derivations } from './derive-vector.ts'
import { fetchedFolder, type ManifestFile, readManifest } from './vectors.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { from: { type: 'string' }, help: { type: 'boolean', default: false } },
})
if (values.help || positionals.length > 1) {
  console.log('usage: npm run vectors:fetch -- [FOLDER] [--from URL of an archive]')
  process.exit(values.help ? 0 : 2)
}
const folder = resolve(positionals[0] ?? fetchedFolder)

const { files } = readManifest()
const missing: [path: string, reason: string][] = []
const downloads = new Map<string, Promise<Uint8Array>>()
for (const file of files) {
  const target = join(folder, file.path)
  if (existsSync(target) && isRecorded(readFileSync(target), file)) continue
  try {
    const bytes = await obtain(file)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, bytes)
  } catch (error) {
    missing.push([file.path, error instanceof Error ? error.message : String(error)])
  }
}
report()
process.exit(missing.length === 0 ? 0 : 1)

/** The recorded bytes of a file; throws with the reason if they cannot be had. */
async function obtain(file: ManifestFile): Promise<Uint8Array> {
  if (values.from !== undefined) {
    const bytes = await download(new URL(file.path, ensureSlash(values.from)).href)
    if (!isRecorded(bytes, file)) throw new Error('the archive has other bytes than recorded')
    return bytes
  }
  if (file.origin === null) throw new Error(`no public origin (${file.derive})`)
  const upstream = await download(originUrl(file.origin))
  const derived = derivations(file.derive, upstream).find((bytes) => isRecorded(bytes, file))
  if (derived === undefined) throw new Error('the origin has changed since it was recorded')
  return derived
}

/** Without a recorded commit the default branch is asked; the hash decides either way. */
function originUrl(origin: NonNullable<ManifestFile['origin']>): string {
  if ('url' in origin) return origin.url
  return `https://github.com/${origin.repository}/raw/${origin.commit ?? 'HEAD'}/${origin.path}`
}

/** Once per address: several recorded files come from one upstream file. */
function download(url: string): Promise<Uint8Array> {
  const running = downloads.get(url) ?? get(url)
  downloads.set(url, running)
  return running
}

async function get(url: string): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.timeout(60_000) }).catch(
    (cause: Error) => {
      throw new Error(`cannot reach ${new URL(url).host}: ${cause.message}`)
    },
  )
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return new Uint8Array(await response.arrayBuffer())
}

function isRecorded(bytes: Uint8Array, { sha256 }: ManifestFile): boolean {
  return createHash('sha256').update(bytes).digest('hex') === sha256
}

function report(): void {
  for (const [path, reason] of missing) console.error(`missing  ${path}: ${reason}`)
  console.log(`${files.length - missing.length} of ${files.length} vectors in ${folder}`)
  if (missing.length > 0) {
    console.log('Tests run over complete sets only; get the rest with --from URL of an archive.')
  }
}

function ensureSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`
}
