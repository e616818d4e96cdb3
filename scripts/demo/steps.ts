/** The story of the demo, step by step. Each step checks what it tells. */
import hre from 'hardhat'
import { type Address, encodeFunctionData, parseEventLogs } from 'viem'

import { kmsAuthAbi, quoteVerifierAbi } from '../../src/chain/abi.ts'
import { sendCall } from '../../src/chain/call.ts'
import { readHost } from '../../src/chain/hosts.ts'
import {
  addComposeHash,
  addDevice,
  addKmsAggregatedMr,
  addKmsDevice,
  addOsImageHash,
  approve,
  deployAndRegisterApp,
  deployedApp,
  setHosts,
  setKmsInfo,
  suspend,
} from '../../src/chain/registry.ts'
import { uploadCollateral } from '../../src/chain/verifier/collateral.ts'
import { deployVerifier } from '../../src/chain/verifier/verifier.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { verifyFetchedKeys } from '../../src/kms/client.ts'
import { fromHex, to0x, toHex } from '../../src/lib/bytes.ts'
import { parseEventLog, replayRtmr3, requireRtmr3 } from '../../src/quote/measurements/event-log.ts'
import {
  type BootInfo,
  bootInfoToJson,
  buildBootInfo,
  composeHash,
  readAppInfo,
} from '../../src/quote/measurements/measure.ts'
import type { Verified } from '../../src/quote/verdict.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import type { QuoteSource } from '../../src/tee/source.ts'
import type { World } from './environment.ts'
import { type DemoEvidence, short } from './evidence.ts'
import { hold, type Story } from './report-steps.ts'

/** Tells the whole story; steps that build on one that did not hold are told all the same. */
export async function tellStory(story: Story, world: World, evidence: DemoEvidence): Promise<void> {
  story.chapter('0. A DAO and its KMS')
  await approveKms(story, world)

  story.chapter('1. What does this quote prove?')
  story.say(`The quote: ${evidence.origin}.`)
  const verdict = await believeQuote(story, evidence, world.clock())
  if (verdict === undefined) return
  await believeQuoteOnChain(story, world, evidence, verdict)
  const boot = await readBoot(story, evidence, verdict)
  if (boot === undefined) return

  story.chapter('2. May it have keys? Nobody has voted yet.')
  await askWebhook(story, world, boot, { allowed: false, name: 'webhook.denied' })

  story.chapter('3. The DAO votes.')
  const app = await approveRecorded(story, world, boot)
  if (app === undefined) return
  const asApp = { ...boot, appId: fromHex(app, 'app', 20) }
  await askWebhook(story, world, asApp, { allowed: true, name: 'webhook.allowed' })

  story.chapter('4. A copied quote gets nothing.')
  await replayQuote(story, world, evidence)

  story.chapter('5. A machine proves itself; the relayer brings its quote to the chain.')
  await proveHost(story, world)

  story.chapter('6. A CVM boots what was approved, and gets its keys.')
  await bootApproved(story, world)
}

/* 0 */

async function approveKms(story: Story, world: World): Promise<void> {
  const { dao, fleet } = world
  const { kmsAuth } = dao.addresses
  const { kmsBoot, kmsInfo } = fleet
  await story.step(
    'kms.unapproved',
    'The KMS runs, but nobody has approved it: it serves nobody.',
    () => refusedBy(fleet.fetchKeys(fleet.boot(demoCompose, new Uint8Array(20).fill(7)))),
  )
  await story.step(
    'dao.approves-kms',
    'The DAO votes for it and records its root keys.',
    async () => {
      const calls = [
        addOsImageHash(kmsAuth, to0x(kmsBoot.osImageHash)),
        addKmsAggregatedMr(kmsAuth, to0x(kmsBoot.mrAggregated)),
        addKmsDevice(kmsAuth, to0x(kmsBoot.deviceId)),
        setKmsInfo(kmsAuth, kmsInfo),
      ]
      const { executed } = await dao.decide(calls, 'Approve our first KMS node')
      const [set] = parseEventLogs({
        abi: kmsAuthAbi,
        eventName: 'KmsInfoSet',
        logs: executed.logs,
      })
      hold(set?.args.k256Pubkey === kmsInfo.k256Pubkey, 'the root key is not on-chain')
      return calls.map(({ summary: words }) => words).join('\n')
    },
  )
}

