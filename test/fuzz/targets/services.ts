/** Fuzzing targets: requests to services, and their settings. */
import { isDeepStrictEqual } from 'node:util'

import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Hono } from 'hono'

import { authConfigSchema } from '../../../src/auth/config.ts'
import { parseBootRequest } from '../../../src/auth/request.ts'
import { AssentError } from '../../../src/errors/index.ts'
import { readIndexerConfig } from '../../../src/indexer/config.ts'
import { kmsConfigSchema } from '../../../src/kms/config.ts'
import { GetAppKeyRequestSchema, SignCertRequestSchema } from '../../../src/kms/rpc/kms_pb.ts'
import { method, mountPrpc } from '../../../src/kms/rpc/prpc.ts'
import { equalBytes, toHex, utf8ToBytes } from '../../../src/lib/bytes.ts'
import { loadConfig } from '../../../src/lib/config.ts'
import { readRelayerConfig } from '../../../src/relayer/config.ts'
import { mutateBytes, mutateJson } from '../mutate.ts'
import { legacyHead } from './attestations.ts'
import { evidence, lower, parsedOr, target } from './material.ts'

/** The route of the KMS with a method that returns the parsed request. */
const rpc = new Hono()
mountPrpc(rpc, {
  prefix: 'KMS',
  methods: {
    GetAppKey: method(GetAppKeyRequestSchema, GetAppKeyRequestSchema, async (request) => request),
    SignCert: method(SignCertRequestSchema, SignCertRequestSchema, async (request) => request),
  },
  caller: async () => undefined,
  observe: () => {},
})

const protobufSeeds: readonly (readonly [name: string, body: Uint8Array])[] = [
  [
    'GetAppKey',
    toBinary(
      GetAppKeyRequestSchema,
      create(GetAppKeyRequestSchema, { apiVersion: 1, vmConfig: evidence.vmConfig }),
    ),
  ],
  [
    'SignCert',
    toBinary(
      SignCertRequestSchema,
      create(SignCertRequestSchema, {
        apiVersion: 1,
        csr: legacyHead,
        signature: new Uint8Array(70),
      }),
    ),
  ],
]
const schemas = { GetAppKey: GetAppKeyRequestSchema, SignCert: SignCertRequestSchema } as const
type RpcInput = readonly [name: string, body: Uint8Array]

