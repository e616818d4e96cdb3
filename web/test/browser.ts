/** Debian's Chromium without a window. */
import { spawnSync } from 'node:child_process'

import { type Browser, chromium } from 'playwright-core'

/** Path of the program, or undefined where this machine has none. */
export function findChromium(): string | undefined {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' })
    if (found.status === 0) return found.stdout.trim()
  }
  return undefined
}

export function openBrowser(): Promise<Browser> {
  const executablePath = findChromium()
  if (executablePath === undefined) throw new Error('Chromium is not installed.')
  return chromium.launch({ executablePath, args: ['--no-sandbox'] })
}
