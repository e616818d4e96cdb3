/**
 * The demo: the complete flow on one computer. `npm start [-- options]`
 *
 * Quote → relayer → registry → KMS → key, with a real TDX quote and DAO votes.
 */
import path from 'node:path'
import { parseArgs } from 'node:util'

import hre from 'hardhat'
import { deploymentFile } from '../src/chain/record/deployments.ts'
import { colors as pc } from '../src/commands/output/colors.ts'
import { reportError } from '../src/commands/output/report-error.ts'
import { compileContracts } from '../src/deploy/compile.ts'
import { to0x } from '../src/lib/bytes.ts'
import { createSimulator } from '../src/tee/simulator/simulator.ts'
import { type DemoDashboard, startDemoDashboard } from './demo/dashboard.ts'
import { type DemoEnvironment, startDemoEnvironment } from './demo/environment.ts'
import {
  type DemoEvidence,
  readGivenEvidence,
  readRecordedEvidence,
  recordedAt,
  simulateEvidence,
} from './demo/evidence.ts'
import { startHardhatNode } from './demo/hardhat-node.ts'
import { writeDemoProfile } from './demo/profile.ts'
import { createStepReporter } from './demo/report-steps.ts'
import { type DemoResult, runDemoSteps } from './demo/steps.ts'

const help = `usage: npm start [-- options]

  --once                stop at the end; exit code 0 only if every step succeeded
  --json                print one JSON object with all steps at the end (progress goes to standard error)
  --port N              port of the chain's JSON-RPC (default: any free port)
  --deployments FOLDER  folder for the deployment record (default: .assent/demo)
  --project FOLDER      folder for assent.toml, with which commands find the demo (default: this folder)

To use your own CVM instead of the recorded one, pass all of these:
  --quote FILE          raw TDX quote
  --collateral FILE     its collateral (JSON in the format of dcap-qvl)
  --event-log FILE      its event log (JSON)
  --compose FILE        its app-compose.json
  --os-image HEX        its os_image_hash
  --at UNIX             time of the demo's clock, at which the collateral is valid (${recordedAt})`

const { values } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    port: { type: 'string', default: '0' },
    deployments: { type: 'string', default: '.assent/demo' },
    project: { type: 'string', default: '.' },
    quote: { type: 'string' },
    collateral: { type: 'string' },
    'event-log': { type: 'string' },
    compose: { type: 'string' },
    'os-image': { type: 'string' },
    at: { type: 'string', default: String(recordedAt) },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(help)
  process.exit(0)
}

const recordFolder = values.deployments
const assentProgram = path.join(import.meta.dirname, '..', 'bin', 'assent.js')
const began = performance.now()
const write = values.json ? console.error : console.log
try {
  process.exit(await run())
} catch (error) {
  reportError(error, values.json)
  process.exit(1)
}

async function run(): Promise<number> {
  const at = Number(values.at)
  const evidence = await chooseEvidence(at)
  write(
    pc.dim(
      'Compiling the contracts if they changed, starting a chain, deploying Assent with its DAO …',
    ),
  )
  await compileContracts(hre)
  const node = await startHardhatNode(at, Number(values.port))
  const demo = await startDemoEnvironment(node.url, recordFolder)
  const dashboard = values.once ? undefined : await openDashboard(node.url, demo.chain.chain.id)
  write(
    pc.dim(
      `The demo’s clock starts at ${new Date(at * 1000).toISOString()}, when the quote’s collateral is valid.`,
    ),
  )

  const reporter = createStepReporter(write)
  const result = await runDemoSteps(reporter, demo, evidence)
  const succeeded = reporter.steps.filter(({ ok }) => ok).length
  const seconds = (performance.now() - began) / 1000
  write(
    `\n${pc.bold(`${succeeded} of ${reporter.steps.length} steps succeeded`)}, ${seconds.toFixed(1)} s`,
  )
  if (values.json) {
    const ok = succeeded === reporter.steps.length
    console.log(JSON.stringify({ ok, evidence: evidence.kind, seconds, steps: reporter.steps }))
  }
  if (!values.once) await waitForStop(demo, node.url, result, dashboard)
  await dashboard?.stop()
  await demo.stop()
  await node.stop()
  return succeeded === reporter.steps.length ? 0 : 1
}

/** Prints its link first, so that a visitor can watch the steps there. */
async function openDashboard(rpcUrl: string, chainId: number): Promise<DemoDashboard | undefined> {
  const dashboard = await startDemoDashboard(rpcUrl, chainId, recordFolder)
  if (dashboard === undefined) write(pc.yellow('The dashboard cannot be built here; see above.'))
  else write(`${pc.bold('Dashboard')}  ${dashboard.url}\n`)
  return dashboard
}

async function chooseEvidence(at: number): Promise<DemoEvidence> {
  const { quote, collateral, compose } = values
  const eventLog = values['event-log']
  const osImageHash = values['os-image']
  if (quote && collateral && eventLog && compose && osImageHash) {
    return readGivenEvidence({ quote, collateral, eventLog, compose, osImageHash })
  }
  const recorded = readRecordedEvidence()
  if (recorded !== undefined) return recorded
  write(
    pc.yellow(
      'The recorded quotes are not downloaded. The demo uses a SIMULATED QUOTE, which no hardware signed.',
    ),
  )
  write(
    pc.yellow(
      'Download them with `npm run vectors:fetch`, or pass your own with --quote (see --help).',
    ),
  )
  return simulateEvidence(createSimulator({ at }))
}

/** Writes a profile, prints where everything runs and one command for each kind of user, then waits for Ctrl-C. */
async function waitForStop(
  demo: DemoEnvironment,
  rpcUrl: string,
  result: DemoResult | undefined,
  dashboard: DemoDashboard | undefined,
): Promise<void> {
  const { addresses } = demo.dao
  const names = {
    ...(result && { 'hello-assent': result.app }),
    ...(result?.proposal && { 'release-2': String(result.proposal) }),
    'demo-host': to0x(demo.fleet.host.deviceId),
    'demo-image': to0x(demo.fleet.fixedImage.osImageHash),
  }
  Object.assign(dashboard?.names ?? {}, names)
  const file = await writeDemoProfile(values.project, {
    rpcUrl,
    chainId: demo.chain.chain.id,
    deployments: path.resolve(recordFolder),
    account: demo.dao.people.alice.walletClient.account.address,
    kms: demo.fleet.kms.url,
    relayer: demo.relayer.url,
    simulatedHost: path.resolve(demo.hostFolder),
    names,
  })
  const program = path.relative(path.resolve(values.project), assentProgram)
  const assent = (args: string) => `node ${program} ${args}`
  write(`
${pc.bold('Still running')} (Ctrl-C stops it)
  dashboard ${dashboard?.url ?? 'not built'}
  chain     ${rpcUrl} (chain id ${demo.chain.chain.id})
  record    ${deploymentFile(recordFolder, demo.chain.chain.id)}
  profile   ${file ?? 'not written: assent.toml is not from npm start'}
  KmsAuth   ${addresses.kmsAuth}
  governor  ${addresses.governor}
  relayer   ${demo.relayer.url}
  webhook   ${demo.auth.url}
  KMS       ${demo.fleet.kms.url}

${pc.bold(`Try next, in another terminal${values.project === '.' ? '' : `, in ${values.project}`}`)}
  voter      ${assent('dao proposal release-2')}
  app owner  ${assent('app status')}
  operator   ${assent('host status demo-host')}`)
  // visitors move the chain's clock with `assent simulate advance-time`
  const following = setInterval(() => demo.chain.followTime().catch(() => undefined), 500)
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  clearInterval(following)
}
