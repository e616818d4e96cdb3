/**
 * A fleet through months of simulated time: real contracts on anvil, real quotes, a collateral service over
 * HTTP, agents and services that are away now and then. What lapsed, and what it cost, is read from the
 * chain alone: the relayer's own rows are not asked.
 */
import { getAbiItem, parseEventLogs, toFunctionSelector } from 'viem'

import { hostsAbi, quoteVerifierAbi } from '../../src/chain/abi.ts'
import { hostReportData } from '../../src/chain/registries/hosts.ts'
import { AssentError, isAssentError } from '../../src/errors/index.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { to0x } from '../../src/lib/bytes.ts'
import type { Collateral } from '../../src/quote/collateral/collateral.ts'
import { fetchCollateral } from '../../src/quote/collateral/pccs.ts'
import { hosts as table } from '../../src/relayer/database/schema.ts'
import {
  createHostTarget,
  createRecordTarget,
  type Targets,
} from '../../src/relayer/outbox/intent-targets.ts'
import {
  createCollateralTarget,
  createCollateralUpdater,
} from '../../src/relayer/upkeep/collateral.ts'
import { watchHosts } from '../../src/relayer/upkeep/host-events.ts'
import {
  insertHosts,
  type RenewalOptions,
  type RenewedHost,
  runRenewal,
} from '../../src/relayer/upkeep/renewal.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { simulatedFmspc } from '../../src/tee/simulator/simulator.ts'
import {
  createFixture,
  createFixtureVerifier,
  log,
  type RelayerFixture,
} from '../../test/relayer/fixture.ts'
import { createRandom, type Random } from '../../test/relayer/model/random.ts'
import { type PccsServer, startPccs } from '../../test/relayer/pccs-server.ts'

export interface FleetOptions {
  readonly machines: number
  readonly days: number
  readonly seed?: number
  /** Seconds between two looks, in calm and in trouble. */
  readonly step?: number
  /** When the agent of a machine does not answer; without it, now and then for up to two days. */
  readonly absences?: (machine: number) => readonly Period[]
  /** When no service gives collateral; without it, now and then for up to two days. */
  readonly outages?: readonly Period[]
}

/** In seconds since the start; `to` is after it. */
export interface Period {
  readonly from: number
  readonly to: number
}

export interface FleetResult {
  /** Proofs that ended before a newer one was on chain, and machines that never had one. */
  readonly lapsed: number
  /** Registrations after the first of each machine. */
  readonly renewals: number
  /** Of proofs and records, all machines together. */
  readonly hostGas: number
  readonly collateralGas: number
  /** Renewals put off because an agent or the collateral service was away; with none, nothing was tried. */
  readonly troubles: number
}

const hour = 3_600
export const day = 24 * hour

/** As the service has them if nothing is said. */
const rules = {
  renewBefore: 5 * day,
  jitter: day,
  urgentBefore: day,
  maxBaseFee: 30n * 10n ** 9n,
  minimumExtension: 2 * day,
  minimumRemainingValidity: hour,
}
const refreshBefore = 7 * day

/** Between two looks; the service looks every minute, so a fleet that lives with this lives with that. */
const calmStep = 12 * hour
const troubledStep = 6 * hour

export async function runFleet(options: FleetOptions): Promise<FleetResult> {
  const fixture = await createFixture({ isOpen: true })
  const { simulator, clock } = fixture
  const pccs = await startPccs({ simulator, clock, kind: 'pccs' })
  try {
    return await live(fixture, pccs, options)
  } finally {
    await pccs.stop()
    await fixture.stop()
  }
}

