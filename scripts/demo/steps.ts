/** The steps of the demo. Each step checks its result. */
import hre from 'hardhat'
import { type Address, encodeFunctionData, parseEventLogs } from 'viem'

import { kmsAuthAbi, quoteVerifierAbi } from '../../src/chain/abi.ts'
import { sendCall } from '../../src/chain/call.ts'
import { approveManifest } from '../../src/chain/registries/app.ts'
import { readHost } from '../../src/chain/registries/hosts.ts'
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
} from '../../src/chain/registries/registry.ts'
import { proveRootKey, type RootKeyPair, rootKeyId } from '../../src/chain/registries/root-keys.ts'
import { uploadCollateral } from '../../src/chain/verifier/collateral.ts'
import { deployVerifier } from '../../src/chain/verifier/verifier.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { verifyFetchedKeys } from '../../src/kms/client.ts'
import { fromHex, to0x, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
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
import type { DemoEnvironment } from './environment.ts'
import { type DemoEvidence, short } from './evidence.ts'
import type { Fleet } from './fleet.ts'
import { requireThat, type StepReporter } from './report-steps.ts'

/** What a visitor can go on with. */
export interface DemoResult {
  readonly app: Address
  /** Id of an open proposal; undefined if that step failed. */
  readonly proposal: bigint | undefined
}

/**
 * Runs all steps. A step that depends on a failed one is skipped or fails too.
 *
 * @returns the demo's app and an open proposal, if there are any
 */
export async function runDemoSteps(
  reporter: StepReporter,
  demo: DemoEnvironment,
  evidence: DemoEvidence,
): Promise<DemoResult | undefined> {
  reporter.heading('0. The DAO approves a KMS node')
  await approveKms(reporter, demo)

  reporter.heading('1. Verify a quote')
  reporter.note(`The quote: ${evidence.origin}.`)
  const verdict = await verifyDemoQuote(reporter, evidence, demo.clock())
  if (verdict === undefined) return undefined
  await verifyDemoQuoteOnChain(reporter, demo, evidence, verdict)
  const boot = await readBoot(reporter, evidence, verdict)
  if (boot === undefined) return undefined

  reporter.heading('2. Ask for keys before the DAO has voted')
  await askWebhook(reporter, demo, boot, { allowed: false, name: 'webhook.denied' })

  reporter.heading('3. The DAO approves a release')
  const app = await approveRecorded(reporter, demo, boot)
  if (app === undefined) return undefined
  const asApp = { ...boot, appId: fromHex(app, 'app', 20) }
  await askWebhook(reporter, demo, asApp, { allowed: true, name: 'webhook.allowed' })

  reporter.heading('4. Replay a copied quote')
  await replayQuote(reporter, demo, evidence)

  reporter.heading('5. Register a host through the relayer')
  await proveHost(reporter, demo)

  reporter.heading('6. Boot the approved release and get its keys')
  const booted = await bootApproved(reporter, demo)

  reporter.heading('8. Approve a mended base image')
  await approveMended(reporter, demo, booted)

  reporter.heading('9. Leave a proposal open')
  return { app: booted, proposal: await proposeNext(reporter, demo, booted) }
}

/* 0 */

async function approveKms(reporter: StepReporter, demo: DemoEnvironment): Promise<void> {
  const { dao, fleet } = demo
  const { kmsAuth } = dao.addresses
  const { kmsBoot, kmsInfo } = fleet
  await reporter.step(
    'kms.unapproved',
    'The KMS node is not approved yet, so it releases no keys.',
    () => refusedBy(fleet.fetchKeys(fleet.boot(demoCompose, new Uint8Array(20).fill(7)))),
  )
  await reporter.step(
    'dao.approves-kms',
    'The DAO approves the KMS node and publishes its root keys.',
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
      requireThat(set?.args.k256Pubkey === kmsInfo.k256Pubkey, 'the root key is not on-chain')
      return calls.map(({ summary }) => summary).join('\n')
    },
  )
}

/* 1 */

async function verifyDemoQuote(
  reporter: StepReporter,
  evidence: DemoEvidence,
  at: number,
): Promise<Verified | undefined> {
  let verified: Verified | undefined
  await reporter.step(
    'quote.verified',
    'The quote is genuine (off-chain quote verifier).',
    async () => {
      const start = performance.now()
      const verdict = verifyQuote(evidence.quote, evidence.collateral, {
        at,
        root: evidence.root,
      })
      const ms = performance.now() - start
      requireThat(
        verdict.verdict === 'verified',
        `rejected: ${'code' in verdict ? verdict.code : ''}`,
      )
      verified = verdict
      const advisories = verdict.advisoryIds.join(', ') || 'no advisories'
      return [
        `TDX quote v${verdict.quote.version}, TCB ${verdict.status} of ${verdict.tcbDate.slice(0, 10)}, ${advisories}`,
        `device id ${short(verdict.deviceId)} (SHA-256 of the PPID), FMSPC ${toHex(verdict.fmspc)}`,
        `valid until ${new Date(verdict.expiresAt * 1000).toISOString().slice(0, 10)}; checked in ${ms.toFixed(1)} ms on ${evidence.kind === 'simulated' ? 'the simulator’s' : 'Intel’s'} root`,
      ].join('\n')
    },
  )
  return verified
}

