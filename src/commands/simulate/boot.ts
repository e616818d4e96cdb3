import { writeFile } from 'node:fs/promises'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { type FetchedAppKeys, fetchAppKeys, verifyFetchedKeys } from '../../kms/client.ts'
import { fromHex, type Hex, to0x, toHex } from '../../lib/bytes.ts'
import { readEnvironmentPin } from '../../manifest/environment-pin.ts'
import { type Manifest, readManifest, textMember } from '../../manifest/manifest.ts'
import { openEnvironment, sealedDigest } from '../../manifest/seal-environment.ts'
import type { SimulatedCvm } from '../../tee/simulator/cvm.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes } from '../input/arguments.ts'
import { chainClock } from '../input/chain-clock.ts'
import { requireApp } from '../input/contracts.ts'
import { readKmsInfo } from '../input/kms-root.ts'
import { readKmsUrl } from '../input/kms-url.ts'
import { address, bytes32 } from '../output/json.ts'
import type { Session } from '../session/session.ts'
import type { boot as command } from '../simulate.ts'
import { readSimulatedHost } from './host-folder.ts'

export const schema = z.strictObject({
  app: address,
  composeHash: bytes32,
  image: bytes32.describe('hash of the base image'),
  device: bytes32,
  kms: z.string().describe('URL'),
  epoch: z.int().describe('key epoch of the keys, from 1'),
  environment: z.array(z.string()).describe('names of the variables that the guest opened'),
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { output } = session
  const manifest = readManifest(await readBytes(args.manifest))
  const kms = readKmsUrl(session, args.kmsUrl)
  const { host, image } = await readSimulatedHost(readFolder(args, session))
  const app = (await requireApp(session, args.app)).toLowerCase() as Hex
  const appId = fromHex(app, 'app id', 20)
  const { k256Pubkey, caPubkey } = await readKmsInfo(session)
  const cvm = host.createCvm({ image, compose: manifest.raw, appId })
  const device = to0x(host.deviceId)
  output.line(`app      ${app}`)
  output.line(`release  ${manifest.composeHash}`)
  output.line(`image    ${image.name}`)
  output.line(`host     ${host.name}`)
  output.line(`KMS      ${kms}`)

  output.progress('asking the KMS for the keys')
  const caPublicKey = fromHex(caPubkey, 'root CA key on-chain')
  const clock = await chainClock(session)
  const keys = await fetchAppKeys({ url: kms, caPublicKey, clock }, cvm.source, cvm.vmConfig)
  verifyFetchedKeys(appId, keys, fromHex(k256Pubkey, 'root key on-chain', 33))
  const epoch = keys.writeEpoch ?? 1
  output.line(`keys     of epoch ${epoch}, signed by the root key that the chain stores`)

  const environment = await openPinned(manifest, args.sealed, envKey(keys, epoch))
  if (environment.length > 0) output.line(`opened   ${environment.join(', ')}`)
  if (args.quote !== undefined) {
    cvm.advance('ready', { keyProvider: { name: 'kms', id: caPublicKey } })
    await writeAnswer(args.quote, cvm)
    output.line(`quote    ${args.quote}`)
  }
  const { composeHash } = manifest
  return { app, composeHash, image: to0x(image.osImageHash), device, kms, epoch, environment }
}

function readFolder({ host }: { host: string | undefined }, { profile }: Session): string {
  const folder = host ?? profile.simulatedHost
  if (folder !== undefined) return folder
  throw new AssentError('USAGE_INVALID', 'The option --host is missing.', {
    facts: { option: '--host' },
    hint: 'Pass --host, or set simulatedHost in a profile of assent.toml. `assent simulate host` creates one.',
  })
}

function envKey({ epochKeys, envCryptKey }: FetchedAppKeys, epoch: number): Uint8Array {
  return epochKeys.find((each) => each.epoch === epoch)?.envCryptKey ?? envCryptKey
}

/** Does what the guest does before it starts the containers: compares the digest, then opens the environment. */
async function openPinned(manifest: Manifest, file: string, key: Uint8Array): Promise<string[]> {
  const pin = readEnvironmentPin(textMember(manifest, 'pre_launch_script') ?? '')
  if (pin === undefined) return []
  const sealed = await readBytes(file)
  const digest = sealedDigest(sealed)
  if (digest !== pin) {
    throw new AssentError('ENV_UNREADABLE', `${file} is not the environment that is pinned.`, {
      facts: { file, found: digest, expected: pin },
      hint: 'Deliver the file that `assent app env seal` wrote for this release.',
    })
  }
  return [...openEnvironment(key, sealed).keys()]
}

/** The answer of the guest agent to GetQuote (API v0). */
async function writeAnswer(file: string, cvm: SimulatedCvm): Promise<void> {
  const reportData = new Uint8Array(64)
  const answer = {
    quote: toHex(cvm.quote(reportData)),
    event_log: cvm.eventLog('quote'),
    report_data: toHex(reportData),
    vm_config: cvm.vmConfig,
  }
  await writeFile(file, `${JSON.stringify(answer)}\n`).catch((cause: unknown) => {
    throw new AssentError('FILE_UNWRITABLE', `Cannot write ${file}.`, { cause, facts: { file } })
  })
}
