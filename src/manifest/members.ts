/**
 * Members of app-compose.json, as dstack's guest reads them (dstack 0.6, `dstack-types` and `app-compose.sh`).
 *
 * The guest ignores other members, also misspelled ones. Within `requirements` and `gpu_policy` it refuses them.
 */
import { z } from 'zod'

const hex = z.string().regex(/^([0-9a-fA-F]{2})*$/, 'hexadecimal digits')

const gpuPolicy = z.strictObject({
  attest_gpu: z.boolean().optional(),
  rego: z.string().nullish(),
  allow_devtools: z.boolean().optional(),
  allow_debug: z.boolean().optional(),
  allow_insecure_boot: z.boolean().optional(),
})

const requirements = z.strictObject({
  os_version: z.string().nullish(),
  platforms: z.array(z.string()).nullish(),
  tdx_measure_acpi_tables: z.boolean().nullish(),
  launch_token_hash: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, '32 bytes as hex')
    .nullish(),
  gpu_policy: gpuPolicy.optional(),
  health_check: z
    .strictObject({ enabled: z.boolean(), health_file: z.string().nullish() })
    .nullish(),
})

/** The schema of each member that a guest reads. */
export const memberSchemas = {
  manifest_version: z.union([
    z.literal([1, 2]),
    z.string().regex(/^[1-9][0-9]*$/, 'a whole number as text'),
  ]),
  name: z.string(),
  features: z.array(z.string()),
  runner: z.string(),
  snapshotter: z.enum(['overlayfs', 'stargz']).nullable(),
  docker_compose_file: z.string().nullable(),
  bash_script: z.string(),
  init_script: z.union([z.string(), z.array(z.string()).max(5)]).nullable(),
  pre_launch_script: z.string(),
  docker_config: z.looseObject({
    registry: z.string().nullish(),
    username: z.string().nullish(),
    token_key: z.string().nullish(),
  }),
  public_logs: z.boolean(),
  public_sysinfo: z.boolean(),
  public_tcbinfo: z.boolean(),
  kms_enabled: z.boolean(),
  gateway_enabled: z.boolean(),
  tproxy_enabled: z.boolean(),
  local_key_provider_enabled: z.boolean(),
  key_provider: z.enum(['none', 'kms', 'local', 'tpm']).nullable(),
  key_provider_id: hex,
  allowed_envs: z.array(z.string()),
  no_instance_id: z.boolean(),
  secure_time: z.boolean(),
  storage_fs: z.enum(['zfs', 'ext4']).nullable(),
  storage_discard: z.boolean(),
  swap_size: z.union([z.int().nonnegative(), z.string()]),
  event_log_version: z.literal([1, 2]),
  port_policy: z.looseObject({
    ports: z
      .array(z.looseObject({ port: z.int().min(0).max(65535), pp: z.boolean().optional() }))
      .optional(),
    restrict_mode: z.boolean().optional(),
  }),
  requirements: requirements.nullable(),
  verity_volumes: z.array(
    z.looseObject({
      source: z.string(),
      verity_root: z.string().regex(/^[0-9a-fA-F]{64}$/, '32 bytes as hex'),
      target: z.string().startsWith('/'),
    }),
  ),
} as const satisfies Record<string, z.ZodType>

/** A member of app-compose.json that dstack knows. */
export type MemberName = keyof typeof memberSchemas

/** Members without which the guest refuses the manifest. */
export const requiredMembers = ['manifest_version', 'name', 'runner'] as const

/** Values that the guest uses for absent members. */
export const defaults: Readonly<Partial<Record<MemberName, unknown>>> = {
  features: [],
  public_logs: false,
  public_sysinfo: false,
  public_tcbinfo: true,
  kms_enabled: false,
  gateway_enabled: false,
  tproxy_enabled: false,
  local_key_provider_enabled: false,
  key_provider: null,
  key_provider_id: '',
  allowed_envs: [],
  no_instance_id: false,
  secure_time: true,
  storage_fs: null,
  swap_size: 0,
  event_log_version: 1,
  port_policy: {},
  requirements: null,
  verity_volumes: [],
  docker_compose_file: null,
  snapshotter: null,
  init_script: null,
}

/** The newest `manifest_version` that dstack reads. */
export const newestManifestVersion = 3

/** The key provider of the guest, as dstack computes it. */
export function keyProviderOf(members: Readonly<Record<string, unknown>>): string {
  if (typeof members.key_provider === 'string') return members.key_provider
  if (members.kms_enabled === true) return 'kms'
  return members.local_key_provider_enabled === true ? 'local' : 'none'
}
