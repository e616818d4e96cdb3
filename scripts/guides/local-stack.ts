/** The running demo of `npm start`, as a reader of the guides has it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

export interface LocalStack {
  /** What it printed so far. */
  readonly printed: string
  stop(): Promise<void>
}

/** Starts it and waits until it has written `assent.toml` into the folder. */
export async function startLocalStack(folder: string): Promise<LocalStack> {
  const record = join(folder, 'deployments')
  const args = ['scripts/start.ts', '--deployments', record, '--project', folder]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (text) => {
      printed += text
      if (/ {2}operator .*\n/.test(printed)) resolve()
    })
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code}:\n${printed}`)))
  })
  if (printed.includes('✗')) throw new Error(`A step of npm start failed:\n${printed}`)
  return {
    printed,
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}
