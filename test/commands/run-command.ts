/** Runs the command line in this process. */
import { vi } from 'vitest'

import { main } from '../../src/cli/main.ts'

/** @returns the exit code, and everything that was printed on both outputs, line by line */
export async function assent(...args: string[]): Promise<{ exitCode: number; text: string }> {
  const lines: string[] = []
  const capture = (text: unknown = '') => {
    lines.push(String(text))
  }
  const log = vi.spyOn(console, 'log').mockImplementation(capture)
  const error = vi.spyOn(console, 'error').mockImplementation(capture)
  process.exitCode = undefined
  try {
    return { exitCode: await main(args), text: lines.join('\n') }
  } finally {
    log.mockRestore()
    error.mockRestore()
    process.exitCode = undefined
  }
}