/** Deploys a second quote verifier with the root of trust of this quote: the demo's own trusts only the simulator. */
async function verifyDemoQuoteOnChain(
  reporter: StepReporter,
  { chain, dao }: DemoEnvironment,
  evidence: DemoEvidence,
  verdict: Verified,
): Promise<void> {
  await reporter.step(
    'quote.verified-on-chain',
    'The quote is genuine (on-chain quote verifier).',
    async () => {
      const [, , root] = verdict.quote.pckChain
      requireThat(root !== undefined, 'the quote contains no root certificate')
      const { anyone } = dao.people
      const artifacts = (contract: string) => hre.artifacts.readArtifact(contract)
      const address = await deployVerifier({ ...anyone, artifacts, root })
      await uploadCollateral(anyone, address, evidence.collateral)
      const call = {
        abi: quoteVerifierAbi,
        functionName: 'verify',
        args: [to0x(evidence.quote)],
      } as const
      const report = await chain.client.readContract({ address, ...call })
      const gas = await chain.client.estimateGas({ to: address, data: encodeFunctionData(call) })
      requireThat(report.verdict === solidityVerified, `verdict ${report.verdict}`)
      requireThat(report.deviceId === to0x(verdict.deviceId), 'it has another device id')
      return `${address} verified the raw quote: ${gas} gas`
    },
  )
}

/** `Verdict.Verified` of contracts/types/Report.sol. */
const solidityVerified = 1

async function readBoot(
  reporter: StepReporter,
  evidence: DemoEvidence,
  verdict: Verified,
): Promise<BootInfo | undefined> {
  let boot: BootInfo | undefined
  await reporter.step(
    'quote.proves-compose',
    'The quote proves exactly this app-compose file.',
    async () => {
      const events = parseEventLog(evidence.eventLog)
      requireRtmr3(events, verdict.quote.report.rtmrs[3])
      const measured = readAppInfo(events, 'full').composeHash
      const file = composeHash(evidence.compose)
      requireThat(
        toHex(measured) === toHex(file),
        `the log says ${toHex(measured)}, the file ${toHex(file)}`,
      )
      const vmConfig = { osImageHash: evidence.osImageHash, mrConfig: undefined }
      boot = buildBootInfo({ verdict, events, vmConfig, view: 'boot' })
      return [
        `event log replays to RTMR3 ${short(replayRtmr3(events))}`,
        `compose hash ${toHex(file)} = SHA-256 of the file (${evidence.compose.length} bytes)`,
      ].join('\n')
    },
  )
  return boot
}

/* 2, 3 */

async function askWebhook(
  reporter: StepReporter,
  demo: DemoEnvironment,
  boot: BootInfo,
  expected: { allowed: boolean; name: string },
): Promise<void> {
  const title = expected.allowed
    ? 'The auth webhook allows the boot now.'
    : 'The auth webhook denies the boot and gives the reason.'
  await reporter.step(expected.name, title, async () => {
    const response = await fetch(`${demo.auth.url}/bootAuth/app`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(bootInfoToJson(boot)),
    })
    const answer = (await response.json()) as { isAllowed: boolean; reason: string }
    requireThat(
      answer.isAllowed === expected.allowed,
      `${response.status} ${JSON.stringify(answer)}`,
    )
    return `POST /bootAuth/app → ${JSON.stringify(answer)}`
  })
}

/** Creates the app; the DAO approves image, device and compose hash in one proposal. */
async function approveRecorded(
  reporter: StepReporter,
  demo: DemoEnvironment,
  boot: BootInfo,
): Promise<Address | undefined> {
  const { dao } = demo
  const { kmsAuth, timelock } = dao.addresses
  let app: Address | undefined
  await reporter.step(
    'app.created',
    'Anyone can create an app; the DAO owns this one.',
    async () => {
      const call = deployAndRegisterApp(kmsAuth, { owner: timelock })
      app = deployedApp(await sendCall(dao.people.operator, call))
      return [
        `app id = contract address ${app}`,
        'the recorded CVM had an app id made from its compose hash; its next boot uses this app id',
      ].join('\n')
    },
  )
  if (app === undefined) return undefined
  const registered = app
  await reporter.step(
    'dao.approves',
    'The DAO approves image, device and release in one proposal.',
    async () => {
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
        ...calls.map(({ summary }) => summary),
        `proposal ${String(proposalId).slice(0, 12)}… took ${Math.round(seconds / 60)} minutes of chain time, executed in block ${executed.blockNumber}`,
      ].join('\n')
    },
  )
  return app
}