async function live(
  fixture: RelayerFixture,
  pccs: PccsServer,
  options: FleetOptions,
): Promise<FleetResult> {
  const { clock } = fixture
  const { machines, days, step } = options
  const start = clock()
  const random = createRandom(options.seed ?? 90)
  const outages = options.outages ?? draw(random, days, 12, 1)
  const fleet = createFleet(fixture, options, random)
  const keeper = createBackgroundJob(fixture, pccs, fleet.machines)
  await keeper.enrol()
  const before = await fixture.client.getBlockNumber()

  for (let now = clock(); now < start + days * day; now = clock()) {
    const isOut = isWithin(outages, now - start)
    pccs.fault = isOut ? 'down' : undefined
    const isTroubled = await keeper.run()
    await pass(fixture, step ?? (isOut || isTroubled ? troubledStep : calmStep))
  }
  const story = await readStory(fixture, before + 1n)
  return {
    ...(await countLapses(fixture, story, machines)),
    troubles: fleet.unanswered + keeper.unserved(),
  }
}

/** The chain's time follows ours, which waits for the outbox too. */
async function pass(
  { anvil, client, clock, pass }: RelayerFixture,
  seconds: number,
): Promise<void> {
  await pass(seconds)
  const { timestamp } = await client.getBlock()
  if (timestamp >= BigInt(clock())) return
  await anvil.client.setNextBlockTimestamp({ timestamp: BigInt(clock()) })
  await anvil.client.mine({ blocks: 1 })
}

/* TROUBLE */

function isWithin(periods: readonly Period[], at: number): boolean {
  return periods.some(({ from, to }) => at >= from && at < to)
}

/**
 * In every window of so many days at most one, which begins in its first half: what together is shorter than
 * `renewBefore` must never let a proof lapse. The first days are calm: nothing could lapse before a first proof.
 */
function draw(random: Random, days: number, window: number, chance: number): Period[] {
  const periods: Period[] = []
  for (let first = 10; first < days; first += window) {
    if (!random.chance(chance)) continue
    const from = first * day + random.int(0, window * 2) * 6 * hour
    periods.push({ from, to: from + random.int(1, 8) * 6 * hour })
  }
  return periods
}

/* MACHINES */

function createFleet(
  { simulator, signer, clock }: RelayerFixture,
  options: FleetOptions,
  random: Random,
) {
  const image = createImage()
  const start = clock()
  const fleet = { machines: [] as RenewedHost[], unanswered: 0 }
  for (let index = 0; index < options.machines; index++) {
    const cvm = simulator
      .createPlatform({ name: `fleet-${index}` })
      .createCvm({ image, compose: '{}' })
    const absences = options.absences?.(index) ?? draw(random, options.days, 10, 0.8)
    fleet.machines.push({
      deviceId: to0x(cvm.deviceId),
      purpose: 'host',
      operator: signer.address,
      async agent({ binding, record }) {
        if (isWithin(absences, clock() - start)) {
          fleet.unanswered += 1
          throw new AssentError('RELAYER_AGENT_UNAVAILABLE', 'The machine is away.')
        }
        const { quote, eventLog } = await cvm.source.attest(hostReportData(binding))
        return { quote, eventLog, signature: undefined, record }
      },
    })
  }
  return fleet
}

/* THE RELAYER */

const family = { fmspc: simulatedFmspc.toLowerCase(), ca: 'platform' } as const

