/** Breaks a copy of the code in one place at a time: what the scripts of mutants share. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

import { toolCommand } from './run-tool.ts'

export interface Edit {
  readonly from: string
  readonly to: string
}

/** Runs something on a file that is broken meanwhile. @throws where an edit fits nowhere, or twice */
export async function withEdits<T>(
  file: string,
  { name, edits }: { readonly name: string; readonly edits: readonly Edit[] },
  run: () => Promise<T>,
): Promise<T> {
  const text = readFileSync(file, 'utf8')
  const changed = edits.reduce((before, { from, to }) => {
    if (before.split(from).length !== 2) throw new Error(`"${name}" fits nowhere, or twice`)
    return before.replace(from, () => to)
  }, text)
  writeFileSync(file, changed)
  try {
    return await run()
  } finally {
    writeFileSync(file, text)
  }
}

const patienceMs = 600_000

/** Whether a tool succeeds in this folder; a mutant may also loop for ever, which counts as noticed. */
export function passes(cwd: string, command: readonly string[]): Promise<boolean> {
  const env = { ...process.env, ASSENT_NIGHTLY: '0' }
  const child = spawn(process.execPath, toolCommand(command), { cwd, stdio: 'ignore', env })
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve(code === 0)
    })
  })
}

interface Mutant {
  readonly name: string
  /** What has to notice it. */
  readonly test: string
}

/**
 * Tries each mutant, then that its tests pass without any, and says which were missed.
 *
 * @returns names of mutants that nothing noticed and of tests that fail anyway
 */
export async function findMissed<M extends Mutant>(
  mutants: readonly M[],
  isNoticed: (mutant: M) => Promise<boolean>,
  isGreen: (test: string) => Promise<boolean>,
): Promise<string[]> {
  const missed: string[] = []
  for (const mutant of mutants) {
    const noticed = await isNoticed(mutant)
    console.log(`${noticed ? 'killed' : 'MISSED'}  ${mutant.name}`)
    if (!noticed) missed.push(mutant.name)
  }
  console.log(`${mutants.length - missed.length} of ${mutants.length} mutants killed`)
  for (const test of new Set(mutants.map((mutant) => mutant.test))) {
    if (await isGreen(test)) continue
    console.error(`${test} fails without any mutant`)
    missed.push(test)
  }
  return missed
}
