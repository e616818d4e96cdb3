/** Breaks a copy of the code in one place at a time: what the scripts of mutants share. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

import { toolCommand } from './tool.ts'

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