/** All that the service does for collateral and proofs; a round is true if something failed and is due again. */
function createBackgroundJob(
  fixture: RelayerFixture,
  pccs: PccsServer,
  machines: readonly RenewedHost[],
) {
  const { addresses, database, reader, clock } = fixture
  const { db } = database
  const common = { db, chainId: 31_337, reader, clock, log }
  const collateral = createCollateralUpdater({
    ...common,
    store: addresses.quoteVerifier,
    services: [pccs.url],
    root: fixture.simulator.rootCertificate,
    families: async () => [family],
    refreshBefore,
  })
  let served: Collateral | undefined
  let unserved = 0
  const renewal: RenewalOptions & { fromBlock: number; span: number } = {
    ...common,
    registry: addresses.hosts.toLowerCase() as Hex,
    verifier: addresses.quoteVerifier,
    account: fixture.signer.address,
    renewedHosts: machines,
    verifySubmission: createFixtureVerifier(fixture, async () => {
      if (served !== undefined) return served
      unserved += 1
      throw new AssentError('PCCS_UNAVAILABLE', 'Nobody serves.')
    }),
    rules,
    usesRecords: true,
    fromBlock: 0,
    span: 10_000,
  }
  const targets: Targets = {
    host: createHostTarget(addresses.hosts),
    record: createRecordTarget(addresses.quoteVerifier),
    collateral: createCollateralTarget(addresses.quoteVerifier),
  }
  /** An issuer comes before what it signed, so a few rounds until nothing is left. */
  const keepCollateral = async () => {
    served = undefined
    for (let rounds = 0; rounds < 4; rounds++) {
      const { parts } = await collateral.run()
      if (parts.every(({ action }) => action === 'none')) break
      await fixture.drain(targets)
    }
    served = await fetchCollateral(family, 'standard', { urls: [pccs.url] })
  }
  return {
    unserved: () => unserved,
    enrol: () => insertHosts(renewal),
    async run(): Promise<boolean> {
      await keepCollateral().catch(requireOutage)
      await runRenewal(renewal)
      // A contract knows the hashes of blocks before its own only.
      await pass(fixture, 12)
      await fixture.drain(targets)
      await watchHosts(renewal)
      // What is final is settled now, and the records that follow from it are brought.
      await runRenewal(renewal)
      await fixture.drain(targets)
      await watchHosts(renewal)
      const rows = await db.select({ failures: table.failures }).from(table)
      return rows.some(({ failures }) => failures > 0)
    },
  }
}

function requireOutage(error: unknown): void {
  if (!isAssentError(error) || error.code !== 'PCCS_UNAVAILABLE') throw error
}

/* WHAT THE CHAIN SAYS */

/** The call that lets the verifier remember a platform. */
const registerSelector = toFunctionSelector(getAbiItem({ abi: quoteVerifierAbi, name: 'register' }))

interface Proof {
  readonly deviceId: Hex
  readonly provenAt: number
  readonly expiresAt: number
}

interface Story {
  readonly proofs: readonly Proof[]
  readonly hostGas: number
  readonly collateralGas: number
}

async function readStory(fixture: RelayerFixture, first: bigint): Promise<Story> {
  const { client, addresses, signer } = fixture
  const proofs: Proof[] = []
  let hostGas = 0n
  let collateralGas = 0n
  const latest = await client.getBlockNumber()
  for (let blockNumber = first; blockNumber <= latest; blockNumber++) {
    const block = await client.getBlock({ blockNumber, includeTransactions: true })
    const ours = block.transactions.filter(({ from }) => from.toLowerCase() === signer.address)
    for (const { hash, to, input } of ours) {
      const { gasUsed, logs } = await client.getTransactionReceipt({ hash })
      const isProof = to?.toLowerCase() === addresses.hosts.toLowerCase()
      if (isProof || input.startsWith(registerSelector)) hostGas += gasUsed
      else collateralGas += gasUsed
      for (const { args } of parseEventLogs({ abi: hostsAbi, eventName: 'HostProven', logs })) {
        proofs.push({
          deviceId: args.deviceId,
          provenAt: Number(block.timestamp),
          expiresAt: args.host.expiresAt,
        })
      }
    }
  }
  return { proofs, hostGas: Number(hostGas), collateralGas: Number(collateralGas) }
}

async function countLapses(
  { clock }: RelayerFixture,
  { proofs, hostGas, collateralGas }: Story,
  machines: number,
): Promise<Omit<FleetResult, 'troubles'>> {
  const byMachine = [...Map.groupBy(proofs, ({ deviceId }) => deviceId).values()]
  const lapses = byMachine.flatMap((all) =>
    all.filter(({ expiresAt }, index) => expiresAt <= (all[index + 1]?.provenAt ?? clock())),
  )
  return {
    lapsed: lapses.length + machines - byMachine.length,
    renewals: proofs.length - byMachine.length,
    hostGas,
    collateralGas,
  }
}
