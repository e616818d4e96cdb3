/** The doctor on a set-up that is fit, and on every way in which one can be broken. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

import pg from 'pg'
import { createPublicClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { uploadCollateral } from '../../src/chain/verifier/collateral.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { type RelayerConfig, readRelayerConfig } from '../../src/relayer/config.ts'
import { openDatabase } from '../../src/relayer/database/database.ts'
import {
  type DoctorFinding,
  type DoctorOptions,
  examine,
  exitCodeOf,
} from '../../src/relayer/doctor/doctor.ts'
import { connectRemoteSigner, createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { type AgentServer, serveAgent } from '../../src/tee/simulator/agent/agent.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator, simulatedFmspc } from '../../src/tee/simulator/simulator.ts'
import { type Anvil, anvilKeys, findAnvil, startAnvil } from '../anvil.ts'
import { type PostgresServer, startPostgres } from '../postgres.ts'
import { hasServer } from './databases.ts'
import { createFixture, createWallet, type RelayerFixture, socketPath } from './fixture.ts'
import { type PccsFault, type PccsServer, startPccs } from './pccs-server.ts'

const absent = findAnvil() === undefined || !hasServer
if (absent) console.warn('\n*** ANVIL OR POSTGRES ABSENT: the doctor is SKIPPED. ***\n')

const day = 86_400

describe.skipIf(absent)('assent relayer doctor', () => {
  let fixture: RelayerFixture
  let other: Anvil
  let postgres: PostgresServer
  let databaseUrl: string
  let pccs: PccsServer
  let socket: AgentServer
  let hook: { url: string; status: number; asked: string[]; stop(): void }
  let tokenFile: string
  const deviceId: Hex = `0x${'11'.repeat(32)}`

  beforeAll(async () => {
    fixture = await createFixture()
    other = await startAnvil({ args: ['--timestamp', '1700000000'] })
    postgres = await startPostgres()
    databaseUrl = await postgres.createDatabase()
    await (await openDatabase({ url: databaseUrl })).close()
    const { simulator, clock } = fixture
    const impostor = createSimulator({ seed: new Uint8Array(32).fill(66), at: clock() })
    pccs = await startPccs({ simulator, clock, impostor })
    const cvm = simulator.createPlatform().createCvm({ image: createImage(), compose: '{}' })
    socket = await serveAgent(cvm, await socketPath('doctor'))
    hook = await startHook()
    tokenFile = path.join(await mkdtemp(path.join(tmpdir(), 'assent-doctor-')), 'token')
    await writeFile(tokenFile, 'hook-token\n')
    await uploadCollateral(
      fixture.dao.clients.stranger,
      fixture.addresses.quoteVerifier,
      parseCollateral(simulator.collateral({ issuedAt: clock() - day })),
    )
  })
  beforeEach(() => {
    pccs.fault = undefined
    hook.status = 404
    hook.asked.length = 0
  })
  afterAll(async () => {
    hook?.stop()
    await socket?.close()
    await pccs?.stop()
    await postgres?.stop()
    await other?.stop()
    await fixture?.stop()
  })

  /** Answers as a hook that takes POST only. */
  async function startHook() {
    const state = { url: '', status: 404, asked: [] as string[], stop() {} }
    const server = createServer((request, response) => {
      const isKnown = request.headers.authorization === 'Bearer hook-token'
      state.asked.push(`${request.method}`)
      response.writeHead(isKnown ? state.status : 401).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/quote`
    state.stop = () => {
      server.close()
      server.closeAllConnections()
    }
    return state
  }

  async function configure(changes: Record<string, unknown> = {}): Promise<RelayerConfig> {
    const settings = {
      chainId: 31_337,
      rpcUrls: [fixture.anvil.url, fixture.anvil.url.replace('127.0.0.1', 'localhost')],
      finality: 'finalized',
      hosts: fixture.addresses.hosts,
      kmsAuth: fixture.addresses.kmsAuth,
      rootKeys: fixture.addresses.rootKeys,
      verifier: fixture.addresses.quoteVerifier,
      governor: fixture.addresses.governor,
      operators: [{ name: 'ops', tokenSha256: 'ab'.repeat(32) }],
      databaseUrl,
      privateKey: anvilKeys[1],
      allowInsecureKey: true,
      pccsUrls: [pccs.url],
      families: [{ fmspc: simulatedFmspc, ca: 'platform' }],
      trustedRoot: 'intel',
      hostAgents: [
        { deviceId, socket: socket.socket },
        { deviceId, url: hook.url, operator: createWallet().address, tokenFile },
      ],
      ...changes,
    }
    const file = path.join(await mkdtemp(path.join(tmpdir(), 'assent-doctor-')), 'relayer.json')
    await writeFile(file, JSON.stringify(settings))
    return readRelayerConfig({}, file)
  }

  async function look(
    changes: Record<string, unknown> = {},
    options: Partial<DoctorOptions> = {},
  ): Promise<DoctorFinding[]> {
    const config = await configure(changes)
    return examine({
      config,
      clients: config.rpcUrls.map((url) =>
        createPublicClient({ transport: http(url, { retryCount: 0 }), cacheTime: 0 }),
      ),
      openSigner: async () => createLocalSigner(anvilKeys[1]),
      readRoot: async () => fixture.simulator.rootCertificate,
      clock: fixture.clock,
      ...options,
    })
  }

  const bad = (findings: readonly DoctorFinding[]) =>
    findings.filter(({ status }) => status !== 'ok').map(({ check, status }) => [check, status])

  test('reports nothing for a working setup, and lists every part of it', async () => {
    const findings = await look()

    expect(bad(findings)).toEqual([])
    expect(exitCodeOf(findings)).toBe(0)
    expect(
      findings.map(({ check }) => check.replace(/(?:127\.0\.0\.1|localhost):\d+/, 'here')).sort(),
    ).toEqual([
      'agent of 0x11111111…',
      'agent of 0x11111111…',
      'agreement of the endpoints',
      'balance',
      'clock',
      'clock of the database',
      'collateral on chain',
      'collateral service here',
      'endpoint here',
      'endpoint here',
      'governor',
      'hosts',
      'kmsAuth',
      'migrations',
      'nonces',
      'number of endpoints',
      'outbox',
      'root of trust',
      'rootKeys',
      'signer',
      'verifier',
      'verifier of hosts',
      'verifier of rootKeys',
    ])
    // A quote is work for the machine: the hook was only knocked at.
    expect(hook.asked).toEqual(['GET'])
  })

  const nowhere = 'http://127.0.0.1:1'
  const empty: Hex = '0x00000000000000000000000000000000000000ee'

  /** The fault, the change that causes it, and the checks that must fail. */
  const broken: readonly (readonly [string, () => Record<string, unknown>, readonly string[]])[] = [
    [
      'an endpoint is away',
      () => ({ rpcUrls: [fixture.anvil.url, nowhere] }),
      ['endpoint 127.0.0.1:1', 'number of endpoints'],
    ],
    [
      'an endpoint is of another chain with the same id',
      () => ({ rpcUrls: [fixture.anvil.url, other.url] }),
      ['agreement of the endpoints', 'endpoint'],
    ],
    ['the chain id is another', () => ({ chainId: 1 }), ['endpoint', 'endpoint']],
    ['an address has no code', () => ({ governor: empty }), ['governor']],
    [
      'the verifier is another contract than the registries ask',
      () => ({ verifier: fixture.addresses.hosts }),
      ['collateral', 'contracts'],
    ],
    [
      'the database is away',
      () => ({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none' }),
      ['database'],
    ],
    ['a service is away', () => ({ pccsUrls: [nowhere] }), ['collateral service 127.0.0.1:1']],
    [
      'a service is away, and no platform is named',
      () => ({ pccsUrls: [nowhere], families: [] }),
      ['collateral service 127.0.0.1:1'],
    ],
    [
      'the socket of an agent is not there',
      () => ({ hostAgents: [{ deviceId, socket: '/nowhere/agent.sock' }] }),
      ['agent of 0x11111111…'],
    ],
    [
      'a hook is away',
      () => ({
        hostAgents: [{ deviceId, url: nowhere, operator: createWallet().address, tokenFile }],
      }),
      ['agent of 0x11111111…'],
    ],
    [
      'the file of a token is not there',
      () => ({
        hostAgents: [
          {
            deviceId,
            url: hook.url,
            operator: createWallet().address,
            tokenFile: '/nowhere/token',
          },
        ],
      }),
      ['agent of 0x11111111…'],
    ],
  ]
  test.each(broken)('%s', async (_name, change, checks) => {
    const findings = await look(change())

    const failures = findings.filter(({ status }) => status === 'failed')
    expect(failures.map(({ check }) => check).sort()).toEqual(
      [...checks].sort().map((check) => expect.stringContaining(check)),
    )
    for (const { nextStep } of failures) expect(nextStep).toMatch(/\w/)
    expect(exitCodeOf(findings)).toBe(1)
  })

  test.each<PccsFault>(['down', 'unknown', 'outdated', 'tampered', 'another-authority', 'html'])(
    'fails for a service that is %s',
    async (fault) => {
      pccs.fault = fault
      expect(bad(await look())).toEqual([[expect.stringContaining('collateral service'), 'failed']])
    },
  )

  test('fails for an agent hook that refuses the token or does not answer', async () => {
    hook.status = 403
    expect(bad(await look())).toEqual([['agent of 0x11111111…', 'failed']])
    hook.status = 502
    expect(bad(await look())).toEqual([['agent of 0x11111111…', 'failed']])
  })

  test('fails for an account without funds and warns about one with little', async () => {
    const poor = createWallet()
    const openSigner = async () => createLocalSigner(poor.key)
    expect(bad(await look({}, { openSigner }))).toEqual([['balance', 'failed']])

    await fixture.anvil.client.setBalance({ address: poor.address, value: 10n ** 17n })
    expect(bad(await look({}, { openSigner }))).toEqual([['balance', 'warning']])
  })

  test('warns about a transaction that waits in the mempool', async () => {
    const account = privateKeyToAccount(anvilKeys[1])
    const { client } = fixture.anvil
    await client.setAutomine(false)
    try {
      const raw = await account.signTransaction({
        chainId: foundry.id,
        to: account.address,
        gas: 21_000n,
        maxFeePerGas: 10n ** 11n,
        maxPriorityFeePerGas: 10n ** 9n,
        nonce: await client.getTransactionCount({ address: account.address }),
        type: 'eip1559',
      })
      await client.sendRawTransaction({ serializedTransaction: raw })
      expect(bad(await look())).toEqual([['nonces', 'warning']])
    } finally {
      await client.mine({ blocks: 1 })
      await client.setAutomine(true)
    }
  })

  test('fails for a remote signer that does not answer', async () => {
    const account = createWallet().address
    const openSigner = () => connectRemoteSigner({ url: nowhere, account })
    expect(bad(await look({}, { openSigner }))).toEqual([['signer', 'failed']])
  })

  test('fails for a root of trust that differs from the on-chain verifier', async () => {
    const stranger = createSimulator({ seed: new Uint8Array(32).fill(3), at: fixture.clock() })
    const findings = bad(await look({}, { readRoot: async () => stranger.rootCertificate }))
    // Nor are the documents of the service signed under it.
    expect(findings).toEqual([
      ['root of trust', 'failed'],
      [expect.stringContaining('collateral service'), 'failed'],
    ])
  })

  test('fails for a database of a newer relayer, and for an empty one', async () => {
    const fresh = await postgres.createDatabase()
    expect(bad(await look({ databaseUrl: fresh }))).toEqual([['migrations', 'warning']])

    const newer = await postgres.createDatabase()
    await (await openDatabase({ url: newer })).close()
    await query(
      newer,
      `insert into drizzle.__drizzle_migrations (hash, created_at) values ('x', 9999999999999)`,
    )
    expect(bad(await look({ databaseUrl: newer }))).toEqual([['migrations', 'failed']])
  })

  test('fails for intents that do not progress', async () => {
    const stuck = await postgres.createDatabase()
    await (await openDatabase({ url: stuck })).close()
    await query(
      stuck,
      `insert into intents (id, chain_id, kind, key, payload, state, created_at, not_before, refusals, version)
       values ('1', 31337, 'host', 'k', '{}', 'queued', 1, 1, 0, 0)`,
    )
    expect(bad(await look({ databaseUrl: stuck }))).toEqual([['outbox', 'warning']])
  })

  test('fails for on-chain collateral that has expired, and warns before that', async () => {
    const late = (seconds: number) => ({ clock: () => fixture.clock() + seconds })
    const onChain = (findings: readonly DoctorFinding[]) =>
      findings.filter(({ check }) => check === 'collateral on chain').map(({ status }) => status)

    expect(onChain(await look({}, late(27 * day)))).toEqual(['warning'])
    expect(onChain(await look({}, late(40 * day)))).toEqual(['failed'])
    // Where the keeper brings it, the next start will.
    expect(onChain(await look({ keepCollateral: true }, late(40 * day)))).toEqual(['warning'])
  })

  test('reports an endpoint with old blocks and a slow clock', async () => {
    const failing = async (shift: number) =>
      bad(await look({}, { clock: () => fixture.clock() + shift }))
        .filter(([, status]) => status === 'failed')
        .map(([check]) => check)
    expect(await failing(3_600)).toEqual([
      expect.stringContaining('endpoint'),
      expect.stringContaining('endpoint'),
    ])
    expect(await failing(-3_600)).toContain('clock')
  })

  test('warns about a single endpoint and a hook without a token', async () => {
    const { address: operator } = createWallet()
    const findings = await look({
      rpcUrls: [fixture.anvil.url],
      hostAgents: [{ deviceId, url: pccs.url, operator }],
    })
    expect(bad(findings)).toEqual([
      ['number of endpoints', 'warning'],
      ['agent of 0x11111111…', 'warning'],
    ])
    expect(exitCodeOf(findings)).toBe(0)
  })

  test('prints no secret: neither the password of the database nor a token', async () => {
    const secret = 'pass-word-of-the-database'
    const findings = await look({ databaseUrl: `postgres://u:${secret}@127.0.0.1:1/none` })
    expect(JSON.stringify(findings)).not.toContain(secret)
    expect(JSON.stringify(findings)).not.toContain('hook-token')
  })
})

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(text)
  await client.end()
}