/* 1 */

async function believeQuote(
  story: Story,
  evidence: DemoEvidence,
  at: number,
): Promise<Verified | undefined> {
  let verified: Verified | undefined
  await story.step('quote.verified', 'The quote is genuine.', async () => {
    const start = performance.now()
    const verdict = verifyQuote(evidence.quote, evidence.collateral, {
      at,
      root: evidence.root,
    })
    const ms = performance.now() - start
    hold(verdict.verdict === 'verified', `rejected: ${'code' in verdict ? verdict.code : ''}`)
    verified = verdict
    const advisories = verdict.advisoryIds.join(', ') || 'no advisories'
    return [
      `TDX quote v${verdict.quote.version}, TCB ${verdict.status} of ${verdict.tcbDate.slice(0, 10)}, ${advisories}`,
      `machine ${short(verdict.deviceId)} (SHA-256 of its PPID), FMSPC ${toHex(verdict.fmspc)}`,
      `valid until ${new Date(verdict.expiresAt * 1000).toISOString().slice(0, 10)}; checked in ${ms.toFixed(1)} ms on ${evidence.kind === 'simulated' ? 'the simulator’s' : 'Intel’s'} root`,
    ].join('\n')
  })
  return verified
}

/** A second verifier, whose root is the one that signed this quote: the demo's own believes the simulator only. */
async function believeQuoteOnChain(
  story: Story,
  { chain, dao }: World,
  evidence: DemoEvidence,
  verdict: Verified,
): Promise<void> {
  await story.step('quote.verified-on-chain', 'A contract says the same.', async () => {
    const [, , root] = verdict.quote.pckChain
    hold(root !== undefined, 'the quote brings no root certificate')
    const { passerby } = dao.people
    const artifacts = (contract: string) => hre.artifacts.readArtifact(contract)
    const address = await deployVerifier({ ...passerby, artifacts, root })
    await uploadCollateral(passerby, address, evidence.collateral)
    const call = {
      abi: quoteVerifierAbi,
      functionName: 'verify',
      args: [to0x(evidence.quote)],
    } as const
    const report = await chain.client.readContract({ address, ...call })
    const gas = await chain.client.estimateGas({ to: address, data: encodeFunctionData(call) })
    hold(report.verdict === solidityVerified, `verdict ${report.verdict}`)
    hold(report.deviceId === to0x(verdict.deviceId), 'it names another machine')
    return `${address}, whose only root is this quote’s, verified the raw quote: ${gas} gas`
  })
}

/** `Verdict.Verified` of contracts/types/Report.sol. */
const solidityVerified = 1

async function readBoot(
  story: Story,
  evidence: DemoEvidence,
  verdict: Verified,
): Promise<BootInfo | undefined> {
  let boot: BootInfo | undefined
  await story.step('quote.proves-compose', 'It proves exactly this app-compose file.', async () => {
    const events = parseEventLog(evidence.eventLog)
    requireRtmr3(events, verdict.quote.report.rtmrs[3])
    const measured = readAppInfo(events, 'full').composeHash
    const file = composeHash(evidence.compose)
    hold(
      toHex(measured) === toHex(file),
      `the log says ${toHex(measured)}, the file ${toHex(file)}`,
    )
    const vmConfig = { osImageHash: evidence.osImageHash, mrConfig: undefined }
    boot = buildBootInfo({ verdict, events, vmConfig, view: 'boot' })
    return [
      `event log replays to RTMR3 ${short(replayRtmr3(events))}`,
      `compose hash ${toHex(file)} = SHA-256 of the file (${evidence.compose.length} bytes)`,
    ].join('\n')
  })
  return boot
}

/* 2, 3 */

