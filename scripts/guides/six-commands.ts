/** The commands of the README from nothing to a release that boots. The test and the picture read them there. */
import { readFile } from 'node:fs/promises'

import { type GuideBlock, readGuide } from './guide-page.ts'

const heading = '## From nothing to a booted release'

export interface SixCommands {
  /** Starts the local stack, in a terminal of its own. */
  readonly start: string
  /** One block for each further command. */
  readonly blocks: readonly GuideBlock[]
}

/** @throws TypeError if the README has no such section */
export async function readSixCommands(): Promise<SixCommands> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const at = readme.indexOf(heading)
  const section = readme.slice(at, readme.indexOf('\n## ', at + 1))
  const [, start] = /^```sh\n(.*)\n```$/m.exec(section) ?? []
  if (at < 0 || start === undefined) throw new TypeError(`README.md has no section ${heading}.`)
  const blocks = readGuide(section).flatMap((block) =>
    block.commands
      .trim()
      .split('\n')
      .map((commands): GuideBlock => ({ ...block, commands, output: undefined })),
  )
  return { start, blocks }
}