/* 4 */

async function replayQuote(
  reporter: StepReporter,
  demo: DemoEnvironment,
  evidence: DemoEvidence,
): Promise<void> {
  await reporter.step(
    'kms.refuses-replay',
    'The KMS refuses the quote: it is not bound to this connection.',
    async () => {
      const vmConfig = JSON.stringify({ os_image_hash: toHex(evidence.osImageHash) })
      const { quote, eventLog } = evidence
      const copied: QuoteSource = { attest: async () => ({ quote, eventLog, vmConfig }) }
      return refusedBy(demo.fleet.presentQuote(copied, vmConfig), /report.?data/i)
    },
  )
}

/* 5 */

async function proveHost(reporter: StepReporter, demo: DemoEnvironment): Promise<void> {
  const { chain, dao, fleet, relayer } = demo
  const { hosts, quoteVerifier, rootKeys } = dao.addresses
  await reporter.step(
    'collateral.on-chain',
    'Anyone can upload collateral; the verifier checks its signatures.',
    async () => {
      const receipts = await uploadCollateral(dao.people.anyone, quoteVerifier, fleet.collateral)
      const gas = receipts.reduce((sum, { gasUsed }) => sum + gasUsed, 0n)
      requireThat(receipts.length > 0, 'nothing was stored')
      return `certificates, CRLs, TCB info and QE identity were verified on-chain: ${receipts.length} transactions, ${gas} gas; needed once a month`
    },
  )
  await reporter.step(
    'kms.proves-root-keys',
    'The chain verifies the quote with which the KMS made its root keys.',
    async () => {
      const keys = rootKeysOf(fleet)
      const quote = fromHex(fleet.kmsInfo.quote, 'quote')
      const receipt = await sendCall(dao.people.anyone, proveRootKey(rootKeys, quote, keys))
      return `root key ${short(fromHex(rootKeyId(keys), 'id'))} is proven: ${receipt.gasUsed} gas; the DAO approves it in the next step`
    },
  )
  await reporter.step(
    'relayer.registers-host',
    'The relayer verifies the host’s quote, then the contract does.',
    async () => {
      const agent = fleet.boot(
        '{"manifest_version":2,"name":"host-agent"}',
        new Uint8Array(20).fill(9),
      )
      const { state, transaction } = await relayer.proveHost(dao.people.operator, agent)
      requireThat(state === 'final' && transaction !== null, `the quote is ${state}`)
      const { gasUsed } = await chain.client.getTransactionReceipt({ hash: transaction })
      const host = await readHost(chain.client, hosts, to0x(fleet.host.deviceId))
      const operator = dao.people.operator.walletClient.account.address
      requireThat(host.operator === operator, 'the chain names another operator')
      return [
        `host ${short(fleet.host.deviceId)} of ${operator}, TCB UpToDate, until ${new Date(host.expiresAt * 1000).toISOString().slice(0, 10)}`,
        `the contract verified the raw quote and stored the host proof: ${gasUsed} gas`,
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
  docker_compose_file: `services: {hello: {image: "hello@sha256:${'00'.repeat(32)}"}}`,
})

const nextCompose = demoCompose.replaceAll('00', '01')

async function bootApproved(reporter: StepReporter, demo: DemoEnvironment): Promise<Address> {
  const { dao, fleet } = demo
  const { kmsAuth, hosts, rootKeys, timelock } = dao.addresses
  const { appImage, host, stranger } = fleet
  const create = deployAndRegisterApp(kmsAuth, { owner: timelock, allowAnyDevice: true })
  const app = deployedApp(await sendCall(dao.people.operator, create))
  const appId = fromHex(app, 'app', 20)
  const cvm = fleet.boot(demoCompose, appId)

  await reporter.step(
    'dao.approves-app',
    'The DAO approves image, host and release, and requires registered hosts from now on.',
    async () => {
      const calls = [
        addOsImageHash(kmsAuth, to0x(appImage.osImageHash)),
        approveManifest(app, to0x(cvm.composeHash), cvm.compose, { notAfter: demo.clock() + day }),
        approve(hosts, [{ kind: 'host', id: to0x(host.deviceId) }], demo.clock() + day),
        approve(
          rootKeys,
          [{ kind: 'rootKey', id: rootKeyId(rootKeysOf(fleet)) }],
          demo.clock() + day,
        ),
        setHosts(kmsAuth, hosts),
      ]
      await dao.decide(calls, 'Release hello-assent')
      return calls.map(({ summary }) => summary).join('\n')
    },
  )

  await reporter.step(
    'cvm.gets-keys',
    'The CVM gets its keys, which are signed by the root key on-chain.',
    async () => {
      const keys = await fleet.fetchKeys(cvm)
      const root = await readRootKey(demo)
      verifyFetchedKeys(appId, keys, root)
      return [
        `disk key, env key and app key of ${app} released over RA-TLS`,
        `the app key is signed by ${short(root)}, the root key in KmsAuth.kmsInfo()`,
      ].join('\n')
    },
  )

  await reporter.step(
    'cvm.changed-byte-refused',
    'With one changed byte in its app-compose file, the CVM is refused.',
    async () => {
      const changed = fleet.boot(demoCompose.replace('hello@', 'hullo@'), appId)
      return refusedBy(fleet.fetchKeys(changed), /Compose hash not allowed/)
    },
  )

  await reporter.step(
    'cvm.unproven-host-refused',
    'On a host that is not registered, the same CVM is refused.',
    () =>
      refusedBy(
        fleet.fetchKeys(fleet.boot(demoCompose, appId, { platform: stranger })),
        /Host is not registered/,
      ),
  )

  reporter.heading('7. Suspend a base image immediately')
  await reporter.step(
    'guardian.suspends',
    'The guardian suspends the base image in one transaction.',
    async () => {
      const call = suspend(kmsAuth, 'osImage', [to0x(appImage.osImageHash)])
      const receipt = await sendCall(dao.people.guardian, call)
      return `block ${receipt.blockNumber}, ${receipt.gasUsed} gas; no vote and no delay; the suspension ends by itself unless the DAO ratifies it`
    },
  )
  await reporter.step('cvm.refused', 'At its next boot, the same CVM is refused.', () =>
    refusedBy(fleet.fetchKeys(fleet.boot(demoCompose, appId)), /OS image is not allowed/),
  )
  return app
}

/* 8 */

async function approveMended(
  reporter: StepReporter,
  { dao, fleet }: DemoEnvironment,
  app: Address,
): Promise<void> {
  const { fixedImage: image } = fleet
  await reporter.step(
    'dao.approves-image',
    'The DAO approves the next version of the base image.',
    async () => {
      const call = addOsImageHash(dao.addresses.kmsAuth, to0x(image.osImageHash))
      await dao.decide([call], 'Approve the mended base image')
      return call.summary
    },
  )
  await reporter.step('cvm.gets-keys-again', 'With it, the CVM gets its keys again.', async () => {
    const cvm = fleet.boot(demoCompose, fromHex(app, 'app', 20), { image })
    await fleet.fetchKeys(cvm)
    return `the same app on ${image.name}`
  })
}

/* 9 */

async function proposeNext(
  reporter: StepReporter,
  { dao, clock }: DemoEnvironment,
  app: Address,
): Promise<bigint | undefined> {
  let proposal: bigint | undefined
  await reporter.step('dao.votes', 'Release 2 of hello-assent is proposed.', async () => {
    const manifest = utf8ToBytes(nextCompose)
    const call = approveManifest(app, to0x(composeHash(manifest)), manifest, {
      notAfter: clock() + day,
    })
    proposal = await dao.open([call], 'Release 2 of hello-assent')
    return `proposal ${String(proposal).slice(0, 12)}… is open for an hour of chain time`
  })
  return proposal
}

function rootKeysOf({ kmsInfo }: Fleet): RootKeyPair {
  return {
    caPublicKey: fromHex(kmsInfo.caPubkey, 'caPubkey'),
    k256PublicKey: fromHex(kmsInfo.k256Pubkey, 'k256Pubkey', 33),
  }
}

async function readRootKey({ chain, dao }: DemoEnvironment): Promise<Uint8Array> {
  const [k256Pubkey] = await chain.client.readContract({
    address: dao.addresses.kmsAuth,
    abi: kmsAuthAbi,
    functionName: 'kmsInfo',
  })
  return fromHex(k256Pubkey, 'k256Pubkey', 33)
}

/** The message with which the KMS refuses. @throws StepFailed if it does not refuse, or refuses for another reason */
async function refusedBy(attempt: Promise<unknown>, reason = /./): Promise<string> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  requireThat(error !== undefined, 'it was not refused')
  if (!isAssentError(error, 'KMS_REFUSED')) throw error
  requireThat(reason.test(error.message), `refused for another reason: ${error.message}`)
  return `the KMS: ${error.message}`
}
