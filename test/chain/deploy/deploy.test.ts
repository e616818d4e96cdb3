import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import hre from 'hardhat'
import { type EIP1193Provider, numberToHex, zeroAddress } from 'viem'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  deployedAddresses,
  parseDeployment,
  readDeployment,
} from '../../../src/chain/record/deployments.ts'
import { type DeployOptions, deploy } from '../../../src/deploy/deploy.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { connect, hardhatArtifacts, testRules } from '../dao.ts'

let folder: string
let options: DeployOptions

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-deploy-'))
  const { provider } = await hre.network.create()
  const people = await connect(provider as unknown as EIP1193Provider)
  options = {
    ...people.deployer,
    artifacts: hardhatArtifacts(hre),
    rules: testRules(people.voter, people.guardian),
    record: { folder, commit: 'c0ffee', compiler: { version: '0.8.35', settings: { runs: 200 } } },
  }
})

afterEach(() => rm(folder, { recursive: true, force: true }))

async function codeOf(action: Promise<unknown>): Promise<string | undefined> {
  return action.then(
    () => undefined,
    (error: unknown) => (isAssentError(error) ? error.code : String(error)),
  )
}

test('a deployment writes a record from which the addresses are read', async () => {
  const addresses = await deploy(options)

  const record = await readDeployment(folder, 31337)

  expect(deployedAddresses(record)).toEqual(addresses)
  expect(record.commit).toBe('c0ffee')
  expect(record.contracts.kmsAuth).toMatchObject({
    contract: 'ERC1967Proxy',
    initializer: {
      function: 'initializeGoverned',
      arguments: [
        addresses.timelock,
        addresses.appImplementation,
        expect.stringMatching(/^0x/),
        options.rules.suspension,
      ],
    },
  })
})

test('a deployment record names the implementation of each proxy, the settings and the deployer', async () => {
  await deploy(options)

  const { contracts, compiler, pending } = await readDeployment(folder, 31337)

  expect(pending).toBeUndefined()
  expect(compiler.settings).toEqual({ runs: 200 })
  for (const name of ['kmsAuth', 'images']) {
    const [implementation] = contracts[name]?.arguments ?? []
    expect(implementation).toBe(contracts[`${name}Implementation`]?.address)
  }
  const nonces = Object.values(contracts).map(({ nonce }) => nonce)
  expect(new Set(nonces).size).toBe(nonces.length)
})

test('a deployment record of another chain, with other arguments or without contracts is refused', async () => {
  await deploy(options)
  const rules = { ...options.rules, timelockDelay: 1 }
  expect(await codeOf(deploy({ ...options, rules }))).toBe('DEPLOYMENT_INVALID')

  const fresh = await connect((await hre.network.create()).provider as unknown as EIP1193Provider)
  expect(await codeOf(deploy({ ...options, ...fresh.deployer }))).toBe('CONTRACT_MISSING')

  const file = join(folder, '31337.json')
  const record = parseDeployment(JSON.parse(await readFile(file, 'utf8')))
  await writeFile(file, JSON.stringify({ ...record, chainId: 1 }))
  expect(await codeOf(deploy(options))).toBe('DEPLOYMENT_INVALID')
  expect(await codeOf(readDeployment(folder, 31337))).toBe('DEPLOYMENT_INVALID')
  await writeFile(file, JSON.stringify({ ...record, surprise: true }))
  expect(await codeOf(deploy(options))).toBe('DEPLOYMENT_INVALID')
  expect(await codeOf(readDeployment(folder, 5))).toBe('FILE_UNREADABLE')
})

test('voting rules that the governor would refuse are refused before a transaction is sent', async () => {
  const rules = { ...options.rules, votingPeriod: 10, lateQuorumExtension: 120 }
  const nonce = () =>
    options.publicClient.getTransactionCount({ address: options.walletClient.account.address })
  const before = await nonce()

  expect(await codeOf(deploy({ ...options, rules }))).toBe('INPUT_INVALID')
  expect(await nonce()).toBe(before)
})

test('a reverting constructor is reported at once, and the deployment continues with corrected rules', async () => {
  const token = { ...options.rules.token, holder: zeroAddress }
  const started = Date.now()
  const failing = deploy({ ...options, rules: { ...options.rules, token } })

  expect(await codeOf(failing)).toBe('CALL_REVERTED')
  expect(Date.now() - started).toBeLessThan(60_000)
  const addresses = await deploy(options)
  expect(deployedAddresses(await readDeployment(folder, 31337))).toEqual(addresses)
})

test('a count of transactions that goes back once makes nothing fail and nothing be created twice', async () => {
  const { provider } = await hre.network.create()
  const late = answerLate(provider as unknown as EIP1193Provider)
  const people = await connect(late)
  const { publicClient, walletClient } = people.deployer

  const addresses = await deploy({ ...options, publicClient, walletClient })

  const { contracts } = await readDeployment(folder, 31337)
  expect(deployedAddresses(await readDeployment(folder, 31337))).toEqual(addresses)
  const created: string[] = []
  for (let number = await publicClient.getBlockNumber({ cacheTime: 0 }); number > 0n; number--) {
    const block = await publicClient.getBlock({ blockNumber: number, includeTransactions: true })
    created.push(...block.transactions.filter(({ to }) => to === null).map(({ hash }) => hash))
  }
  expect(created.sort()).toEqual(
    Object.values(contracts)
      .map(({ transaction }) => transaction)
      .sort(),
  )
})

/** As of two nodes behind one URL: after each new count of transactions, the next answer is the old one. */
function answerLate(provider: EIP1193Provider): EIP1193Provider {
  let [newest, old] = [0, 0]
  let isLateNext = false
  const request = async (question: { method: string }) => {
    const answer = await provider.request(question as never)
    if (question.method !== 'eth_getTransactionCount') return answer
    const count = Number(answer)
    if (count > newest) {
      old = newest
      newest = count
      isLateNext = true
      return answer
    }
    if (!isLateNext) return answer
    isLateNext = false
    return numberToHex(old)
  }
  return { ...provider, request } as unknown as EIP1193Provider
}