async function askWebhook(
  story: Story,
  world: World,
  boot: BootInfo,
  expected: { allowed: boolean; name: string },
): Promise<void> {
  const title = expected.allowed
    ? 'The same question again: allowed.'
    : 'The webhook says no, and why.'
  await story.step(expected.name, title, async () => {
    const response = await fetch(`${world.auth.url}/bootAuth/app`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(bootInfoToJson(boot)),
    })
    const answer = (await response.json()) as { isAllowed: boolean; reason: string }
    hold(answer.isAllowed === expected.allowed, `${response.status} ${JSON.stringify(answer)}`)
    return `POST /bootAuth/app → ${JSON.stringify(answer)}`
  })
}

/** Creates the app and lets the DAO approve image, device and compose hash as one decision. */
async function approveRecorded(
  story: Story,
  world: World,
  boot: BootInfo,
): Promise<Address | undefined> {
  const { dao } = world
  const { kmsAuth, timelock } = dao.addresses
  let app: Address | undefined
  await story.step(
    'app.created',
    'Anyone may create an app; this one is owned by the DAO.',
    async () => {
      const call = deployAndRegisterApp(kmsAuth, { owner: timelock })
      app = deployedApp(await sendCall(dao.people.operator, call))
      return [
        `app id = contract address ${app}`,
        'the recorded CVM ran without a DAO, under an id made from its compose hash; its next boot is asked for under this one',
      ].join('\n')
    },
  )
  if (app === undefined) return undefined
  const registered = app
  await story.step('dao.approves', 'Proposed, voted, queued, executed: one decision.', async () => {
    const calls = [
      addOsImageHash(kmsAuth, to0x(boot.osImageHash)),
      addDevice(registered, to0x(boot.deviceId)),
      addComposeHash(registered, to0x(boot.composeHash)),
    ]
    const { proposalId, seconds, executed } = await dao.decide(
      calls,
      'Approve the recorded release',
    )
    return [
      ...calls.map(({ summary: words }) => words),
      `proposal ${String(proposalId).slice(0, 12)}… took ${Math.round(seconds / 60)} minutes of chain time, executed in block ${executed.blockNumber}`,
    ].join('\n')
  })
  return app
}

/* 4 */

async function replayQuote(story: Story, world: World, evidence: DemoEvidence): Promise<void> {
  await story.step(
    'kms.refuses-replay',
    'The KMS refuses it: not bound to this connection.',
    async () => {
      const vmConfig = JSON.stringify({ os_image_hash: toHex(evidence.osImageHash) })
      const { quote, eventLog } = evidence
      const copied: QuoteSource = { attest: async () => ({ quote, eventLog, vmConfig }) }
      return refusedBy(world.fleet.presentQuote(copied, vmConfig), /report.?data/i)
    },
  )
}

/* 5 */

async function proveHost(story: Story, world: World): Promise<void> {
  const { chain, dao, fleet, relayer } = world
  const { hosts, quoteVerifier } = dao.addresses
  await story.step(
    'collateral.on-chain',
    'Anyone brings the collateral; only signatures decide.',
    async () => {
      const receipts = await uploadCollateral(dao.people.passerby, quoteVerifier, fleet.collateral)
      const gas = receipts.reduce((sum, { gasUsed }) => sum + gasUsed, 0n)
      hold(receipts.length > 0, 'nothing was stored')
      return `certificates, CRLs, TCB info, QE identity checked and parsed on-chain: ${receipts.length} transactions, ${gas} gas, once a month`
    },
  )
  await story.step(
    'relayer.registers-host',
    'The relayer verifies the machine’s quote, then the chain does.',
    async () => {
      const agent = fleet.boot(
        '{"manifest_version":2,"name":"host-agent"}',
        new Uint8Array(20).fill(9),
      )
      const { state, transaction } = await relayer.proveHost(dao.people.operator, agent)
      hold(state === 'final' && transaction !== null, `the quote is ${state}`)
      const { gasUsed } = await chain.client.getTransactionReceipt({ hash: transaction })
      const host = await readHost(chain.client, hosts, to0x(fleet.host.deviceId))
      const operator = dao.people.operator.walletClient.account.address
      hold(host.operator === operator, 'the chain names another operator')
      return [
        `machine ${short(fleet.host.deviceId)} of ${operator}, TCB UpToDate, until ${new Date(host.expiresAt * 1000).toISOString().slice(0, 10)}`,
        `raw quote verified by a contract, record written: ${gasUsed} gas`,
      ].join('\n')
    },
  )
}

