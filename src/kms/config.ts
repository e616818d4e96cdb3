/** Settings of the KMS. docs/kms-settings.md describes each for operators. */
import { z } from 'zod'

import { bootChainShape, requireConsistentChain } from '../chain/boot/boot-config.ts'
import { AssentError } from '../errors/index.ts'
import { fromHex } from '../lib/bytes.ts'
import { ingressShape } from '../lib/ingress/settings.ts'
import { isRemoteHttp, portSchema, urlListSchema } from '../lib/schema.ts'
import { trustAnchorSchema } from '../quote/certificates/trust-anchor.ts'
import { pccsUrlsSchema } from '../quote/collateral/pccs-urls.ts'
import { parsePolicy } from '../quote/policy.ts'
import { maxKnownLogs, nodeNameSchema } from './log/witness-response.ts'

/** A host name of ASCII labels, as dstack's bootstrap accepts it. A local name or an IPv4 address is valid too. */
const domainSchema = z
  .string()
  .max(253)
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/,
  )

const registerSchema = z
  .string()
  .regex(/^[0-9a-f]{96}$/, '48 bytes as lower-case hex')
  .transform((text) => fromHex(text, 'register', 48))

const measurementSetSchema = z
  .strictObject({
    mrtd: registerSchema,
    rtmr0: registerSchema,
    rtmr1: registerSchema,
    rtmr2: registerSchema,
  })
  .transform(({ mrtd, ...rtmrs }) => ({ mrTd: mrtd, ...rtmrs }))

/** Replicas serve HTTPS only. */
const witnessUrlSchema = z.url({ protocol: /^https$/, error: 'an https:// URL' })

const witnessSchema = z
  .strictObject({
    /** Replicas that are witnesses of this node's log. They need not exist yet. */
    nodes: z
      .array(
        z.strictObject({
          /** `releaseLog.node` of the replica. Only answers signed by the key of that log count. */
          node: nodeNameSchema,
          /** `https://host:port` */
          url: witnessUrlSchema,
          /** Device id of its host. The replica may get the root keys while too few witnesses exist. */
          device: z
            .string()
            .regex(/^(?:0x)?[0-9a-f]{64}$/, 'device id, 32 bytes as lower-case hex')
            .transform((text) => text.replace(/^0x/, ''))
            .optional(),
        }),
      )
      .max(maxKnownLogs)
      .default([]),
    /** Witnesses without a stated node name. The signer of the answer counts, once. */
    urls: z.array(witnessUrlSchema).max(maxKnownLogs).default([]),
    /** Number of witnesses that must have confirmed the log within `maxAgeSeconds`, or no keys are released. */
    atLeast: z.int().min(1),
    /** Seconds between two rounds of questions. */
    everySeconds: z.int().min(1).max(3600).default(30),
    maxAgeSeconds: z.int().min(10).max(86_400).default(300),
  })
  .refine(({ nodes, urls, atLeast }) => nodes.length + urls.length >= atLeast, {
    path: ['atLeast'],
    message: 'is larger than the number of witnesses',
  })
  .refine(({ nodes }) => new Set(nodes.map(({ node }) => node)).size === nodes.length, {
    path: ['nodes'],
    message: 'has a node twice',
  })
  .refine(
    ({ nodes, urls }) => urlListSchema.safeParse([...nodes.map(({ url }) => url), ...urls]).success,
    {
      path: ['urls'],
      message: 'has an address twice',
    },
  )

/** The release log, and the witnesses that detect a rollback of it. */
const releaseLogSchema = z
  .strictObject({
    folder: z.string().min(1),
    /** Permanent name of this node's log. No other node may have the same name. */
    node: nodeNameSchema,
    witnesses: z.union([witnessSchema, z.literal('insecure-none')]),
    /** `public`: anyone may read entries over HTTP. Head and digests are always public. */
    entries: z.enum(['public', 'private']),
    /** How long segments are kept. A segment is deleted when all of its entries are older. */
    keep: z
      .union([z.literal('everything'), z.strictObject({ days: z.int().min(30).max(36_500) })])
      .default('everything'),
    /** A new segment starts after this many bytes. */
    segmentBytes: z
      .int()
      .min(2 ** 16)
      .max(2 ** 30)
      .default(2 ** 26),
  })
  .refine(isNotItsOwnWitness, {
    path: ['witnesses'],
    message: 'includes this node itself',
  })

function isNotItsOwnWitness({ node, witnesses }: { node: string; witnesses: unknown }): boolean {
  const { nodes = [] } = witnesses as { nodes?: readonly { node: string }[] }
  return !nodes.some((witness) => witness.node === node)
}

