/** The completion script of bash, run by bash. */
import { spawnSync } from 'node:child_process'

import { describe, expect, test } from 'vitest'

import { bashScript, fishScript, zshScript } from '../../src/commands/completion/scripts.ts'
import { listWords } from '../../src/commands/completion/words.ts'

const words = await listWords()
const isHere = (shell: string) => spawnSync(shell, ['--version']).status === 0

/** What bash offers for the last word. */
function complete(...line: string[]): string[] {
  const script = `${bashScript(words)}
COMP_WORDS=(assent ${line.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${line.length}
_assent
printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
  expect(stderr).toBe('')
  return stdout.split('\n').filter(Boolean)
}

describe.skipIf(!isHere('bash'))('completion in bash', () => {
  test('offers groups', () => {
    expect(complete('de')).toEqual(['deployment'])
  })

  test('offers the commands of a group and of a folder', () => {
    expect(complete('dao', 'pro')).toEqual(['proposals', 'proposal', 'propose'])
    expect(complete('dao', 'guardian', 's')).toEqual(['show', 'suspend', 'set'])
  })

  test('offers choices and options, also after other words', () => {
    expect(complete('dao', 'vote', '123', 'ab')).toEqual(['abstain'])
    expect(complete('dao', 'vote', '123', 'for', '--rea')).toEqual(['--reason'])
    expect(complete('dao', 'vote', '123', 'for', '--rpc-url', 'x', '--js')).toEqual(['--json'])
  })

  test('offers nothing for an unknown command, so that bash offers files', () => {
    expect(complete('quote', 'show', 'quote.b')).toEqual([])
  })
})

describe.each([
  ['zsh', zshScript],
  ['fish', fishScript],
] as const)('the script for %s', (shell, write) => {
  test('names every command', () => {
    const script = write(words)
    for (const before of words.keys()) if (before !== '') expect(script).toContain(before)
  })

  test.skipIf(!isHere(shell))('is valid', () => {
    const { status } = spawnSync(shell, ['-n'], { input: write(words) })
    expect(status).toBe(0)
  })
})
