/**
 * A file system that stops or fails at one of its operations, under code that knows nothing of it.
 *
 * A stop is what SIGKILL looks like from the disk: the operation never returns, so no code cleans up after it.
 */
import { promises } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

export type Fault = 'stop-before' | 'stop-after' | 'torn' | 'full'

export interface Crash {
  readonly kind: Fault
  /** Which operation, from 0. */
  readonly at: number
}

type Method = (this: unknown, ...args: unknown[]) => Promise<unknown>

const changing = ['link', 'rename', 'mkdir'] as const
const ofHandles = ['writeFile', 'write', 'sync', 'datasync', 'truncate'] as const

/** Runs until it ends by itself, or at the operation that never returns. */
export async function runUntil(
  crash: Crash,
  run: () => Promise<unknown>,
): Promise<'ended' | 'stopped' | { readonly failed: unknown }> {
  let stopped: () => void = () => {}
  const stop = new Promise<'stopped'>((resolve) => {
    stopped = () => resolve('stopped')
  })
  let count = 0
  const wrap = (name: string, real: Method): Method =>
    async function faulty(...args) {
      if (count++ !== crash.at) return real.apply(this, args)
      const writes = name === 'writeFile' || name === 'write'
      if (crash.kind === 'stop-after') await real.apply(this, args)
      if (writes && (crash.kind === 'torn' || crash.kind === 'full')) {
        await real.apply(this, [half(args[0]), ...args.slice(1)])
      }
      if (crash.kind === 'full') {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
      }
      stopped()
      return new Promise(() => {})
    }
  const opened: FileHandle[] = []
  const restore = await patch(wrap, opened)
  try {
    const running = run().then(
      () => 'ended' as const,
      (failed: unknown) => ({ failed }),
    )
    return await Promise.race([running, stop])
  } finally {
    restore()
    // as the system does for a process that is killed
    await Promise.all(opened.map((handle) => handle.close().catch(() => {})))
  }
}

function half(content: unknown): Uint8Array {
  const bytes = Buffer.from(content as string)
  return bytes.subarray(0, Math.floor(bytes.length / 2))
}

async function patch(
  wrap: (name: string, real: Method) => Method,
  opened: FileHandle[],
): Promise<() => void> {
  const probe = await promises.open(import.meta.filename, 'r')
  const handles = Object.getPrototypeOf(probe) as Record<string, Method>
  await probe.close()
  const files = promises as unknown as Record<string, Method>
  const collect = (_: string, real: Method): Method =>
    async function open(...args) {
      const handle = (await real.apply(this, args)) as FileHandle
      opened.push(handle)
      return handle
    }
  const undo = [
    replace(files, 'open', collect),
    ...changing.map((name) => replace(files, name, wrap)),
    ...ofHandles.map((name) => replace(handles, name, wrap)),
  ]
  syncBuiltinESMExports()
  return () => {
    for (const restore of undo) restore()
    syncBuiltinESMExports()
  }
}

function replace(
  on: Record<string, Method>,
  name: string,
  wrap: (name: string, real: Method) => Method,
): () => void {
  const real = on[name] as Method
  on[name] = wrap(name, real)
  return () => {
    on[name] = real
  }
}
