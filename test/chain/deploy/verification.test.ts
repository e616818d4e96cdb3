import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import hre from 'hardhat'
import solc from 'solc'
import { type EIP1193Provider, getAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isNightly } from '../../../scripts/test-effort.ts'
import { type Deployment, readDeployment } from '../../../src/chain/record/deployments.ts'
import { compiledSources } from '../../../src/deploy/contract-sources.ts'
import { deploy, standardHostRules } from '../../../src/deploy/deploy.ts'
import {
  readInputManifest,
  rebuildInput,
  requireSameCode,
} from '../../../src/deploy/standard-input.ts'
import { readVerifications, toEtherscan, toSourcify } from '../../../src/deploy/verification.ts'
import { syntheticRoot } from '../../synthetic.ts'
import { connect, hardhatArtifacts, testRules } from '../dao.ts'

const root = new URL('../../../', import.meta.url)
const sources = compiledSources(hre)
let folder: string
let deployment: Deployment

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-verification-'))
  const { provider } = await hre.network.create()
  const people = await connect(provider as unknown as EIP1193Provider)
  await deploy({
    ...people.deployer,
    artifacts: hardhatArtifacts(hre),
    rules: testRules(people.voter, people.guardian),
    record: { folder, commit: 'c0ffee', compiler: { version: '0.8.35', settings: {} } },
    attestation: { root: syntheticRoot, hosts: standardHostRules },
  })
  deployment = await readDeployment(folder, 31337)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the verification of a deployment', () => {
  test('has every recorded contract with its arguments and libraries', async () => {
    const { verifications, others } = await readVerifications(deployment, sources)

    expect(others).toEqual([])
    expect(verifications.map(({ name }) => name)).toEqual(Object.keys(deployment.contracts))
    const votes = verifications.find(({ name }) => name === 'votes')
    const holder = deployment.contracts.votes?.arguments.find(
      (each) => typeof each === 'string' && /^0x[0-9a-f]{40}$/i.test(each),
    )
    expect(votes?.constructorArguments).toContain(String(holder).slice(2).toLowerCase())
    const withLibraries = verifications.filter(({ input }) => 'libraries' in input.settings)
    const linked = Object.entries(deployment.contracts).filter(([, each]) => each.libraries)
    expect(withLibraries.map(({ name }) => name)).toEqual(linked.map(([name]) => name))
    expect(getAddress(votes?.address ?? '0x')).toBeDefined()
  })

  test('has the forms of Sourcify and Etherscan', async () => {
    const { verifications } = await readVerifications(deployment, sources)
    const [first] = verifications
    if (first === undefined) throw new Error('There is no contract.')

    expect(toSourcify(first)).toMatchObject({
      compilerVersion: expect.stringMatching(/^0\.8\.\d+\+commit\.[0-9a-f]{8}$/),
      contractIdentifier: first.identifier,
      stdJsonInput: { language: 'Solidity' },
    })
    const { sourceCode, compilerversion } = toEtherscan(first, 1)
    expect(compilerversion).toBe(`v${first.compilerVersion}`)
    expect(JSON.parse(sourceCode)).toEqual(first.input)
  })
})

describe('a rebuilt input', () => {
  test('has only the files that the contract imports', async () => {
    const { sources: files } = await readInputManifest(hre, 'AssentVotes')
    expect(Object.keys(files)).toContain('project/contracts/governance/AssentVotes.sol')
    expect(Object.keys(files).filter((name) => /contracts\/test|KmsAuth/.test(name))).toEqual([])
  })

  test.each(['ERC1967Proxy', 'AssentVotes', ...(isNightly ? ['KmsAuth', 'QuoteVerifier'] : [])])(
    'compiles to the code that is deployed: %s',
    async (contract) => {
      const { bytecode } = await sources.artifact(contract)
      requireSameCode(solc, await sources.standardInput(contract), bytecode)
    },
    600_000,
  )

  test('is refused if a file was changed', async () => {
    const manifest = await readInputManifest(hre, 'AssentVotes')
    const file = 'project/contracts/governance/AssentVotes.sol'
    const other = {
      ...manifest,
      sources: { ...manifest.sources, [file]: `0x${'00'.repeat(32)}` as const },
    }

    await expect(rebuildInput('AssentVotes', other, root)).rejects.toMatchObject({
      code: 'CODE_MISMATCH',
      facts: { file },
    })
  })

  test('is refused if other settings or another compiler give other code', async () => {
    const input = await sources.standardInput('ERC1967Proxy')
    const { bytecode } = await sources.artifact('ERC1967Proxy')
    const settings = { ...input.input.settings, optimizer: { enabled: true, runs: 7 } }
    const changed = { ...input, input: { ...input.input, settings } }

    expect(() => requireSameCode(solc, changed, bytecode)).toThrow(
      expect.objectContaining({ code: 'CODE_MISMATCH' }),
    )
    const older = { ...input, compilerVersion: '0.8.1+commit.00000000' }
    expect(() => requireSameCode(solc, older, bytecode)).toThrow(
      expect.objectContaining({ code: 'CODE_MISMATCH' }),
    )
  })
})
