/**
 * Writes the app-compose.json with which a KMS runs as a dstack app.
 *
 * The settings are inside the file, so the compose hash that the DAO approves covers them.
 */
import { AssentError } from '../errors/index.ts'
import { describeIssues } from '../lib/config.ts'
import { isPemCertificates } from '../lib/files.ts'
import { serializeCompose } from '../quote/measurements/compose.ts'
import { type KmsConfig, kmsConfigSchema } from './config.ts'

/** Choices of an operator for the CVM of a KMS node. */
export interface KmsCompose {
  /** Name of the app. */
  readonly name: string
  /** Container image with its digest, because a tag can be moved. */
  readonly image: string
  /** The KMS settings as JSON text. */
  readonly config: string
  /** Measurement of the local key provider, hex. Only this provider may give the CVM its sealing key. */
  readonly keyProviderId: string
  /** CA certificates (PEM) that become the file `collateral.caFile`. */
  readonly pccsCa?: string
}

const settingsPath = '/etc/assent/kms.json'
const statePath = '/var/lib/assent'

/**
 * Writes the app-compose file of a KMS node. Equal input gives equal bytes, so several people can compute the same
 * compose hash.
 *
 * @returns the file's text; its SHA-256 is the compose hash
 * @throws INPUT_INVALID if the image has no digest or the key provider id is not hex, CONFIG_INVALID
 */
export function writeKmsCompose(compose: KmsCompose): string {
  const { name, image, config, keyProviderId, pccsCa } = compose
  if (!/^[a-z0-9][a-z0-9./:_-]*@sha256:[0-9a-f]{64}$/.test(image)) {
    throw invalid('The image must be named with its digest: name@sha256:…')
  }
  if (!/^([0-9a-f]{2})+$/.test(keyProviderId)) throw invalid('The key provider id must be hex.')
  const settings = readSettings(config)
  const { port, onboardPort } = settings
  const caFile = readCaFile(settings, pccsCa)
  return serializeCompose({
    manifest_version: 2,
    name,
    runner: 'docker-compose',
    docker_compose_file: JSON.stringify(
      {
        services: {
          kms: {
            image,
            restart: 'always',
            init: true,
            read_only: true,
            cap_drop: ['ALL'],
            security_opt: ['no-new-privileges:true'],
            // a core file would contain the root keys
            ulimits: { core: 0 },
            ports: [`${port}:${port}`, `${onboardPort}:${onboardPort}`],
            volumes: [`state:${statePath}`, '/var/run/dstack.sock:/var/run/dstack.sock'],
            configs: [
              { source: 'kms', target: settingsPath },
              ...(caFile === undefined ? [] : [{ source: 'pccs-ca', target: caFile }]),
            ],
          },
        },
        configs: {
          kms: { content: withoutVariables(config) },
          ...(pccsCa === undefined ? {} : { 'pccs-ca': { content: withoutVariables(pccsCa) } }),
        },
        volumes: { state: {} },
      },
      null,
      2,
    ),
    kms_enabled: false,
    gateway_enabled: false,
    local_key_provider_enabled: true,
    key_provider: 'local',
    key_provider_id: keyProviderId,
    allowed_envs: [],
    no_instance_id: true,
    secure_time: true,
  })
}

/** Docker Compose replaces `$NAME` by a variable; `$$` is a literal dollar sign. */
function withoutVariables(content: string): string {
  return content.replaceAll('$', '$$$$')
}

/** Path of the CA file. A file that the settings name must exist at the first boot. @throws INPUT_INVALID */
function readCaFile({ collateral }: KmsConfig, pccsCa: string | undefined): string | undefined {
  const caFile = 'caFile' in collateral ? collateral.caFile : undefined
  if ((caFile === undefined) !== (pccsCa === undefined)) {
    throw invalid('`collateral.caFile` and the certificates for it (--pccs-ca) belong together.')
  }
  if (pccsCa !== undefined && !isPemCertificates(pccsCa)) {
    throw invalid('The certificates of the PCCS are not in PEM.')
  }
  if (caFile !== undefined && !caFile.startsWith('/etc/assent/')) {
    throw invalid('`collateral.caFile` must lie in /etc/assent, which is part of the compose file.')
  }
  return caFile
}

/** Refuses settings that the process would refuse, before the DAO votes on them. @throws CONFIG_INVALID */
function readSettings(config: string) {
  let json: unknown
  try {
    json = JSON.parse(config)
  } catch (cause) {
    throw new AssentError('CONFIG_INVALID', 'Configuration: not JSON.', { cause })
  }
  const parsed = kmsConfigSchema.strict().safeParse(json)
  if (!parsed.success) {
    throw new AssentError('CONFIG_INVALID', `Configuration: ${describeIssues(parsed.error)}`)
  }
  const { keysFolder, releaseLog } = parsed.data
  const folders = [keysFolder, ...(releaseLog === 'insecure-off' ? [] : [releaseLog.folder])]
  if (folders.some((folder) => !folder.startsWith(`${statePath}/`))) {
    throw invalid(`Keys and log must lie under ${statePath}, which is kept over restarts.`)
  }
  return parsed.data
}

function invalid(message: string): AssentError {
  return new AssentError('INPUT_INVALID', message)
}
