/** Starts a command that serves, as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const program = join(import.meta.dirname, '../../bin/assent.js')

export interface StartedCommand {
  // tests look at single members of the line
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly line: any
  /** Sends SIGTERM. @returns the exit code */
  stop(): Promise<number | null>
}

const running = new Set<ChildProcess>()

/** Runs `assent … --json` until it prints its line. @throws Error with the output if it ends before */
export async function startCommand(...args: string[]): Promise<StartedCommand> {
  const child = spawn(process.execPath, [program, ...args, '--json'])
  running.add(child)
  const ended = once(child, 'exit')
  let errors = ''
  child.stderr.on('data', (text) => {
    errors += text
  })
  for await (const text of createInterface(child.stdout)) {
    const line = JSON.parse(text)
    if ('error' in line) break
    child.stdout.resume()
    return {
      line,
      async stop() {
        child.kill('SIGTERM')
        running.delete(child)
        return (await ended)[0]
      },
    }
  }
  const [code] = await ended
  throw new Error(`assent ${args.join(' ')} ended with ${code}: ${errors}`)
}

/** Kills what a failed test left. */
export function stopCommands(): void {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
}