/** Settings of a KMS. Environment variables start with `ASSENT_KMS_`. */
export const kmsConfigSchema = z.object({
  ...bootChainShape,
  host: z.string().min(1).default('0.0.0.0'),
  port: portSchema.default(8000),
  /** Host name or address in the server certificate. */
  domain: domainSchema,
  /** Names of other KMS nodes with the same root keys. No app gets a certificate for them. */
  reservedNames: z.array(domainSchema).max(256).default([]),
  /** Folder of the root keys. */
  keysFolder: z.string().min(1),
  /** `sealed`: encrypted under a key that only this CVM can get. */
  keyProtection: z.enum(['sealed', 'insecure-plain']),
  /** Unix socket of the dstack guest agent; default: dstack's usual paths. */
  agentSocket: z.string().min(1).optional(),
  /** Root of trust. A file is for simulators only: the holder of that root's key can make any quote. */
  trustedRoot: trustAnchorSchema,
  collateral: z.union([
    z
      .strictObject({
        /** PCCS URLs; all are asked. */
        pccsUrls: pccsUrlsSchema.min(1),
        /** Allows `http://` to other machines, where anyone on the network path can withhold or delay collateral. */
        insecureRemoteHttp: z.boolean().default(false),
        /** Additional CA certificates (PEM), for a PCCS with a private CA. */
        caFile: z.string().min(1).optional(),
        /** Intel's early or standard TCB evaluation numbers. */
        update: z.enum(['standard', 'early']).default('standard'),
        refreshSeconds: z.int().min(1).default(3600),
        timeoutMs: z.int().min(100).max(120_000).default(10_000),
      })
      .refine(
        ({ pccsUrls, insecureRemoteHttp }) => insecureRemoteHttp || !pccsUrls.some(isRemoteHttp),
        {
          message: 'http to another machine needs insecureRemoteHttp',
          path: ['pccsUrls'],
        },
      ),
    z.strictObject({ file: z.string().min(1) }),
  ]),
  /** Quote policy: rules beyond Intel's. src/quote/policy.ts has the fields and safe defaults. */
  quotePolicy: z
    .unknown()
    .optional()
    .transform((json) => parsePolicy(json)),
  /** Hosts whose PCK certificates stay cached as verified, about 10 KB each; the least recently used is dropped first. */
  pckCacheSize: z.int().min(16).max(200_000).default(1_024),
  /** `insecure-off` trusts the host's claim about the base image. */
  imageVerification: z.enum(['required', 'insecure-off']),
  /** Measurement sets for images of the legacy scheme: those approved on-chain, or these, by image hash. */
  images: z
    .union([
      z.literal('on-chain'),
      z.record(
        z.string().regex(/^[0-9a-f]{64}$/, '32 bytes as lower-case hex'),
        z.array(measurementSetSchema).min(1),
      ),
    ])
    .default({}),
  /** Whether this node asks the chain if it may serve. */
  selfAuthorization: z.enum(['required', 'insecure-off']),
  releaseLog: z.union([releaseLogSchema, z.literal('insecure-off')]),
  /** Release keys also while the on-chain gateway id is `any`. */
  insecureAllowAnyGateway: z.boolean().default(false),
  /** Address of the onboarding listener: plain HTTP, for the operator only. */
  onboardHost: z.string().min(1).default('127.0.0.1'),
  onboardPort: portSchema.default(8001),
  /** dstack's Admin API: plain HTTP, for the operator only. */
  admin: z
    .union([
      z.strictObject({
        host: z.string().min(1).default('127.0.0.1'),
        port: portSchema,
        tokenSha256: z
          .string()
          .regex(/^[0-9a-fA-F]{64}$/, 'SHA-256 of the token, 64 hexadecimal digits'),
      }),
      z.literal('off'),
    ])
    .default('off'),
  /** Requests of one client per minute. */
  requestsPerMinute: z.int().min(1).default(600),
  ...ingressShape,
  /** Number of processes that serve. With 1, the process that writes the log also serves. */
  workers: z.int().min(1).max(256).default(1),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

/** Parsed settings, with defaults. */
export type KmsConfig = z.output<typeof kmsConfigSchema>

/**
 * Checks that the settings do not contradict each other. `kms compose`, `kms doctor` and the start of a node call it.
 *
 * @throws CONFIG_INVALID with the next step
 */
export function requireConsistentKms(config: KmsConfig): void {
  requireConsistentChain(config)
  if (config.images === 'on-chain' && 'insecureSingleEndpoint' in config.chainView) {
    const message = 'Configuration: images: on-chain needs a chainView with storage proofs'
    const hint = 'State chainView.endpoints, or list the measurement sets in images.'
    throw new AssentError('CONFIG_INVALID', message, { hint })
  }
}

/** Prefix of environment variables. */
export const kmsConfigPrefix = 'ASSENT_KMS'

/**
 * Names that an app must not get a certificate for, in addition to the own one: other nodes have the same root CA, so a guest would
 * accept the app as a KMS. Witnesses are other nodes.
 */
export function reservedNamesOf({ reservedNames, releaseLog }: KmsConfig): readonly string[] {
  if (releaseLog === 'insecure-off' || releaseLog.witnesses === 'insecure-none')
    return reservedNames
  const { nodes, urls } = releaseLog.witnesses
  const witnesses = [...nodes.map(({ url }) => url), ...urls]
  return [...reservedNames, ...witnesses.map((url) => new URL(url).hostname)]
}
