/** `assent relayer doctor`: looks at everything that the relayer needs, and says what to do about it. */
import { access, constants } from 'node:fs/promises'
import path from 'node:path'

import pg from 'pg'
import { formatEther, type PublicClient, type Transport } from 'viem'

import { hostsAbi, quoteVerifierAbi, rootKeysAbi } from '../chain/abi.ts'
import { AssentError } from '../errors/index.ts'
import { equalBytes, fromHex, type Hex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { readTrustedRoot } from '../quote/chain.ts'
import { fetchCollateral } from '../quote/pccs.ts'
import type { TrustAnchor } from '../quote/trust-anchor.ts'
import type { RelayerConfig } from './config.ts'
import { countMigrations } from './database.ts'
import type { TransactionSigner } from './signer.ts'

export type Verdict = 'ok' | 'warning' | 'failed'

export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  readonly found: string
  /** What to do; null where nothing is. */
  readonly todo: string | null
}

export interface DoctorOptions {
  readonly config: RelayerConfig
  readonly clients: readonly PublicClient<Transport>[]
  readonly openSigner: () => Promise<TransactionSigner>
  readonly readRoot: () => Promise<TrustAnchor>
  readonly clock: Clock
}

/** Every check, also after one failed. Changes nothing anywhere. */
export async function examine(options: DoctorOptions): Promise<Finding[]> {
  const groups = await Promise.all([
    guard('database', () => examineDatabase(options.config)),
    guard('endpoints', () => examineEndpoints(options)),
    guard('signer', () => examineSigner(options)),
    guard('contracts', () => examineContracts(options)),
    guard('collateral services', () => examineServices(options.config)),
    guard('agents', () => examineAgents(options.config)),
  ])
  return groups.flat()
}

/** 0: fit. 1: something failed. Warnings do not count. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 1 {
  return findings.some(({ verdict }) => verdict === 'failed') ? 1 : 0
}

/** A check that throws has failed; the others go on. */
async function guard(check: string, run: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof AssentError) return [failed(check, error.message, error.hint)]
    const words = error instanceof Error ? error.name : 'an unknown error'
    return [failed(check, `it could not be examined (${words})`, 'See docs/operate-relayer.md.')]
  }
}

function ok(check: string, found: string): Finding {
  return { check, verdict: 'ok', found, todo: null }
}

function warning(check: string, found: string, todo: string): Finding {
  return { check, verdict: 'warning', found, todo }
}

function failed(check: string, found: string, todo: string): Finding {
  return { check, verdict: 'failed', found, todo }
}

/* DATABASE */

async function examineDatabase({ databaseUrl, dataFolder }: RelayerConfig): Promise<Finding[]> {
  if (databaseUrl === undefined) return [await examineFolder(dataFolder)]
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 })
  try {
    await client.connect()
  } catch {
    // the URL carries a password, and so may the error
    return [
      failed('database', 'the server does not answer', 'Check the URL, the user and the network.'),
    ]
  }
  try {
    const { rows } = await client.query('select now() as now')
    const skew = Math.round((Date.now() - new Date(rows[0].now).getTime()) / 1_000)
    return [await examineMigrations(client), examineSkew('clock of the database', skew, 30)]
  } finally {
    await client.end()
  }
}

async function examineMigrations(client: pg.Client): Promise<Finding> {
  const check = 'migrations'
  const known = await countMigrations()
  const applied = await client
    .query('select count(*)::int as count from drizzle.__drizzle_migrations')
    .then(({ rows }) => rows[0].count as number)
    .catch(() => 0)
  if (applied === known) return ok(check, `${applied} of ${known} applied`)
  if (applied < known) {
    return warning(
      check,
      `${applied} of ${known} applied`,
      'Nothing: the next start applies the others. Make a backup before it.',
    )
  }
  return failed(
    check,
    `${applied} applied, ${known} known`,
    'A newer relayer has used this database: run that version.',
  )
}

async function examineFolder(folder: string): Promise<Finding> {
  const check = 'database'
  for (const place of [folder, path.dirname(path.resolve(folder))]) {
    try {
      await access(place, constants.W_OK)
      return ok(check, `embedded, in ${folder}`)
    } catch {}
  }
  return failed(
    check,
    `${folder} cannot be written`,
    'Give the user of the relayer the folder, or set `dataFolder`.',
  )
}

/* CHAIN */

