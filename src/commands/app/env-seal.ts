/**
 * `assent app env seal`: encrypts the environment of an app for its KMS and writes it to a file. Reads the manifest,
 * the file with variables, the root key that the chain stores, and asks the KMS for the public key of the newest key
 * epoch; the root key must have signed it. Unless `--no-pin` is given, the manifest gets the digest of the sealed
 * file and so becomes another release.
 */
import { toBytes } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fetchEnvPublicKey } from '../../kms/env-public-key.ts'
import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { replaceFile } from '../../lib/files.ts'
import { parseEnvironment, requireDeclared } from '../../manifest/environment.ts'
import { pinEnvironment } from '../../manifest/environment-pin.ts'
import { type Manifest, readManifest } from '../../manifest/manifest.ts'
import { sealEnvironment, sealedDigest } from '../../manifest/seal-environment.ts'
import type { sealEnv } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes, readText } from '../input/arguments.ts'
import { chainClock } from '../input/chain-clock.ts'
import { requireApp } from '../input/contracts.ts'
import { pinKmsKey, readKmsInfo } from '../input/kms-root.ts'
import { readKmsUrl } from '../input/kms-url.ts'
import { newestEpoch } from '../input/newest-epoch.ts'
import { bytes, bytes32 } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  file: z.string(),
  digest: bytes32.describe('SHA-256 of the sealed environment'),
  names: z.array(z.string()),
  epoch: z.int().describe('key epoch of the app for which it is sealed'),
  publicKey: bytes.describe('X25519, 32 bytes'),
  rootKey: bytes.describe('root key of the KMS on-chain, which signed the public key'),
  isPinned: z.boolean(),
  composeHash: bytes32.describe('of the manifest after this command'),
})

export async function run(args: ArgumentsOf<typeof sealEnv>, session: Session) {
  const { output } = session
  const manifest = readManifest(await readBytes(args.manifest))
  const environment = parseEnvironment(await readVariables(args.envFile))
  requireDeclared(environment, manifest)
  const url = readKmsUrl(session, args.kmsUrl)
  const app = (await requireApp(session, args.app)).toLowerCase() as Hex
  const { k256Pubkey, caPubkey } = await readKmsInfo(session)
  const epoch = await newestEpoch(session, app)
  const root = fromHex(k256Pubkey, 'root key on-chain', 33)
  const question = { appId: fromHex(app, 'app id', 20), root, epoch }
  output.progress('asking the KMS for the public key')
  const { publicKey } = await fetchEnvPublicKey({ url, clock: await chainClock(session) }, question)
  requireKmsKey(manifest, caPubkey)

  const sealed = sealEnvironment(publicKey, environment)
  const digest = sealedDigest(sealed)
  await replaceFile(args.out, sealed)
  output.line(`${args.out}: sealed for epoch ${epoch} of ${app}, SHA-256 ${digest}`)
  const next = args.noPin ? manifest : pinned(manifest, digest, caPubkey)
  if (!args.noPin) {
    await replaceFile(args.manifest, next.raw)
    output.line(`${args.manifest}: pins it now, so it is another release: ${next.composeHash}`)
  } else output.warning('The environment is not pinned: the host can replace it by another one.')
  return {
    file: args.out,
    digest,
    names: [...environment.keys()],
    epoch,
    publicKey: to0x(publicKey),
    rootKey: k256Pubkey,
    isPinned: !args.noPin,
    composeHash: next.composeHash,
  }
}

/** @throws MANIFEST_KMS_DIFFERS if the manifest names the key of another KMS: the guest would refuse ours */
function requireKmsKey({ members }: Manifest, caPubkey: Hex): void {
  const found = members.key_provider_id
  const expected = caPubkey.slice(2).toLowerCase()
  if (!found || String(found).toLowerCase() === expected) return
  throw new AssentError('MANIFEST_KMS_DIFFERS', 'The manifest names the key of another KMS.', {
    facts: { member: 'key_provider_id', found: String(found), expected },
  })
}

/** With the digest, and with the key of the KMS root CA if the manifest names none. */
function pinned(manifest: Manifest, digest: Hex, caPubkey: Hex): Manifest {
  const withPin = readManifest(toBytes(pinEnvironment(manifest, digest)))
  return withPin.members.key_provider_id ? withPin : pinKmsKey(withPin, caPubkey)
}

/** Limit for standard input; `parseEnvironment` has the one of the environment. */
const maxInput = 1 << 20

async function readVariables(file: string): Promise<string> {
  if (file !== '-') return readText(file)
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk
    if (text.length > maxInput) {
      throw new AssentError('INPUT_TOO_LARGE', 'Standard input is larger than 1 MiB.')
    }
  }
  return text
}
