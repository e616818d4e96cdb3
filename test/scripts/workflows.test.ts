/** What keeps a stranger's code away from the workflows' tokens: read from their text, since they run elsewhere. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

const folder = join(import.meta.dirname, '../../.github/workflows')
const names = (await readdir(folder)).sort()
const read = (name: string) => readFile(join(folder, name), 'utf8')

/** Scripts of `run:` steps, one line or a block. */
function scriptsOf(workflow: string): string[] {
  const block = /^( *)(?:- )?run: (?:\|((?:\n\1 +.*|\n(?=\n))+)|([^|].*))$/gm
  return [...workflow.matchAll(block)].map(([, , lines, line]) => lines ?? line ?? '')
}

describe.each(names)('the workflow %s', (name) => {
  test('pins every action by its commit and names the version', async () => {
    const used = [...(await read(name)).matchAll(/uses: (.+)$/gm)].map(([, action]) => action)

    expect(used.length).toBeGreaterThan(0)
    for (const action of used) {
      expect(action).toMatch(
        /^(\.\/\.github\/workflows\/\w+\.yml|[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/,
      )
    }
  })

  test('gives its token only the permissions that a job needs', async () => {
    const workflow = await read(name)

    expect(workflow).toMatch(/^permissions: \{\}$/m)
    expect([...workflow.matchAll(/: write$/gm)]).toHaveLength(name === 'release.yml' ? 1 : 0)
  })

  test('passes no untrusted text into a script', async () => {
    const scripts = scriptsOf(await read(name))

    expect(scripts.length).toBeGreaterThan(0)
    for (const script of scripts) expect(script).not.toContain('${{')
  })
})

test('the release job with an identity installs no package and checks out no code', async () => {
  const release = await read('release.yml')
  const publish = release.slice(release.indexOf('\n  publish:\n')).replace(/^ *#.*$/gm, '')

  expect(publish).toContain('id-token: write')
  expect(publish).not.toMatch(/actions\/checkout|npm (ci|install|run)/)
  expect(publish).toContain('npm publish ./packed/*.tgz --provenance')
})
