/** The doctor's checks of the chain: RPC endpoints, account, contracts, and the on-chain collateral. */
import { formatEther, type PublicClient, type Transport } from 'viem'

import { hostsAbi, quoteVerifierAbi, rootKeysAbi } from '../../chain/abi.ts'
import { readHost } from '../../chain/registries/hosts.ts'
import { listApprovals } from '../../chain/registries/registry.ts'
import { qeIdentityFamily, readHeld, tcbInfoFamily } from '../../chain/verifier/collateral.ts'
import { equalBytes, fromHex, type Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { type DoctorFinding, examineSkew, failed, ok, warning } from '../../lib/doctor-finding.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import { readTrustedRoot } from '../../quote/certificates/certificate-chain.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import type { RelayerConfig } from '../config.ts'
import type { TransactionSigner } from '../signer/signer.ts'

/** Dependencies of the checks of the chain. */
export interface ChainDoctorOptions {
  /** Parsed settings. */
  readonly config: RelayerConfig
  /** One client per endpoint, in the order of `rpcUrls`. */
  readonly clients: readonly PublicClient<Transport>[]
  /** Opens the key or the remote signer; a failure becomes a finding. */
  readonly openSigner: () => Promise<TransactionSigner>
  /** Reads the root of trust in the settings; a failure becomes a finding. */
  readonly readRoot: () => Promise<TrustAnchor>
  /** Unix seconds. */
  readonly clock: Clock
}

/* ENDPOINTS */

/** Checks chain id, final block, block age and agreement of the RPC endpoints. */
export async function examineEndpoints({
  config,
  clients,
  clock,
}: ChainDoctorOptions): Promise<DoctorFinding[]> {
  const checks = await Promise.all(
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
  const findings: DoctorFinding[] = []
  const answering = checks.flatMap((endpoint) => (endpoint.chainId === undefined ? [] : [endpoint]))
  for (const endpoint of checks) {
    if (endpoint.chainId === undefined) {
      findings.push(failed(endpoint.name, 'no answer', 'Check its address; add another endpoint.'))
    } else if (endpoint.chainId !== config.chainId) {
      const found = `chain ${endpoint.chainId}, not ${config.chainId}`
      findings.push(failed(endpoint.name, found, 'Correct the endpoint or `chainId`.'))
    } else if (!endpoint.hasFinal) {
      findings.push(
        failed(
          endpoint.name,
          'it does not serve the final block',
          'Set `finality` to `safe` or to a number of blocks.',
        ),
      )
    } else {
      const age = clock() - Number(endpoint.latest.timestamp)
      findings.push(
        age > 600
          ? failed(endpoint.name, `its newest block is ${age} s old`, 'Replace it: it lags.')
          : ok(endpoint.name, `block ${endpoint.latest.number}, ${age} s old`),
      )
    }
  }
  findings.push(await examineAgreement(answering), ...examineQuorum(config, answering.length))
  const newest = answering.reduce((most, { latest }) => Math.max(most, Number(latest.timestamp)), 0)
  // the newest block cannot have a later time than now
  if (newest > 0) findings.push(examineSkew('clock', newest - clock(), 60))
  return findings
}

/**
 * Whether the endpoint serves the block that the finality rule needs. Some nodes do not know the tags `safe` and
 * `finalized`.
 */
async function servesFinality(client: PublicClient, { finality }: RelayerConfig): Promise<boolean> {
  if (!('tag' in finality)) return true
  return client.getBlock({ blockTag: finality.tag }).then(
    () => true,
    () => false,
  )
}

/**
 * Compares the genesis block and a recent block of all endpoints. Endpoints of different chains are a mistake in the
 * settings that would otherwise look like an outage.
 */
async function examineAgreement(
  checks: readonly { client: PublicClient; genesis: Hex | null; latest: { number: bigint } }[],
): Promise<DoctorFinding> {
  const check = 'agreement of the endpoints'
  if (checks.length < 2) return ok(check, 'nothing to compare')
  const height = checks.reduce(
    (least, { latest }) => (latest.number < least ? latest.number : least),
    checks[0]?.latest.number ?? 0n,
  )
  const common = height > 5n ? height - 5n : 0n
  const hashes = await Promise.all(
    checks.map(({ client }) =>
      client.getBlock({ blockNumber: common }).then(
        ({ hash }) => hash,
        () => 'none',
      ),
    ),
  )
  const isSame =
    new Set(hashes).size === 1 && new Set(checks.map(({ genesis }) => genesis)).size === 1
  return isSame
    ? ok(check, `the same block ${common}`)
    : failed(
        check,
        `different blocks ${common}`,
        'Find the endpoint that follows another chain and remove it.',
      )
}

/** Warns about a single endpoint, and fails if fewer than two of several answer. */
function examineQuorum({ rpcUrls }: RelayerConfig, answering: number): DoctorFinding[] {
  const check = 'number of endpoints'
  if (rpcUrls.length === 1) {
    return [
      warning(
        check,
        'one, so its answers are not compared',
        'Add an endpoint of another provider.',
      ),
    ]
  }
  if (answering >= 2) return [ok(check, `${answering} of ${rpcUrls.length} answer`)]
  return [failed(check, `${answering} answer, 2 are needed`, 'Repair or add endpoints.')]
}

/* SIGNER */

/** Gas of one registration with a raw quote, rounded up. */
const renewalGas = 500_000n

/** Checks the signer, the account's balance and its nonces. */
export async function examineSigner({
  config,
  clients,
  openSigner,
}: ChainDoctorOptions): Promise<DoctorFinding[]> {
  const { address } = await openSigner()
  const found = ok('signer', address)
  const [client] = clients
  if (client === undefined) return [found]
  try {
    return [
      found,
      examineBalance(config, address, await client.getBalance({ address })),
      await examineNonces(client, address),
    ]
  } catch {
    const nextStep = 'Repair the endpoint, then run the doctor again.'
    return [found, failed('balance', 'the first endpoint does not answer', nextStep)]
  }
}

/** Number of renewals that the balance pays at the fee cap. */
function examineBalance(config: RelayerConfig, address: Hex, balance: bigint): DoctorFinding {
  const check = 'balance'
  const enough = balance / (renewalGas * config.maxFeePerGasGwei)
  const words = `${formatEther(balance)} ether: ${enough} renewals at the fee cap`
  const nextStep = `Fund ${address}.`
  if (balance === 0n) return failed(check, words, nextStep)
  return enough < 10n ? warning(check, words, nextStep) : ok(check, words)
}

/** Transactions in the node's pool are either on their way or stuck. */
async function examineNonces(client: PublicClient, address: Hex): Promise<DoctorFinding> {
  const check = 'nonces'
  const [used, pending] = await Promise.all([
    client.getTransactionCount({ address, blockTag: 'latest' }),
    client.getTransactionCount({ address, blockTag: 'pending' }),
  ])
  return pending <= used
    ? ok(check, `${used} used, nothing waits`)
    : warning(
        check,
        `${used} used, ${pending - used} wait in the pool`,
        'Normal while the relayer runs. If it does not run, another program sends from this account.',
      )
}

/* CONTRACTS */

const contractNames = ['hosts', 'kmsAuth', 'rootKeys', 'verifier', 'governor'] as const

/** Checks that the configured contracts exist and fit together. */
export async function examineContracts(options: ChainDoctorOptions): Promise<DoctorFinding[]> {
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
  if (findings.some(({ status }) => status === 'failed')) return findings
  return [...findings, ...(await examineVerifier(options, client))]
}

/** All registries must use the configured verifier, with the same root of trust as the relayer. */
async function examineVerifier(
  { config, readRoot }: ChainDoctorOptions,
  client: PublicClient,
): Promise<DoctorFinding[]> {
  const { verifier, hosts, rootKeys } = config
  if (verifier === undefined) return []
  const findings: DoctorFinding[] = []
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
        : failed(`verifier of ${name}`, `it uses ${asked}`, 'Set `verifier` to that address.'),
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
      ? ok('root of trust', 'the same in the settings and on-chain')
      : failed(
          'root of trust',
          'the on-chain verifier has another root of trust',
          'Set `trustedRoot` to the one with which the verifier was deployed.',
        ),
  )
  return findings
}

function word(value: bigint): string {
  return value.toString(16).padStart(64, '0')
}

/* COLLATERAL */

/** Without these no quote verifies: TCB signing certificate, root CRL, CRL of the first Platform CA. */
const commonParts = ['issuer:3', 'crl:0', 'crl:1'] as const

/** CRLs of further CAs that the store may hold: the first Processor CA, and those that Intel adds (9 to 16). */
const furtherCrls = [2, 9, 10, 11, 12, 13, 14, 15, 16].map((issuer) => `crl:${issuer}`)

/** Hosts of which the doctor reads the platform family; more would take minutes on a public endpoint. */
const mostHosts = 1_000

/**
 * The collateral in the on-chain store: is everything there that registered hosts need, and for how long.
 *
 * Needed are the common parts, what the services have for the configured families, and for each platform family of a
 * host the TCB info and the QE identity that the verifier uses now. CRLs of further CAs only warn: the chain does not
 * tell which CA issued a host's certificate.
 *
 * @param served names of the parts that the collateral services have for the configured families
 * @param families FMSPCs of hosts that the relayer's database knows, as hex without prefix
 */
export async function examineHeld(
  { config, clients, clock }: ChainDoctorOptions,
  served: readonly string[],
  families: readonly string[] = [],
): Promise<DoctorFinding[]> {
  const { verifier, keepCollateral, refreshBefore } = config
  const [client] = clients
  if (verifier === undefined || client === undefined) return []
  const check = 'collateral on chain'
  const at = clock()
  const used = [...families.map(toFamily), ...(await familiesOfHosts(client, config, at))]
  const documents = await documentsInUse(client, verifier, used, at)
  const names = [...new Set([...commonParts, ...served, ...documents])]
  const held = await mapWithConcurrency(names, async (name) => ({
    name,
    ...(await readHeld(client, verifier, name)),
  }))
  const over = held.filter(({ until }) => until <= at).map(({ name }) => name)
  if (over.length > 0) {
    const found = `missing or expired: ${listed(over)}`
    return [
      keepCollateral
        ? warning(check, found, 'Nothing: the collateral job uploads it after the start.')
        : failed(check, found, 'Set `keepCollateral`, or upload it with a task.'),
    ]
  }
  const further = await expiredCrls(client, verifier, at)
  if (further.length > 0) {
    const found = `expired: ${listed(further)}`
    return [warning(check, found, 'Upload them if hosts have certificates of these CAs.')]
  }
  const first = held.reduce((a, b) => (b.until < a.until ? b : a))
  const found = `${first.name} ends first, on ${dateOf(first.until)}`
  return [
    first.until - at < refreshBefore / 2
      ? warning(check, found, 'Uploads are late: see collateral_service_failures_total.')
      : ok(check, found),
  ]
}

/** A finding is one line: of many names it shows the first ten. */
function listed(names: readonly string[]): string {
  const rest = names.length - 10
  return names.slice(0, 10).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

function toFamily(fmspc: string): Hex {
  return tcbInfoFamily(fromHex(fmspc, 'fmspc', 6))
}

/** Platform families of the hosts that are approved or have an agent, while their host proofs last. */
async function familiesOfHosts(
  client: PublicClient,
  { hosts, hostAgents }: RelayerConfig,
  at: number,
): Promise<Hex[]> {
  if (hosts === undefined) return []
  const approvals = await listApprovals(client, hosts, 'host')
  const ids = new Set([
    ...hostAgents.map(({ deviceId }) => deviceId),
    ...approvals.map(({ id }) => id),
  ])
  const found = await mapWithConcurrency([...ids].slice(0, mostHosts), (id) =>
    readHost(client, hosts, id),
  )
  return found.flatMap(({ fmspc, expiresAt }) => (expiresAt > at ? [toFamily(fmspc)] : []))
}

/** Names of the TCB infos and of the QE identity that the verifier uses for these families. */
async function documentsInUse(
  client: PublicClient,
  verifier: Hex,
  families: readonly Hex[],
  at: number,
): Promise<string[]> {
  if (families.length === 0) return []
  const contract = { address: verifier, abi: quoteVerifierAbi } as const
  const { standard, standardUntil } = await client.readContract({
    ...contract,
    functionName: 'freshness',
  })
  // while no list of evaluation numbers is valid, the verifier uses the highest number that it holds
  const highest = at <= standardUntil ? standard : 255
  return mapWithConcurrency([...new Set([...families, qeIdentityFamily])], async (family) => {
    const held = await client.readContract({
      ...contract,
      functionName: 'heldNumbers',
      args: [family],
    })
    return `document:${family}:${highestBit(held, highest)}`
  })
}

/** The highest set bit that is not above `most`; 0 where there is none: no document has that number. */
function highestBit(bits: bigint, most: number): number {
  for (let bit = most; bit > 0; bit--) if ((bits >> BigInt(bit)) & 1n) return bit
  return 0
}

/**
 * Names of expired CRLs among those that the store has. A CRL that was never stored is not reported: no host may need
 * it.
 */
async function expiredCrls(client: PublicClient, verifier: Hex, at: number): Promise<string[]> {
  const held = await mapWithConcurrency(furtherCrls, async (name) => ({
    name,
    ...(await readHeld(client, verifier, name)),
  }))
  return held.flatMap(({ name, issuedAt, until }) => (issuedAt > 0 && until <= at ? [name] : []))
}

/** The day of a time in unix seconds, as `YYYY-MM-DD` in UTC. */
export function dateOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().slice(0, 10)
}