/* 6, 7 */

const day = 86_400

const demoCompose = JSON.stringify({
  manifest_version: 2,
  name: 'hello-assent',
  runner: 'docker-compose',
  docker_compose_file: 'services: {hello: {image: "hello@sha256:00"}}',
})

async function bootApproved(story: Story, world: World): Promise<void> {
  const { dao, fleet } = world
  const { kmsAuth, hosts, timelock } = dao.addresses
  const { appImage, host, stranger } = fleet
  const create = deployAndRegisterApp(kmsAuth, { owner: timelock, allowAnyDevice: true })
  const app = deployedApp(await sendCall(dao.people.operator, create))
  const appId = fromHex(app, 'app', 20)
  const cvm = fleet.boot(demoCompose, appId)

  await story.step(
    'dao.approves-app',
    'The DAO approves image, machine and release; from now on machines must be proven.',
    async () => {
      const calls = [
        addOsImageHash(kmsAuth, to0x(appImage.osImageHash)),
        addComposeHash(app, to0x(cvm.composeHash)),
        approve(hosts, [{ kind: 'host', id: to0x(host.deviceId) }], world.clock() + day),
        setHosts(kmsAuth, hosts),
      ]
      await dao.decide(calls, 'Release hello-assent')
      return calls.map(({ summary: words }) => words).join('\n')
    },
  )

  await story.step(
    'cvm.gets-keys',
    'The CVM gets its keys; they lead back to the root on-chain.',
    async () => {
      const keys = await fleet.fetchKeys(cvm)
      const root = await readRootKey(world)
      verifyFetchedKeys(appId, keys, root)
      return [
        `disk key, env key and app key of ${app} released over RA-TLS`,
        `the app key is signed by ${short(root)}, the root that KmsAuth.kmsInfo() names`,
      ].join('\n')
    },
  )

  await story.step(
    'cvm.changed-byte-refused',
    'One byte of its compose file changed: refused.',
    async () => {
      const changed = fleet.boot(demoCompose.replace('hello@', 'hullo@'), appId)
      return refusedBy(fleet.fetchKeys(changed), /Compose hash not allowed/)
    },
  )

  await story.step(
    'cvm.unproven-host-refused',
    'The same CVM on a machine that proved nothing: refused.',
    () =>
      refusedBy(
        fleet.fetchKeys(fleet.boot(demoCompose, appId, stranger)),
        /Host is not registered/,
      ),
  )

  story.chapter('7. Something is wrong with the image: the fast path.')
  await story.step(
    'guardian.suspends',
    'The guardian suspends it, in one transaction.',
    async () => {
      const call = suspend(kmsAuth, 'osImage', [to0x(appImage.osImageHash)])
      const receipt = await sendCall(dao.people.guardian, call)
      return `block ${receipt.blockNumber}, ${receipt.gasUsed} gas; no vote, no delay; it ends by itself unless the DAO confirms it`
    },
  )
  await story.step('cvm.refused', 'The same CVM, at its next boot: refused.', () =>
    refusedBy(fleet.fetchKeys(fleet.boot(demoCompose, appId)), /OS image is not allowed/),
  )
}

async function readRootKey({ chain, dao }: World): Promise<Uint8Array> {
  const [k256Pubkey] = await chain.client.readContract({
    address: dao.addresses.kmsAuth,
    abi: kmsAuthAbi,
    functionName: 'kmsInfo',
  })
  return fromHex(k256Pubkey, 'k256Pubkey', 33)
}

/** The KMS's words when it refuses. @throws StepFailed if it does not, or for another reason */
async function refusedBy(attempt: Promise<unknown>, reason = /./): Promise<string> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  hold(error !== undefined, 'it was not refused')
  if (!isAssentError(error, 'KMS_REFUSED')) throw error
  hold(reason.test(error.message), `refused for another reason: ${error.message}`)
  return `the KMS: ${error.message}`
}
