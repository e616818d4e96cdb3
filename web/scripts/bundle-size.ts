/**
 * Prints what the first view loads, and fails above the limit: `npm run size`.
 *
 * The first view is `index.html` with everything that it and its scripts import statically.
 */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'

/** Most bytes of the first view, after gzip. */
const limit = 350 * 1024

const dist = path.join(import.meta.dirname, '../dist')
const sizes = new Map<string, number>()

function visit(file: string): void {
  if (sizes.has(file)) return
  const text = readFileSync(path.join(dist, file), 'utf8')
  sizes.set(file, gzipSync(text).length)
  const folder = path.dirname(file)
  const found = file.endsWith('.html')
    ? [...text.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, name]) => name as string)
    : [...text.matchAll(/(?:from|import)\s*["'`](\.\/[^"'`]+\.js)["'`]/g)].map(([, name]) =>
        path.join(folder, name as string),
      )
  for (const each of found) visit(each)
}

visit('index.html')
const first = [...sizes.values()].reduce((sum, size) => sum + size, 0)
const all = readdirSync(path.join(dist, 'assets')).reduce(
  (sum, name) => sum + gzipSync(readFileSync(path.join(dist, 'assets', name))).length,
  0,
)
const kib = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`
for (const [file, size] of sizes) console.log(`${kib(size).padStart(10)}  ${file}`)
console.log(`first view ${kib(first)} of at most ${kib(limit)}; all pages ${kib(all)} (gzip)`)
if (first > limit) process.exit(1)
