/** The built dashboard: static files that are read once, and the policy under which a browser runs them. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

import { AssentError } from '../errors/index.ts'

/** One file of the page. */
export interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>
  readonly type: string
  /** Strong entity tag (RFC 9110, section 8.8.3). */
  readonly tag: string
}

/** The files by their path, such as `assets/index-1a2b.js`. */
export type PageFiles = ReadonlyMap<string, PageFile>

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
}

/** In the package the build is beside this module; in a clone it is where Vite writes it. */
const places = ['./page/', '../../web/dist/']

/** The folder of the built page. @throws DASHBOARD_NOT_BUILT */
export function pageFolder(): string {
  const folders = places.map((place) => fileURLToPath(new URL(place, import.meta.url)))
  const found = folders.find((folder) => existsSync(join(folder, 'index.html')))
  if (found !== undefined) return found
  throw new AssentError('DASHBOARD_NOT_BUILT', 'The page of the dashboard is not built.', {
    facts: { searched: folders },
  })
}

/** Reads all files of the page, so that a request never names a path of the file system. @throws DASHBOARD_NOT_BUILT */
export async function readPageFiles(folder: string = pageFolder()): Promise<PageFiles> {
  const names = await readdir(folder, { recursive: true })
  const files = new Map<string, PageFile>()
  for (const name of names) {
    const type = types[extname(name)]
    if (type === undefined) continue
    const body = new Uint8Array(await readFile(join(folder, name)))
    const tag = `"${createHash('sha256').update(body).digest('base64url')}"`
    files.set(name.split(sep).join('/'), { body, type, tag })
  }
  return files
}

/**
 * The policy of the page (Content Security Policy, level 3): its own scripts and styles, and requests to itself and to the
 * servers of its settings. No inline script, no frame, no other origin.
 *
 * @param servers origins of indexer and endpoints, if they are not behind the server of the page
 */
export function pagePolicy(servers: readonly string[] = []): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    `connect-src ${["'self'", ...servers].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
