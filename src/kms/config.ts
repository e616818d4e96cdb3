import { z } from 'zod'

import { bootChainShape } from '../chain/boot-config.ts'
import { fromHex } from '../lib/bytes.ts'
import { ingressShape } from '../lib/ingress/settings.ts'
import { isRemoteHttp, portSchema, urlListSchema } from '../lib/schema.ts'
import { trustAnchorSchema } from '../quote/certificates/trust-anchor.ts'
import { parsePolicy } from '../quote/policy.ts'
import { maxKnownLogs, nodeNameSchema } from './log/witness-response.ts'

/** ASCII labels, as dstack's bootstrap accepts them; a local name or an address works too. */
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
    /** Replicas of this KMS that watch its log, whether they exist yet or not. */
    nodes: z
      .array(
        z.strictObject({
          /** `releaseLog.node` of the replica: who signs with that log's key counts, and nobody else. */
          node: nodeNameSchema,
          /** `https://host:port` */
          url: witnessUrlSchema,
          /** Its machine. It may get the root keys before enough witnesses are there. */
          device: z
            .string()
            .regex(/^(?:0x)?[0-9a-f]{64}$/, 'device id, 32 bytes as lower-case hex')
            .transform((text) => text.replace(/^0x/, ''))
            .optional(),
        }),
      )
      .max(maxKnownLogs)
      .default([]),
    /** Replicas whose names are not stated: who answers says who it is, and counts once. */
    urls: z.array(witnessUrlSchema).max(maxKnownLogs).default([]),
    /** So many different ones must have confirmed the log lately, or nothing is released. */
    atLeast: z.int().min(1),
    everySeconds: z.int().min(1).max(3600).default(30),
    maxAgeSeconds: z.int().min(10).max(86_400).default(300),
  })
  .refine(({ nodes, urls, atLeast }) => nodes.length + urls.length >= atLeast, {
    path: ['atLeast'],
    message: 'asks for more witnesses than are stated',
  })
  .refine(({ nodes }) => new Set(nodes.map(({ node }) => node)).size === nodes.length, {
    path: ['nodes'],
    message: 'states a node twice',
  })
  .refine(
    ({ nodes, urls }) => urlListSchema.safeParse([...nodes.map(({ url }) => url), ...urls]).success,
    {
      path: ['urls'],
      message: 'states an address twice',
    },
  )

/** Where every decision is written down, and who would notice if that were taken back. */
const releaseLogSchema = z
  .strictObject({
    folder: z.string().min(1),
    /** Names this node's log for ever; two nodes must never share it. */
    node: nodeNameSchema,
    witnesses: z.union([witnessSchema, z.literal('insecure-none')]),
    /** Who may read whole entries over HTTP; head and digests are for everyone. */
    entries: z.enum(['public', 'closed']),
    /** How long whole files are kept; a file goes when all of its entries are older. */
    keep: z
      .union([z.literal('everything'), z.strictObject({ days: z.int().min(30).max(36_500) })])
      .default('everything'),
    segmentBytes: z
      .int()
      .min(2 ** 16)
      .max(2 ** 30)
      .default(2 ** 26),
  })
  .refine(isNotItsOwnWitness, {
    path: ['witnesses'],
    message: 'names this node itself as a witness',
  })

function isNotItsOwnWitness({ node, witnesses }: { node: string; witnesses: unknown }): boolean {
  const { nodes = [] } = witnesses as { nodes?: readonly { node: string }[] }
  return !nodes.some((witness) => witness.node === node)
}

/** Settings of a KMS; variables start with `ASSENT_KMS_`. */
export const kmsConfigSchema = z.object({
  ...bootChainShape,
  host: z.string().min(1).default('0.0.0.0'),
  port: portSchema.default(8000),
  /** Name in the server's certificate. */
  domain: domainSchema,
  /** Where the root keys lie. */
  keysFolder: z.string().min(1),
  keyProtection: z.enum(['sealed', 'insecure-plain']),
  /** Unix socket of the dstack agent; the usual places are tried if absent. */
  agentSocket: z.string().min(1).optional(),
  /** Whose quotes count. A file is for simulators: whoever holds that root's key can make any quote. */
  trustedRoot: trustAnchorSchema,
  collateral: z.union([
    z
      .strictObject({
        /** Caching services; all are asked. */
        pccsUrls: urlListSchema.min(1),
        /** Allows `http://` to other machines, where anyone on the network path can withhold or delay collateral. */
        insecureRemoteHttp: z.boolean().default(false),
        /** Certificates (PEM) that are trusted beside the public authorities, for a PCCS with one of its own. */
        caFile: z.string().min(1).optional(),
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
  /** What passes beyond Intel's rules; see src/quote/policy.ts for fields and safe defaults. */
  quotePolicy: z
    .unknown()
    .optional()
    .transform((json) => parsePolicy(json)),
  /** Machines whose certificates are remembered as verified, about 10 KB each; the one seen longest ago goes first. */
  pckCacheSize: z.int().min(16).max(200_000).default(1_024),
  imageVerification: z.enum(['required', 'insecure-off']),
  /** Measurement sets of images with the legacy scheme: those that the chain approves, or these, by image hash. */
  images: z
    .union([
      z.literal('on-chain'),
      z.record(
        z.string().regex(/^[0-9a-f]{64}$/, '32 bytes as lower-case hex'),
        z.array(measurementSetSchema).min(1),
      ),
    ])
    .default({}),
  selfAuthorization: z.enum(['required', 'insecure-off']),
  releaseLog: z.union([releaseLogSchema, z.literal('insecure-off')]),
  insecureAllowAnyGateway: z.boolean().default(false),
  /** Where `onboard-service` listens: plain HTTP, for the operator only. */
  onboardHost: z.string().min(1).default('127.0.0.1'),
  onboardPort: portSchema.default(8001),
  /** dstack's `Admin.*`, plain HTTP for the operator only. */
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
  requestsPerMinute: z.int().min(1).default(600),
  ...ingressShape,
  /** Processes that serve; 1 serves in the process that also writes the log. */
  workers: z.int().min(1).max(256).default(1),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

export type KmsConfig = z.output<typeof kmsConfigSchema>

export const kmsConfigPrefix = 'ASSENT_KMS'