async function callRpc([name, body]: RpcInput, type: string) {
  const response = await rpc.request(`/prpc/KMS.${name}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: new Uint8Array(body),
  })
  const answer = new Uint8Array(await response.arrayBuffer())
  const code = response.headers.get('x-assent-error')
  if (response.status === 400 && code === 'KMS_REQUEST_INVALID') {
    throw new AssentError(code, Buffer.from(answer).toString('latin1'))
  }
  return { status: response.status, code, answer }
}

/** Protobuf allows several encodings, so the parsed request must be the same after encoding and decoding. */
const protobuf = target<RpcInput, Awaited<ReturnType<typeof callRpc>>>({
  name: 'KMS request (protobuf)',
  seeds: protobufSeeds,
  mutate: ([name, body], random) => [name, mutateBytes(body, random)],
  parse: (input) => callRpc(input, 'application/octet-stream'),
  doubt: (result, [name, body]) => {
    if (result.status !== 200) return `status ${result.status}, ${result.code}`
    const schema = schemas[name as keyof typeof schemas]
    // members of newer peers are ignored, so the answer does not repeat them
    const read = { readUnknownFields: false }
    const [heard, said] = [result.answer, body].map((bytes) => fromBinary(schema, bytes, read))
    const isSame = equalBytes(toBinary(schema, heard as never), toBinary(schema, said as never))
    return isSame ? undefined : 'was understood otherwise'
  },
})

const rpcJson = target<string, Awaited<ReturnType<typeof callRpc>>>({
  name: 'KMS request (JSON)',
  seeds: [
    JSON.stringify({ api_version: 1, vm_config: '{}' }),
    JSON.stringify({ api_version: 1, vm_config: '', other: [1, null] }),
  ],
  mutate: mutateJson,
  parse: (input) => callRpc(['GetAppKey', utf8ToBytes(input.toWellFormed())], 'application/json'),
  doubt: (result, input) => {
    if (input === '') return undefined
    if (result.status !== 200) return `status ${result.status}, ${result.code}`
    const heard = JSON.parse(Buffer.from(result.answer).toString())
    // a lone surrogate has no UTF-8 encoding
    const said = JSON.parse(input.toWellFormed()) ?? {}
    const isSame =
      (said.vm_config ?? '') === heard.vm_config &&
      Number(said.api_version ?? 0) === heard.api_version
    return isSame ? undefined : 'was understood otherwise'
  },
})

const hash32 = 'ab'.repeat(32)
const bootSeed = {
  ...{ teeVariant: 'dstack-tdx', mrAggregated: hash32, osImageHash: `0x${hash32}` },
  ...{ mrSystem: hash32, appId: 'cd'.repeat(20), composeHash: hash32.toUpperCase() },
  ...{ instanceId: '', deviceId: hash32, keyProviderInfo: '7b7d' },
  ...{ tcbStatus: 'UpToDate', advisoryIds: ['INTEL-SA-00001'] },
}

const tdRegisters = Object.fromEntries(
  ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'].map((name) => [name, '12'.repeat(48)]),
)

const bootRequests = target<string, ReturnType<typeof parseBootRequest>>({
  name: 'boot request (webhook)',
  seeds: [
    JSON.stringify(bootSeed),
    JSON.stringify({ ...bootSeed, teeVariant: undefined }),
    JSON.stringify({ ...bootSeed, teeVariant: undefined, attestationMode: 'dstack-tdx' }),
    JSON.stringify({ ...bootSeed, teeVariant: undefined, ...tdRegisters, eventLog: '[]' }),
  ],
  mutate: mutateJson,
  parse: parseBootRequest,
  doubt: ({ teeVariant, boot }, input) => {
    const { keyProviderInfo: _, attestationMode, ...read } = JSON.parse(input)
    const hasRegisters = Object.keys(tdRegisters).every((name) => name in read)
    const variant = read.teeVariant ?? attestationMode
    const isOfTd = variant === undefined && hasRegisters && teeVariant === 'dstack-tdx'
    const known = Object.entries(read).filter(([name]) => Object.hasOwn(bootSeed, name))
    const changed = given({ teeVariant: isOfTd ? 'dstack-tdx' : variant })
    const said = mapValues({ ...Object.fromEntries(known), ...changed }, plainHex)
    const heard = mapValues({ ...given({ teeVariant }), ...boot }, plainHex)
    return isDeepStrictEqual(heard, said) ? undefined : 'was understood otherwise'
  },
})

/** Normalizes hex and bytes. */
function plainHex(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  const isHex = typeof value === 'string' && /^(0x)?[0-9a-fA-F]+$/.test(value)
  return isHex ? value.toLowerCase().replace(/^0x/, '') : value
}

const mapValues = (from: object, change: (value: unknown) => unknown) =>
  Object.fromEntries(Object.entries(from).map(([name, value]) => [name, change(value)]))

const given = (from: object) =>
  Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined))

type Settings = Record<string, unknown>

/** Settings as environment variables. */
function settings<T extends object>(
  name: string,
  prefix: string,
  load: (env: Record<string, string>) => Promise<T>,
  { seed, stated }: { seed: Settings; stated: readonly string[] },
) {
  return target<string, T>({
    name: `settings of the ${name}`,
    weight: 0.3,
    seeds: [JSON.stringify(seed)],
    mutate: mutateJson,
    parse: (input) => load(variables(prefix, parsedOr(input))),
    doubt: (read, input) => {
      const written = JSON.parse(input) as Settings
      const guessed = stated.filter(
        (setting) => !(variable(prefix, setting) in variables(prefix, written)),
      )
      if (guessed.length > 0) return `nobody stated ${guessed.join()}`
      const changed = Object.entries(read).filter(
        ([setting, value]) =>
          ['string', 'number', 'boolean'].includes(typeof value) &&
          setting in written &&
          lower(value) !== lower(written[setting]),
      )
      return changed.length === 0 ? undefined : `changed ${changed.map(([key]) => key).join()}`
    },
  })
}

function variable(prefix: string, setting: string): string {
  return `${prefix}_${setting.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`
}

function variables(prefix: string, written: unknown): Record<string, string> {
  const isObject = typeof written === 'object' && written !== null
  const entries = Object.entries(isObject ? written : {}).map(([setting, value]) => [
    variable(prefix, setting),
    typeof value === 'string' ? value : JSON.stringify(value),
  ])
  return Object.fromEntries(entries)
}

const bootChain = {
  chainId: 31337,
  kmsContract: `0x${'ab'.repeat(20)}`,
  chainView: { insecureSingleEndpoint: 'http://127.0.0.1:8545' },
  finality: { confirmations: 3 },
  maxBlockAgeSeconds: 3600,
}

const kmsSettings = settings(
  'KMS',
  'ASSENT_KMS',
  (env) => loadConfig(kmsConfigSchema, { env, prefix: 'ASSENT_KMS' }),
  {
    seed: {
      ...bootChain,
      ...{ domain: 'kms.example', keysFolder: 'keys', keyProtection: 'sealed' },
      ...{ trustedRoot: 'intel', collateral: { pccsUrls: ['https://pccs.example'] } },
      ...{ imageVerification: 'required', selfAuthorization: 'required' },
      ...{ releaseLog: 'insecure-off', quotePolicy: { statuses: ['UpToDate'] } },
    },
    stated: [
      ...Object.keys(bootChain),
      ...['domain', 'keyProtection', 'trustedRoot', 'collateral', 'imageVerification'],
      ...['selfAuthorization', 'releaseLog'],
    ],
  },
)

const webhookSettings = settings(
  'webhook',
  'ASSENT_AUTH',
  (env) => loadConfig(authConfigSchema, { env, prefix: 'ASSENT_AUTH' }),
  { seed: { ...bootChain, port: 8000, outageStatus: 503 }, stated: Object.keys(bootChain) },
)

const relayerSettings = settings('relayer', 'ASSENT_RELAYER', readRelayerConfig, {
  seed: {
    ...{ chainId: 31337, rpcUrls: ['http://127.0.0.1:8545'], trustedRoot: 'intel' },
    ...{ operators: [{ name: 'ops', tokenSha256: hash32 }], collateralFile: 'collateral.json' },
    ...{ keystoreFile: 'key.json', keystorePasswordFile: 'password', finality: 'finalized' },
  },
  stated: ['chainId', 'rpcUrls', 'trustedRoot', 'operators'],
})

const indexerSettings = settings('indexer', 'ASSENT_INDEXER', readIndexerConfig, {
  seed: {
    ...{ chainId: 31337, rpcUrls: ['http://127.0.0.1:8545'], finality: 'finalized' },
    deploymentFile: 'deployments/31337.json',
  },
  stated: ['chainId', 'rpcUrls', 'deploymentFile'],
})

export const serviceTargets = [
  ...[protobuf, rpcJson, bootRequests],
  ...[kmsSettings, webhookSettings, relayerSettings, indexerSettings],
]