async function examineEndpoints({ config, clients, clock }: DoctorOptions): Promise<Finding[]> {
  const looks = await Promise.all(
    clients.map(async (client, index) => {
      const name = `endpoint ${new URL(config.rpcUrls[index] ?? 'http://unknown').host}`
      try {
        const [chainId, latest, first] = await Promise.all([
          client.getChainId(),
          client.getBlock(),
          client.getBlock({ blockNumber: 0n }),
        ])
        const hasFinal = await servesFinality(client, config)
        return { name, client, chainId, latest, genesis: first.hash, hasFinal }
      } catch {
        return { name, client, chainId: undefined }
      }
    }),
  )
  const findings: Finding[] = []
  const answering = looks.flatMap((look) => (look.chainId === undefined ? [] : [look]))
  for (const look of looks) {
    if (look.chainId === undefined) {
      findings.push(failed(look.name, 'no answer', 'Check its address; add another endpoint.'))
    } else if (look.chainId !== config.chainId) {
      const found = `chain ${look.chainId}, not ${config.chainId}`
      findings.push(failed(look.name, found, 'Correct the endpoint or `chainId`.'))
    } else if (!look.hasFinal) {
      findings.push(
        failed(
          look.name,
          'it does not know the final block',
          'Set `finality` to `safe` or a depth.',
        ),
      )
    } else {
      const age = clock() - Number(look.latest.timestamp)
      findings.push(
        age > 600
          ? failed(look.name, `its newest block is ${age} s old`, 'Replace it: it lags.')
          : ok(look.name, `block ${look.latest.number}, ${age} s old`),
      )
    }
  }
  findings.push(await examineAgreement(answering), ...examineQuorum(config, answering.length))
  const newest = answering.reduce((most, { latest }) => Math.max(most, Number(latest.timestamp)), 0)
  if (newest > 0) findings.push(examineSkew('clock', newest - clock(), 60))
  return findings
}

async function servesFinality(client: PublicClient, { finality }: RelayerConfig): Promise<boolean> {
  if (!('tag' in finality)) return true
  return client.getBlock({ blockTag: finality.tag }).then(
    () => true,
    () => false,
  )
}

async function examineAgreement(
  looks: readonly { client: PublicClient; genesis: Hex | null; latest: { number: bigint } }[],
): Promise<Finding> {
  const check = 'agreement of the endpoints'
  if (looks.length < 2) return ok(check, 'nothing to compare')
  const height = looks.reduce(
    (least, { latest }) => (latest.number < least ? latest.number : least),
    looks[0]?.latest.number ?? 0n,
  )
  const common = height > 5n ? height - 5n : 0n
  const hashes = await Promise.all(
    looks.map(({ client }) =>
      client.getBlock({ blockNumber: common }).then(
        ({ hash }) => hash,
        () => 'none',
      ),
    ),
  )
  const isSame =
    new Set(hashes).size === 1 && new Set(looks.map(({ genesis }) => genesis)).size === 1
  return isSame
    ? ok(check, `the same block ${common}`)
    : failed(check, `different blocks ${common}`, 'Find the one on another chain and remove it.')
}

function examineQuorum({ rpcUrls }: RelayerConfig, answering: number): Finding[] {
  const check = 'number of endpoints'
  if (rpcUrls.length === 1) {
    return [warning(check, 'one, which is believed', 'Add a second one of another operator.')]
  }
  if (answering >= 2) return [ok(check, `${answering} of ${rpcUrls.length} answer`)]
  return [failed(check, `${answering} answer, 2 must`, 'Repair or add endpoints.')]
}

/** The chain's newest block cannot be from the future. */
function examineSkew(check: string, ahead: number, tolerance: number): Finding {
  return Math.abs(ahead) > tolerance && ahead > 0
    ? failed(check, `${ahead} s apart`, 'Synchronise the clock of this machine (NTP).')
    : ok(check, `within ${tolerance} s`)
}

/* SIGNER */

/** Gas of one raw registration, rounded up. */
const renewalGas = 500_000n

async function examineSigner({ config, clients, openSigner }: DoctorOptions): Promise<Finding[]> {
  const signer = await openSigner()
  const found = ok('signer', signer.address)
  const [client] = clients
  if (client === undefined) return [found]
  const balance = await client.getBalance({ address: signer.address }).catch(() => undefined)
  if (balance === undefined) return [found]
  const enough = balance / (renewalGas * config.maxFeePerGasGwei)
  const words = `${formatEther(balance)} ether: ${enough} renewals at the fee cap`
  if (balance === 0n) return [found, failed('balance', words, `Fund ${signer.address}.`)]
  return [
    found,
    enough < 10n ? warning('balance', words, `Fund ${signer.address}.`) : ok('balance', words),
  ]
}

/* CONTRACTS */

const contractNames = ['hosts', 'kmsAuth', 'rootKeys', 'verifier', 'governor'] as const

