/**
 * `assent simulate agent`: serves the guest agent of a simulated CVM. Reads the folder of the host and the manifest;
 * with `--kms` it first gets the keys of the app from that KMS.
 */

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { requestCertificate } from '../../kms/certificates/request-certificate.ts'
import { fetchAppKeys } from '../../kms/client.ts'
import { aborted } from '../../lib/aborted.ts'
import { concatBytes, fromHex, to0x, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import { mrAggregated } from '../../quote/measurements/measure.ts'
import { parseQuote } from '../../quote/parse.ts'
import { type AgentSettings, createAgent } from '../../tee/simulator/agent/agent.ts'
import type { SimulatedCvm } from '../../tee/simulator/cvm.ts'
import { createImage } from '../../tee/simulator/image.ts'
import { deriveBytes } from '../../tee/simulator/key.ts'
import { type ListenTarget, listen } from '../../tee/simulator/listen.ts'
import type { ArgumentsOf } from '../command.ts'
import { readAddress, readBytes, readPort, readUrl } from '../input/arguments.ts'
import { address, bytes, bytes32 } from '../output/json.ts'
import type { Context } from '../session/context.ts'
import type { agent as command } from '../simulate.ts'
import { openSimulatedHost } from './host-folder.ts'

export const schema = z.strictObject({
  address: z.string().describe('path of the socket, or URL'),
  deviceId: bytes32,
  appId: address,
  composeHash: bytes32,
  osImageHash: bytes32,
  registers: bytes.describe('measurement set of the image: MRTD, RTMR0, RTMR1, RTMR2'),
  mrAggregated: bytes32.describe('the measurement of a KMS node'),
  keyProvider: z.strictObject({
    name: z.enum(['kms', 'local-sgx']),
    id: bytes.describe('root CA key of the KMS, or measurement of the local key provider'),
  }),
})

type AgentArguments = ArgumentsOf<typeof command>

/** The local key provider of simulated hosts. */
const localProvider = new Uint8Array(32).fill(1)

/** One line as soon as it serves. Ends after SIGTERM or SIGINT. */
export async function* run(args: AgentArguments, context: Context) {
  const { output } = context
  const target = readTarget(args)
  const { simulator, host, image } = await openSimulatedHost(args.folder)
  const cvm = host.createCvm({
    image: args.image === undefined ? image : createImage({ name: args.image }),
    compose: await readCompose(args),
    ...(args.appId === undefined
      ? {}
      : { appId: fromHex(readAddress(args.appId, '--app-id'), 'app id', 20) }),
  })
  const kms = args.kms === undefined ? undefined : readUrl(args.kms, '--kms')
  const started =
    kms === undefined
      ? startWithLocalKeys(cvm, simulator.pki.seed)
      : await startWithKms(cvm, kms, output)
  const stop = context.stopSignal()
  const release = args.dstackVersion as '0.5' | '0.6'
  const server = await listen(createAgent(cvm, { release, ...started.settings }), target)
  const value = { address: server.address, ...describe(cvm), keyProvider: started.keyProvider }
  for (const [name, text] of Object.entries({ ...value, keyProvider: started.keyProvider.name })) {
    output.line(`${name.padEnd(13)} ${text}`)
  }
  output.line('The agent serves; Ctrl-C stops it.')
  output.pause()
  yield value
  await aborted(stop)
  await server.close()
}

interface Started {
  readonly keyProvider: { readonly name: 'kms' | 'local-sgx'; readonly id: string }
  readonly settings: Pick<AgentSettings, 'issuer'>
}

/** As with dstack's local key provider: the same software on the same host has the same keys. */
function startWithLocalKeys(cvm: SimulatedCvm, seed: Uint8Array): Started {
  const label = concatBytes(utf8ToBytes('local-key/'), cvm.composeHash, cvm.image.osImageHash)
  cvm.advance('ready', {
    keyProvider: { name: 'local-sgx', id: localProvider },
    keys: {
      k256Key: deriveBytes(seed, toHex(label), 32),
      // no root key signs the keys of a local provider
      k256Signature: new Uint8Array(65),
    },
  })
  return { keyProvider: { name: 'local-sgx', id: to0x(localProvider) }, settings: {} }
}

/**
 * As dstack's guest at its boot: asks the KMS for the keys of the app. A manifest that names the root key of its KMS accepts
 * no other one.
 *
 * @throws KMS_REFUSED with the reason of the KMS, KMS_UNREACHABLE, KMS_UNAVAILABLE, KMS_PEER_UNTRUSTED, KMS_ANSWER_INVALID
 */
async function startWithKms(
  cvm: SimulatedCvm,
  url: string,
  output: Context['output'],
): Promise<Started> {
  const pinned = pinnedKms(cvm)
  const options = { url, ...(pinned === undefined ? {} : { caPublicKey: pinned }) }
  output.progress('asking the KMS for the keys of the app')
  const keys = await fetchAppKeys(options, cvm.source, cvm.vmConfig)
  const { k256Key, k256Signature, osImageHash, caPublicKey } = keys
  cvm.advance('ready', {
    keyProvider: { name: 'kms', id: caPublicKey },
    osImageHash,
    keys: { k256Key, k256Signature },
  })
  output.line(`The KMS released the keys of ${to0x(cvm.appId)}.`)
  return {
    keyProvider: { name: 'kms', id: to0x(caPublicKey) },
    settings: { issuer: (request) => requestCertificate({ ...options, caPublicKey }, request) },
  }
}

/** The member `key_provider_id` of the manifest, if it has one. */
function pinnedKms({ compose }: SimulatedCvm): Uint8Array | undefined {
  let members: { key_provider_id?: unknown }
  try {
    members = JSON.parse(new TextDecoder().decode(compose))
  } catch {
    return undefined
  }
  const { key_provider_id: id } = members ?? {}
  return typeof id === 'string' && id !== '' ? fromHex(id, 'key_provider_id') : undefined
}

function describe(cvm: SimulatedCvm) {
  const { report } = parseQuote(cvm.quote(new Uint8Array(64)))
  const [rtmr0, rtmr1, rtmr2, rtmr3] = report.rtmrs
  return {
    deviceId: to0x(cvm.deviceId),
    appId: to0x(cvm.appId),
    composeHash: to0x(cvm.composeHash),
    osImageHash: to0x(cvm.image.osImageHash),
    registers: to0x(concatBytes(report.mrTd, rtmr0, rtmr1, rtmr2)),
    mrAggregated: to0x(mrAggregated(report, rtmr3)),
  }
}

async function readCompose({ compose }: AgentArguments): Promise<Uint8Array> {
  return compose === undefined ? utf8ToBytes(defaultCompose) : readBytes(compose)
}

const defaultCompose = '{"manifest_version":2,"name":"simulated","runner":"docker-compose"}'

function readTarget({ socket, port }: AgentArguments): ListenTarget {
  if (socket !== undefined && port === undefined) return { socket }
  if (socket === undefined && port !== undefined) return { port: readPort(port, '--port') }
  throw new AssentError('USAGE_INVALID', 'Pass either --socket or --port.', {
    facts: { socket: socket ?? null, port: port ?? null },
  })
}
