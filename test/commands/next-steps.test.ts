/** Next steps after a command or an error, as they must be typed. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { readDeployment } from '../../src/chain/record/deployments.ts'
import { checkCommand, rightsOfSigner } from '../../src/commands/deployment/create.ts'
import { compilerMissing } from '../../src/commands/deployment/verify-sources.ts'
import { errorCatalogue } from '../../src/errors/index.ts'
import { assent } from './run-command.ts'

const [signer, other] = [`0x${'1a'.repeat(20)}`, `0x${'2b'.repeat(20)}`] as const
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-next-steps-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test.each([
  ['root.der', 'host', 'assent deployment check --root host/root.der'],
  ['root.der', "my host's", `assent deployment check --root 'my host'\\''s/root.der'`],
])('the check of a new deployment names the root of trust %s in %s', (rootFile, at, command) => {
  const attestation = { rootFile } as never
  expect(checkCommand({ attestation }, at)).toBe(command)
})

test('the check of a deployment without attestation needs no root', () => {
  expect(checkCommand({ attestation: 'none' }, '.')).toBe('assent deployment check')
})

test('a signer that gets all votes has rights after the deployment', () => {
  const rules = (holder: string) => ({ token: { holder } }) as never
  expect(rightsOfSigner(rules(signer), signer)).toContain('holds all votes')
  expect(rightsOfSigner(rules(other), signer)).toContain('has no rights')
})

test('a missing compiler is installed by the printed command', () => {
  const { hint } = compilerMissing([{ compilerVersion: '0.8.35+commit.1234abcd' }], undefined)
  expect(hint).toContain('npm install solc@0.8.35,')
})

test('a missing deployment record names the option and the setting', async () => {
  const missing = await readDeployment(folder, 31337).catch((error: unknown) => error)
  expect(missing).toMatchObject({
    code: 'FILE_UNREADABLE',
    hint: expect.stringMatching(/31337\.json.*--deployments.*assent\.toml/),
  })
})

test('a refusal of the KMS names the command that explains it', () => {
  expect(errorCatalogue.KMS_REFUSED.fix).toContain('assent app why')
})

test('a manifest that exists is replaced by the named option', async () => {
  const [compose, out] = [join(folder, 'compose.yaml'), join(folder, 'app-compose.json')]
  await writeFile(compose, `services:\n  web:\n    image: nginx@sha256:${'ab'.repeat(32)}\n`)
  const args = ['app', 'init', compose, '--name', 'shop', '--out', out]
  expect(await assent(...args)).toMatchObject({ exitCode: 0 })

  const again = await assent(...args, '--json')
  expect(JSON.parse(again.text).error).toMatchObject({
    code: 'FILE_EXISTS',
    hint: expect.stringContaining('--overwrite'),
  })
})
