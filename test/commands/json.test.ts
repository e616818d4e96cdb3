/**
 * Every command that answers, really run with `--json`, on one live stack: a chain, a DAO, a simulated machine, a KMS with a
 * replica, a relayer. The commands themselves make the stack.
 *
 * A new command without a run here makes the last test fail.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { getContractAddress, type Hex } from 'viem'
import { privateKeyToAddress } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { instanceProofToJson } from '../../src/chain/registries/instance-proof.ts'
import { type InstanceBinding, instanceReportData } from '../../src/chain/registries/instances.ts'
import { loadCommands, singleCommands } from '../../src/commands/groups.ts'
import { signInstanceBinding } from '../../src/kms/certify-instance.ts'
import { fromHex, to0x } from '../../src/lib/bytes.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { type Anvil, anvilKeys, findAnvil, startAnvil } from '../anvil.ts'
import { createJsonRunner, type JsonRunner } from './run-json.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the commands with --json are SKIPPED. ***\n')

const commands = [...(await loadCommands()), ...singleCommands]

const [owner, guardian, other] = [
  '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
  '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC',
  '0x90F79bf6EB2c4f870365E785982E1f101E93b906',
] as const
const ports = { kms: 18_400, replica: 18_401, relayer: 18_402 }
const id = (byte: string) => `0x${byte.repeat(32)}`
const digest = `sha256:${'ab'.repeat(32)}`
const evidence = {
  source: { repository: 'https://example.org/app.git', commit: 'ab'.repeat(20) },
  recipe: 'make image',
}

/** A KMS refuses blocks that are ahead of its clock, so the chain begins in the past, and votes move it forward. */
const chainBehind = 3_000
const voting = { delay: 10, period: 300, timelock: 10 }
const daoRules = {
  votingDelay: `${voting.delay}s`,
  votingPeriod: `${voting.period}s`,
  lateQuorumExtension: '0s',
  proposalThreshold: '1',
  quorumPercent: 4,
  timelockDelay: `${voting.timelock}s`,
  guardian,
  suspension: '1h',
}

const home = process.cwd()
let folder: string
let anvil: Anvil
let mining: NodeJS.Timeout
let json: JsonRunner

const write = (name: string, value: unknown) =>
  writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value))
const run: JsonRunner['run'] = (line, options) => json.run(line, options)
/** A command that sends or signs: as the owner of the tokens, unless the line names another account. */
const send: JsonRunner['run'] = (line, options) =>
  json.run(`${line}${line.includes('--from') ? '' : ` --from ${owner}`} --yes`, options)
async function pass(seconds: number): Promise<void> {
  await anvil.client.increaseTime({ seconds: seconds + 1 })
  await anvil.client.mine({ blocks: 1 })
}

/** The KMS signs with its clock, and `app env seal` compares with that of the chain. */
async function catchUp(): Promise<void> {
  const { timestamp } = await anvil.client.getBlock()
  await pass(Math.floor(Date.now() / 1000) - Number(timestamp) - 2)
}

/** Creates a contract of the deployment a second time, as new code for an upgrade. */
async function createAgain(name: string): Promise<string> {
  const record = JSON.parse(await readFile(join(folder, 'deployments/31337.json'), 'utf8'))
  const blockNumber = BigInt(record.contracts[name].block)
  const block = await anvil.client.getBlock({ blockNumber, includeTransactions: true })
  const data = block.transactions[0]?.input ?? '0x'
  const hash = await anvil.client.sendTransaction({ account: other, data, chain: null })
  const { contractAddress } = await anvil.client.waitForTransactionReceipt({ hash })
  return String(contractAddress)
}

async function decide(draft: string, title: string, { signed = false } = {}): Promise<void> {
  const { proposals } = await send(`dao propose ${draft} --title "${title}"`)
  const proposal = proposals[0].id
  await pass(voting.delay)
  if (signed) {
    await send(`dao sign-vote ${proposal} for --out vote.json`)
    await send(`dao submit-vote vote.json --from ${other}`)
  } else await send(`dao vote ${proposal} for`)
  await pass(voting.period)
  await send(`dao queue ${proposal}`)
  await pass(voting.timelock)
  await send(`dao execute ${proposal}`)
}

