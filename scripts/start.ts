/**
 * The demo: the whole sentence on one machine. `npm start [-- options]`
 *
 * Quote → relayer → registry → KMS → key, with a real TDX quote and a DAO vote in it.
 */
import { parseArgs } from 'node:util'

import hre from 'hardhat'

import { colors as pc } from '../src/cli/colors.ts'

import { reportError } from '../src/cli/report.ts'
import { compileContracts } from '../src/deploy/compile.ts'
import { createSimulator } from '../src/tee/simulator/simulator.ts'
import { createWorld, type World } from './demo/environment.ts'
import {
  type DemoEvidence,
  readGivenEvidence,
  readRecordedEvidence,
  recordedAt,
  simulateEvidence,
} from './demo/evidence.ts'
import { startHardhatNode } from './demo/hardhat-node.ts'
import { createStory } from './demo/report-steps.ts'
import { tellStory } from './demo/steps.ts'

const help = `usage: npm start [-- options]

  --once                stop at the end; exit code 0 only if every step held
  --json                print one JSON object with all steps at the end (progress goes to standard error)
  --port N              port of the chain's JSON-RPC (any free one)

Your own CVM instead of the recorded one, all five together:
  --quote FILE          raw TDX quote
  --collateral FILE     its collateral, as dcap-qvl writes it (JSON)
  --event-log FILE      its event log (JSON)
  --compose FILE        its app-compose.json
  --os-image HEX        its os_image_hash
  --at UNIX             the demo's clock; inside the collateral's validity (${recordedAt})`

const { values } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    port: { type: 'string', default: '0' },
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
    pc.dim('Compiling contracts if they changed, starting a chain, deploying, founding a DAO …'),
  )
  await compileContracts(hre)
  const node = await startHardhatNode(at, Number(values.port))
  const world = await createWorld(node.url)
  write(
    pc.dim(
      `The demo’s clock starts at ${new Date(at * 1000).toISOString()}, where the quote’s collateral is valid.`,
    ),
  )

  const story = createStory(write)
  await tellStory(story, world, evidence)
  const held = story.steps.filter(({ ok }) => ok).length
  const seconds = (performance.now() - began) / 1000
  write(`\n${pc.bold(`${held} of ${story.steps.length} steps held`)}, ${seconds.toFixed(1)} s`)
  if (values.json) {
    const ok = held === story.steps.length
    console.log(JSON.stringify({ ok, evidence: evidence.kind, seconds, steps: story.steps }))
  }
  if (!values.once) await stayUp(world, node.url)
  await world.stop()
  await node.stop()
  return held === story.steps.length ? 0 : 1
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
  write(pc.yellow('The recorded quotes are not at hand: SIMULATED QUOTE, signed by no hardware.'))
  write(
    pc.yellow('Get them with `npm run vectors:fetch`, or pass your own with --quote (see --help).'),
  )
  return simulateEvidence(createSimulator({ at }))
}

/** Until Ctrl-C: where everything is, and a command for each user. */
async function stayUp(world: World, rpcUrl: string): Promise<void> {
  const { addresses } = world.dao
  write(`
${pc.bold('Still running')} (Ctrl-C stops it)
  chain     ${rpcUrl} (chain id ${world.chain.chain.id})
  KmsAuth   ${addresses.kmsAuth}
  Governor  ${addresses.governor}
  relayer   ${world.relayer.url}
  webhook   ${world.auth.url}
  KMS       ${world.fleet.kms.url}

${pc.bold('Try')}
  voter     curl -s ${rpcUrl} -H 'content-type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","address":"${addresses.governor}"}]}'
  owner     curl -s ${world.auth.url}
  operator  curl -sk '${world.fleet.kms.url}/prpc/KMS.GetMeta'
  anyone    npx assent quote show FILE`)
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
}
