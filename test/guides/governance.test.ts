/** Runs the section "The whole way" of docs/governance.md as its readers do, on a chain of its own. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { readGuide } from '../../scripts/guides/guide-page.ts'
import { runGuide } from '../../scripts/guides/run-guide.ts'
import { type Anvil, findAnvil, startAnvil } from '../anvil.ts'
import { installProgram } from './installed-program.ts'

const docs = join(import.meta.dirname, '../../docs')

let folder: string
let programs: string
let anvil: Anvil | undefined

beforeAll(async () => {
  if (findAnvil() === undefined) return
  folder = await mkdtemp(join(tmpdir(), 'assent-governance-'))
  await cp(join(docs, 'examples'), join(folder, 'docs/examples'), { recursive: true })
  ;[programs, anvil] = await Promise.all([installProgram(folder), startAnvil()])
}, 600_000)

afterAll(async () => {
  await anvil?.stop()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

test.skipIf(findAnvil() === undefined)(
  'docs/governance.md deploys, decides and admits a host as written',
  { timeout: 1_000_000 },
  async () => {
    const blocks = readGuide(await readFile(join(docs, 'governance.md'), 'utf8'))
    const env = { ASSENT_RPC_URL: anvil?.url ?? '' }

    const ran = await runGuide(blocks, { folder, programs, env, timeoutMs: 900_000 })

    expect(ran).toHaveLength(blocks.length)
  },
)
