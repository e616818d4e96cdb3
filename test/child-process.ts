/**
 * Programs that a test starts. Vitest waits for every process that holds its output: one left behind
 * by a failed test would keep the whole run from ending. So nothing here inherits that output, and what
 * still runs at the end of a test file is killed.
 */
import {
  type ChildProcess,
  type ChildProcessByStdio,
  type SpawnOptions,
  spawn,
} from 'node:child_process'
import type { Readable } from 'node:stream'

type ChildOptions = Pick<SpawnOptions, 'cwd' | 'env'>

const running = new Set<ChildProcess>()

/** Starts a program: what it prints is for the test to read, its errors appear with those of the test. */
export function startChild(
  file: string,
  args: readonly string[],
  options: ChildOptions = {},
): ChildProcessByStdio<null, Readable, Readable> {
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  watch(child)
  return child
}

/** Starts a script of Node that sends messages to the test, for example when it is ready. */
export function startMessenger(
  script: string,
  args: readonly string[],
  options: ChildOptions = {},
): ChildProcess {
  const child = spawn(process.execPath, [script, ...args], {
    ...options,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  watch(child)
  return child
}

/** Kills the programs that a test file left behind. */
export function killLeftChildren(): void {
  for (const child of running) child.kill('SIGKILL')
}

function watch(child: ChildProcess): void {
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.stderr?.on('data', (chunk: Buffer) => process.stderr.write(chunk))
}
