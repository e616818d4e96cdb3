/** What the mutation scripts share: they break a copy of the code in one place at a time. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { projectRoot, toolCommand } from '../run-tool.ts'

/** One change of a text: `from` must be in it exactly once. */
export interface Edit {
  readonly from: string
  readonly to: string
}

/** The text after the edit. @throws Error if `from` is not in the text, or is in it more than once */
export function applyEdit(text: string, { from, to }: Edit, name: string): string {
  const found = text.split(from).length - 1
  if (found !== 1) throw new Error(`"${name}": found ${found} times, must be once: ${from}`)
  return text.replace(from, () => to)
}

/**
 * The dry mode of a mutation script, `--check`: every edit must still fit the code. Writes nothing and ends the process.
 *
 * Mutation scripts run for hours at night. Without this a renamed variable would be noticed only there.
 *
 * @param mutants each with its file (absolute) and its edits; all edits of one mutant are applied together
 */
export function checkAnchors(
  mutants: readonly {
    readonly name: string
    readonly file: string
    readonly edits: readonly Edit[]
  }[],
): never {
  const failures: string[] = []
  for (const { name, file, edits } of mutants) {
    try {
      edits.reduce((text, edit) => applyEdit(text, edit, name), readFileSync(file, 'utf8'))
    } catch (error) {
      failures.push(`${path.relative(projectRoot, file)}: ${(error as Error).message}`)
    }
  }
  reportFit(mutants.length, failures)
}

/** The same for what a script names without an edit: files, tests, conditions. Ends the process. */
export function reportAnchors(isFound: Readonly<Record<string, boolean>>): never {
  const names = Object.keys(isFound)
  const lost = names.filter((name) => !isFound[name])
  reportFit(
    names.length,
    lost.map((name) => `not found: ${name}`),
  )
}

function reportFit(count: number, failures: readonly string[]): never {
  for (const failure of failures) console.error(failure)
  console.log(`${count - failures.length} of ${count} anchors fit the code`)
  process.exit(failures.length === 0 ? 0 : 1)
}

/** Runs something on a file that is broken meanwhile. @throws Error if an edit does not fit the file exactly once */
export async function withEdits<T>(
  file: string,
  { name, edits }: { readonly name: string; readonly edits: readonly Edit[] },
  run: () => Promise<T>,
): Promise<T> {
  const text = readFileSync(file, 'utf8')
  const changed = edits.reduce((before, edit) => applyEdit(before, edit, name), text)
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