async function examineContracts(options: DoctorOptions): Promise<Finding[]> {
  const { config, clients } = options
  const [client] = clients
  if (client === undefined) return []
  const given = contractNames.flatMap((name) => {
    const address = config[name]
    return address === undefined ? [] : [{ name, address }]
  })
  if (given.length === 0) {
    return [warning('contracts', 'none is configured', 'Set `hosts`, `verifier` and the others.')]
  }
  const findings = await Promise.all(
    given.map(async ({ name, address }) => {
      const code = await client.getCode({ address })
      return code === undefined || code === '0x'
        ? failed(name, `there is no code at ${address}`, 'Correct the address or the chain.')
        : ok(name, `${(code.length - 2) / 2} bytes of code`)
    }),
  )
  if (findings.some(({ verdict }) => verdict === 'failed')) return findings
  return [...findings, ...(await examineVerifier(options, client))]
}

/** All registries ask one verifier, and it trusts the same root as the relayer. */
async function examineVerifier(
  { config, readRoot }: DoctorOptions,
  client: PublicClient,
): Promise<Finding[]> {
  const { verifier, hosts, rootKeys } = config
  if (verifier === undefined) return []
  const findings: Finding[] = []
  const askers = [
    { name: 'hosts', address: hosts, abi: hostsAbi },
    { name: 'rootKeys', address: rootKeys, abi: rootKeysAbi },
  ]
  for (const { name, address, abi } of askers) {
    if (address === undefined) continue
    const asked = (await client.readContract({
      address,
      abi: abi as typeof hostsAbi,
      functionName: 'verifier',
    })) as Hex
    findings.push(
      asked.toLowerCase() === verifier
        ? ok(`verifier of ${name}`, verifier)
        : failed(`verifier of ${name}`, `it asks ${asked}`, 'Set `verifier` to that address.'),
    )
  }
  const [x, y] = await client.readContract({
    address: verifier,
    abi: quoteVerifierAbi,
    functionName: 'rootKey',
  })
  const onChain = fromHex(`0x04${word(x)}${word(y)}`, 'root key', 65)
  const { point } = readTrustedRoot(await readRoot()).key
  const isSame = equalBytes(point.length === 64 ? onChain.subarray(1) : onChain, point)
  findings.push(
    isSame
      ? ok('root of trust', 'the same here and on chain')
      : failed(
          'root of trust',
          'the verifier on chain trusts another root',
          'Set `trustedRoot` to the one with which the verifier was deployed.',
        ),
  )
  return findings
}

function word(value: bigint): string {
  return value.toString(16).padStart(64, '0')
}

/* OUTSIDE */

async function examineServices({ pccsUrls, families }: RelayerConfig): Promise<Finding[]> {
  if (pccsUrls === undefined) {
    return [
      warning('collateral services', 'a fixed file is used', 'Set `pccsUrls` for real quotes.'),
    ]
  }
  return Promise.all(
    pccsUrls.map(async (url) => {
      const check = `collateral service ${new URL(url).host}`
      const todo = 'Check that it runs and serves this platform; add another one.'
      const [family] = families
      try {
        if (family === undefined) return await knock(check, url)
        await fetchCollateral(family, 'standard', { urls: [url], timeoutMs: 10_000 })
        return ok(check, `it serves ${family.fmspc}`)
      } catch (error) {
        const cause = error instanceof AssentError ? error.cause : undefined
        return failed(check, cause instanceof Error ? cause.message : 'no answer', todo)
      }
    }),
  )
}

/** Without a platform to ask for: the list that every service has. */
async function knock(check: string, url: string): Promise<Finding> {
  const target = `${url.replace(/\/+$/, '')}/sgx/certification/v4/pckcrl?ca=platform&encoding=der`
  const { status } = await fetch(target, { signal: AbortSignal.timeout(10_000) })
  return status === 200
    ? ok(check, 'it answers')
    : failed(check, `status ${status}`, 'Check that it is a PCS or PCCS of API version 4.')
}

async function examineAgents({ agents }: RelayerConfig): Promise<Finding[]> {
  return Promise.all(
    agents.map(async (agent) => {
      const check = `agent of ${agent.deviceId.slice(0, 10)}…`
      const file = 'socket' in agent ? agent.socket : agent.tokenFile
      if (file === undefined) return warning(check, 'no token', 'Protect the hook with a token.')
      try {
        await access(file, constants.R_OK)
        return ok(check, 'socket' in agent ? agent.socket : new URL(agent.url).host)
      } catch {
        return failed(check, `${file} cannot be opened`, 'Check the path and its permissions.')
      }
    }),
  )
}