describe.skipIf(absent)('with --json', { timeout: 600_000 }, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'assent-json-'))
    const begin = Math.floor(Date.now() / 1000) - chainBehind
    anvil = await startAnvil({ args: ['--chain-id', '31337', '--timestamp', String(begin)] })
    // time passes on the chain as in reality
    mining = setInterval(() => anvil.client.mine({ blocks: 1 }).catch(() => undefined), 1_000)
    process.chdir(folder)
    for (const name of Object.keys(process.env)) {
      if (name.startsWith('ASSENT_')) vi.stubEnv(name, undefined)
    }
    json = createJsonRunner(commands, folder)
  }, 60_000)

  afterAll(async () => {
    clearInterval(mining)
    await json?.stop()
    await anvil?.stop()
    process.chdir(home)
    vi.unstubAllEnvs()
    await rm(folder, { recursive: true, force: true })
  })

  let kmsCvm: {
    deviceId: string
    osImageHash: string
    mrAggregated: string
    keyProvider: { id: string }
  }
  let pccs: string
  let kmsAuth: string
  let contracts: Record<string, string>

  test('machines and quotes', async () => {
    await run('completion bash')
    await run(`simulate host machine --report-data ${'00'.repeat(64)}`)
    kmsCvm = await json.serve('simulate agent machine --socket kms.sock')
    pccs = (await json.serve('simulate pccs machine --port 0')).url
    await run('quote show machine/quote.bin')
    await run(`quote fetch-collateral machine/quote.bin --pccs ${pccs} --out collateral.json`)
    await run('quote verify machine/quote.bin --collateral collateral.json --root machine/root.der')
    await write(
      'assent.toml',
      `[profiles.local]
rpcUrls = ["${anvil.url}"]
chainId = 31337
deployments = "deployments"
simulatedHost = "machine"
pccs = "${pccs}"
kms = "https://localhost:${ports.kms}"
`,
    )
    await run('config show')
    await json.serve('simulate beacon beacon --port 0')
  })

  test('the deployment', async () => {
    await write('dao.json', {
      ...daoRules,
      token: { name: 'Votes', symbol: 'VOTE', holder: owner, supply: '1000' },
      attestation: {
        rootFile: 'machine/root.der',
        p256: 'precompile',
        hosts: {
          isOpen: false,
          activationDelay: '0s',
          minLifetime: '0s',
          maxLifetime: '30d',
          window: 255,
          minEvaluationNumber: 0,
        },
        // the votes token: any ERC-20 token can be a bond
        bonds: {
          token: getContractAddress({ from: owner, nonce: 0n }),
          minimum: '100',
          unbonding: '1h',
        },
      },
    })
    await send('deployment create dao.json')
    const shown = await run('deployment show')
    contracts = shown.addresses
    kmsAuth = contracts.kmsAuth as string
    // the deployer has votes: the check finds that
    await run('deployment check --root machine/root.der', { exitCodes: [1] })
    await run('deployment verify-sources')
    await run('deployment clear-signing --out erc7730')
    await send('dao delegate self')
    // votes count from the next second on
    await pass(1)
  })

  test('a host and a vote', async () => {
    const { deviceId, osImageHash, mrAggregated } = kmsCvm
    await run(`host report-data ${owner}`)
    await send('host upload-collateral collateral.json')
    await run(`host quote --socket kms.sock --out host-quote.json --from ${owner}`)
    await anvil.client.mine({ blocks: 1 })
    await send('host register host-quote.json')
    await send(`host bond ${deviceId} 1000`)
    const approve = (line: string) => send(`${line} --draft kms-draft.json`)
    await approve(`image approve ${osImageHash} --name local-image`)
    await approve(`dao approve kms-measurement ${mrAggregated}`)
    await approve(`dao approve kms-device ${deviceId}`)
    await approve(
      `dao approve host ${deviceId} --expires-at ${Math.floor(Date.now() / 1000) + 86_400}`,
    )
    await approve('deployment set-hosts deployed')
    await approve('deployment set-bonds deployed')
    await approve('host set-continuity-delay 1s')
    await approve(`dao approve os-image ${id('a1')}`)
    await decide('kms-draft.json', 'A KMS')
    await run('image list')
    await run('image status local-image')
    await run('host list')
    await run(`host status ${deviceId}`)
    await run(`host why ${deviceId}`)
    await run(`host doctor ${deviceId}`)
    await send(`host renew ${deviceId} --socket kms.sock`)
  })

  test('a KMS with a replica', async () => {
    const settings = {
      chainId: 31_337,
      kmsContract: kmsAuth,
      chainView: {
        endpoints: [anvil.url],
        quorum: 'insecure-single-endpoint',
        checkpointFolder: 'kms/checkpoint',
        refreshSeconds: 1,
        pinnedCode: await run('kms pinned-code'),
      },
      finality: { confirmations: 1 },
      maxBlockAgeSeconds: 3_600,
    }
    const node = {
      ...settings,
      host: 'localhost',
      port: ports.kms,
      domain: 'localhost',
      keysFolder: 'kms/keys',
      keyProtection: 'sealed',
      agentSocket: 'kms.sock',
      trustedRoot: { insecureRootFile: 'machine/root.der' },
      collateral: { pccsUrls: [pccs] },
      imageVerification: 'required',
      selfAuthorization: 'required',
      releaseLog: {
        folder: 'kms/log',
        node: 'kms-1',
        witnesses: 'insecure-none',
        entries: 'public',
      },
    }
    await mkdir(join(folder, 'kms'))
    await write('kms.json', node)
    await write('bootstrap.json', await run('kms bootstrap --config kms.json'))
    await run('kms log create --config kms.json')
    const { id: root } = await send('kms register-root bootstrap.json')
    await send(`dao approve root-key ${root} --draft root-draft.json`)
    await send('kms set-info bootstrap.json --draft root-draft.json')
    await decide('root-draft.json', 'The root keys', { signed: true })
    await json.startService('kms run --config kms.json')
    await run('kms doctor --config kms.json')
    await run('kms status')

    const view = { ...settings.chainView, checkpointFolder: 'other-checkpoint' }
    await write('other.json', { ...node, chainView: view })
    await run('kms init-checkpoint --config other.json')
    await write('replica.json', {
      ...node,
      port: ports.replica,
      keysFolder: 'replica/keys',
      chainView: { ...settings.chainView, checkpointFolder: 'replica/checkpoint' },
      releaseLog: { ...node.releaseLog, folder: 'replica/log', node: 'kms-2' },
    })
    await mkdir(join(folder, 'replica'))
    await run(`kms onboard --from https://localhost:${ports.kms} --config replica.json`)
    await write('auth.json', {
      ...settings,
      chainView: { ...settings.chainView, checkpointFolder: 'auth-checkpoint' },
    })
    await run('auth init-checkpoint --config auth.json')
    await run(
      `kms why --measurement ${kmsCvm.mrAggregated} --device ${kmsCvm.deviceId} --image local-image --tcb UpToDate`,
    )
  })

  test('the prediction of a KMS', async () => {
    const provider = kmsCvm.keyProvider.id.replace('0x', '')
    await write('plan.json', {
      ...JSON.parse(await readFile(join(folder, 'kms.json'), 'utf8')),
      keysFolder: '/var/lib/assent/keys',
      agentSocket: undefined,
      chainView: { insecureSingleEndpoint: 'https://rpc.example.org' },
      trustedRoot: 'intel',
      collateral: { pccsUrls: ['https://pccs.example.org'] },
      releaseLog: {
        folder: '/var/lib/assent/log',
        node: 'kms-1',
        witnesses: 'insecure-none',
        entries: 'private',
      },
    })
    const image = `registry.example.org/assent-kms@${digest}`
    const { appCompose } = await run(
      `kms compose --config plan.json --key-provider-id ${provider} --container-image ${image}`,
    )
    await write('kms-compose.json', appCompose)
    await run(
      `kms predict kms-compose.json --like host-quote.json --key-provider local-sgx --key-provider-id ${provider}`,
    )
  })

  test('an app from a Compose file to its keys', async () => {
    const compose = `name: shop\nservices:\n  web:\n    image: nginx:1@${digest}\n    environment: [API_TOKEN]\n`
    await write('docker-compose.yml', compose)
    await write('.env', 'API_TOKEN=secret\n')
    await run('app init docker-compose.yml --out first.json')
    await run('app init docker-compose.yml')
    await run('app hash app-compose.json')
    await run('app lint app-compose.json', { exitCodes: [0, 1] })
    await send('app create --name shop --any-device')
    await run('app pin-kms first.json')
    await catchUp()
    await run('app env seal app-compose.json --env-file .env --app shop')
    await send('app release app-compose.json --app shop')
    await run('app status --app shop')
    await run('app diff first.json app-compose.json', { exitCodes: [1] })
    await run('app changes first.json --app shop', { exitCodes: [1] })
    await run(`app why app-compose.json --app shop --image local-image --device ${kmsCvm.deviceId}`)
    // the KMS waits for a later block, and looks every second
    await pass(0)
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    await run('simulate boot app-compose.json --app shop --quote quote.json')
    await run('app why app-compose.json --app shop --quote quote.json --collateral collateral.json')
    const report = '00'.repeat(64)
    await run(
      `app verify quote.json --root machine/root.der --collateral collateral.json --compose app-compose.json --report-data ${report}`,
    )
  })

  test('the key of an instance', async () => {
    const machine = JSON.parse(await readFile(join(folder, 'machine/simulator.json'), 'utf8'))
    const simulator = createSimulator({ ...machine, seed: fromHex(machine.seed, 'seed', 32) })
    const { app } = await run('app instances --app shop')
    const cvm = simulator.createPlatform(machine).createCvm({
      image: createImage(),
      compose: await readFile(join(folder, 'app-compose.json'), 'utf8'),
      appId: fromHex(app, 'app', 20),
    })
    const bootstrap = JSON.parse(await readFile(join(folder, 'bootstrap.json'), 'utf8'))
    const id = fromHex(bootstrap.ca_pubkey, 'public key of the KMS')
    cvm.advance('ready', { keyProvider: { name: 'kms', id } })
    const block = await anvil.client.getBlock()
    const key = fromHex(anvilKeys[0], 'key', 32)
    const binding: InstanceBinding = {
      chainId: 31_337,
      registry: contracts.instances as Hex,
      app,
      key: privateKeyToAddress(anvilKeys[0]),
      block: { number: block.number - 1n, hash: block.parentHash },
    }
    const proof = instanceProofToJson({
      way: 'quote',
      binding,
      possession: signInstanceBinding(key, binding),
      quote: cvm.quote(instanceReportData(binding)),
      osImageHash: kmsCvm.osImageHash as Hex,
      eventLog: cvm.eventLog('full'),
    })
    await write('instance.json', proof)
    await send('app register-instance instance.json')
    await run('app instances --app shop')
    await send(`app end-instance ${binding.key}`)
    await send('app create-signer --app shop')
  })

  let request: string

  test('a request', async () => {
    await send('app set-request-terms --app shop --answer-time 1m --min-fee 5')
    await write('question.json', { question: 'What is the answer?' })
    const line = 'request send question.json --app shop --fee 7 --within 2m --public'
    request = (await send(line)).id
    await send(`request assign ${request}`)
    await run('app requests --app shop')
    expect((await run(`request show ${request}`)).state).toBe('waiting')
  })

  test('the release log', async () => {
    await run('log fetch --out copy')
    await run('log list copy')
    await run('log root-key')
    await run('kms log root-key')
    const demands = '--quorum 1 --max-block-age 3600 --head copy/head.json --accept-unchecked'
    await run(`log verify copy ${demands}`)
    await run(`kms log verify copy ${demands}`)
  })

  test('a relayer', async () => {
    await write('relayer.json', {
      chainId: 31_337,
      rpcUrls: [anvil.url],
      finality: 0,
      hosts: contracts.hosts,
      kmsAuth,
      verifier: contracts.quoteVerifier,
      rootKeys: contracts.rootKeys,
      governor: contracts.governor,
      port: ports.relayer,
      operators: [{ name: 'ops', tokenSha256: 'ab'.repeat(32) }],
      dataFolder: 'relayer',
      privateKey: anvilKeys[0],
      allowInsecureKey: true,
      pccsUrls: [pccs],
      trustedRoot: { insecureRootFile: 'machine/root.der' },
    })
    await run('relayer doctor --config relayer.json', { exitCodes: [0, 1] })
    const url = await json.startService('relayer run --config relayer.json')
    await run(`relayer status --relayer-url ${url}`, { exitCodes: [0, 1] })
  })

  test('what owners of apps decide', async () => {
    await send(`app create --name second --release ${id('c1')} --device ${id('d1')}`)
    const app = (line: string) => send(`app ${line} --app second`)
    await write('manifest.json', { manifest_version: 2, name: 'second', runner: 'docker-compose' })
    await app('release manifest.json')
    await app(`devices add ${id('d2')}`)
    await app('tcb up-to-date')
    await app('variants tdx gcp-tdx')
    await app(`guardian ${guardian} --suspension 1h`)
    await app(`upgrade ${await createAgain('appImplementation')} --dry-run`)
    await app('supersede 2')
    await app('epoch 2')
    await app('notice 1s')
    await app('devices any --draft devices.json')
    await app('announce devices.json')
    await app(`withdraw ${(await run('app hash manifest.json')).composeHash}`)
    await app(`transfer-ownership ${other}`)
    await app(`accept-ownership --from ${other}`)
    await app(`renounce-upgrades --from ${other}`)
    await app(`renounce-ownership --from ${other}`)
    await send(`app register ${contracts.images}`)
  })

  test('what the DAO reads', async () => {
    await run('dao show')
    await run('dao proposals')
    await run('dao approvals os-image')
    await run('dao guardian show')
    await run('dao drill --app shop')
    await run('dao review root-draft.json')
    await run('deployment replay')
  })

  let proposal: string

  test('what the DAO decides about approvals', async () => {
    await write('evidence.json', evidence)
    await write('list.json', {
      title: 'Two images',
      approve: [{ kind: 'os-image', id: id('a3'), evidence }],
    })
    const { proposals } = await send(`dao approve os-image ${id('a2')} --evidence evidence.json`)
    proposal = proposals[0].id
    await run(`dao proposal ${proposal}`)
    await send('dao approve-list list.json')
    await send(`dao extend host ${kmsCvm.deviceId} --until no-end`)
    await send(
      `dao shorten host ${kmsCvm.deviceId} --until ${Math.floor(Date.now() / 1000) + 3_600}`,
    )
    await send(`dao withdraw os-image ${id('a1')}`)
    await send(`dao revoke os-image ${id('a1')}`)
    await send(`dao guardian suspend os-image ${id('a1')} --from ${guardian}`)
    await send(`dao guardian lift os-image ${id('a1')}`)
    await send(`dao guardian set ${other} --suspension 2h`)
    await send('dao set-voting --quorum 5')
    await send(`dao cancel ${proposal} --from ${guardian}`)
    await write('app-dao.json', {
      ...daoRules,
      token: { name: 'App', symbol: 'APP', holder: owner, supply: '10' },
    })
    await send('dao create app-dao.json --app shop')
  })

  test('what the DAO decides about images, hosts and the KMS', async () => {
    const { deviceId } = kmsCvm
    const registers = `0x${'1'.repeat(4 * 96)}`
    await write('fault.json', { fault: 'none' })
    await send(`image approve-measurements local-image tdx ${registers} --evidence evidence.json`)
    await send(`image set-name ${id('a1')} other-image`)
    await send('image close local-image')
    await send('image open local-image')
    await send(`host slash ${deviceId} ${owner} 1 ${other} --evidence fault.json`)
    await send('host set-bond-terms --minimum 200 --unbonding 2h')
    await send('host set-slash-limit deployed 2')
    await send('host set-rules --open yes')
    await send('host set-tcb-status SWHardeningNeeded accept')
    await send('host set-advisories deny INTEL-SA-00828')
    await send(`host set-operator ${deviceId} ${other}`)
    await send('kms set-gateway any')
  })

  test('what the DAO decides about the deployment', async () => {
    const kmsAuthCode = await createAgain('kmsAuthImplementation')
    await send(`deployment upgrade kmsAuth ${kmsAuthCode} --dry-run`)
    await send(`deployment set-app-implementation ${await createAgain('appImplementation')}`)
    await send('deployment set-images deployed')
    await send(`deployment set-verifier hosts ${contracts.quoteVerifier}`)
    await send('deployment set-activation-delay os-image 2d')
    await send(`deployment transfer-ownership images ${other}`)
    await send('deployment renounce-upgrades hostBonds')
    await send('deployment renounce-ownership images')
    await send('deployment accept-ownership images --via calldata')
  })

  test('what ends with time', async () => {
    const { deviceId } = kmsCvm
    const soon = Math.floor(Date.now() / 1000) + 60
    await send('app create --name third --any-device')
    await send(`app release manifest.json --app third --expires-at ${soon}`)
    await send(`host unbond ${deviceId} 800`)
    await run('simulate advance-time 2h')
    await send(`host withdraw-bond ${deviceId}`)
    const { composeHash } = await run('app hash manifest.json')
    await send(`dao mark-expired release ${composeHash} --app third`)
  })

  test('the fee of a request that nobody answered', async () => {
    expect((await run(`request show ${request}`)).state).toBe('refundable')
    await send(`request refund ${request}`)
    expect((await send('request withdraw')).amount).toBe('7')
  })

  test('what a host operator does after a firmware update, and the end of a proof', async () => {
    const { seed, at, name } = JSON.parse(
      await readFile(join(folder, 'machine/simulator.json'), 'utf8'),
    )
    const simulator = createSimulator({ seed: fromHex(seed, 'seed', 32), at })
    // the same processors with another platform key
    const { platformInstanceId } = simulator.createPlatform({ name })
    const updated = simulator.createPlatform({ name: 'updated', sgx: { platformInstanceId } })
    const deviceId = to0x(updated.deviceId)
    const { reportData, block } = await run(`host report-data ${owner}`)
    await anvil.client.mine({ blocks: 1 })
    const cvm = updated.createCvm({ image: createImage(), compose: '{}' })
    await writeFile(join(folder, 'updated.bin'), cvm.quote(fromHex(reportData, 'report data', 64)))
    await send(`host register updated.bin --block ${block}`)
    const deadline = Math.floor(Date.now() / 1000) + 86_400
    await send(
      `host sign-continuity ${kmsCvm.deviceId} ${deviceId} --deadline ${deadline} --out signed.json`,
    )
    await send('host continue signed.json')
    const later = createSimulator({ seed: fromHex(seed, 'seed', 32), at: at + 7_200 })
    await write('revoked.json', later.collateral({ pckCrl: { revoked: [updated.pckSerial] } }))
    await send('host upload-collateral revoked.json')
    await send(`host end-proof ${deviceId} updated.bin`)
  })

  test('every command of the table', () => {
    const answering = commands.filter(({ isService }) => isService !== true)
    const missing = answering
      .map(({ path }) => path.join(' '))
      .filter((path) => !json.ran.has(path))
    expect(missing).toEqual([])
  })
})
