/** Opens an address in the browser of this desktop, if there is one. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Environment } from '../../../lib/config.ts'

/** The program that opens a file on this desktop; undefined without a desktop. */
function openerOf(platform: NodeJS.Platform, env: Environment): string | undefined {
  if (platform === 'darwin') return 'open'
  const hasDisplay = Boolean(env.DISPLAY || env.WAYLAND_DISPLAY)
  return platform === 'linux' && hasDisplay ? 'xdg-open' : undefined
}

/**
 * Opens `url` in the browser. Every user of this computer can read the arguments of a program, so the opener gets a file
 * that only this user can read, and the file leads to the address.
 *
 * @returns a function that removes the file
 */
export async function openBrowser(
  url: string,
  { platform = process.platform, env = process.env }: OpenBrowserOptions = {},
): Promise<() => Promise<void>> {
  const opener = openerOf(platform, env)
  if (opener === undefined) return async () => undefined
  const folder = await mkdtemp(join(tmpdir(), 'assent-wallet-'))
  const file = join(folder, 'open.html')
  const page = `<!doctype html><meta http-equiv="refresh" content="0;url=${url}">`
  await writeFile(file, page, { mode: 0o600, flag: 'wx' })
  // without an opener the printed address is enough
  spawn(opener, [file], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref()
  return () => rm(folder, { recursive: true, force: true })
}

/** Where to look for a desktop; default: this process. */
export interface OpenBrowserOptions {
  readonly platform?: NodeJS.Platform
  readonly env?: Environment
}
