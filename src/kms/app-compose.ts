/**
 * Writes the app-compose.json with which a KMS runs as a dstack app.
 *
 * The settings are inside the file, so the compose hash that the DAO approves covers them.
 */
import { posix } from 'node:path'

import { AssentError } from '../errors/index.ts'
import { describeIssues } from '../lib/config.ts'
import { isPemCertificates } from '../lib/files.ts'
import { serializeCompose } from '../quote/measurements/compose.ts'
import { type KmsConfig, kmsConfigSchema, requireConsistentKms } from './config.ts'

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
const agentPath = '/var/run/dstack.sock'

/**
 * Where the container finds dstack's user config: a file that the VMM gives to the CVM at each start. It is not measured
 * and the host can read it.
 */
const userConfigPath = '/run/assent/user-config'
/** Where dstack puts the user config in a CVM. */
const userConfigSource = '/dstack/.user-config'

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
            volumes: [
              `state:${statePath}`,
              `${agentPath}:${agentPath}`,
              ...(heartbeatOf(settings) === undefined ? [] : [userConfigMount]),
            ],
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

/** Without the file the container does not start; Docker would create a folder in its place. */
const userConfigMount = {
  type: 'bind',
  source: userConfigSource,
  target: userConfigPath,
  read_only: true,
  bind: { create_host_path: false },
}

function heartbeatOf({ chainView }: KmsConfig) {
  return 'insecureSingleEndpoint' in chainView ? undefined : chainView.heartbeat
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
  requireConsistentKms(parsed.data)
  requireFitsContainer(parsed.data)
  return parsed.data
}

/** The container has one folder that is kept, the socket of the agent, and the user config. @throws INPUT_INVALID */
function requireFitsContainer(settings: KmsConfig): void {
  for (const [setting, folder] of foldersOf(settings)) {
    if (posix.normalize(folder) === folder && folder.startsWith(`${statePath}/`)) continue
    const message = `\`${setting}\` must lie under ${statePath}, which is kept over restarts.`
    throw invalid(message, { setting, found: folder })
  }
  const { agentSocket, trustedRoot, collateral } = settings
  if (agentSocket !== undefined && agentSocket !== agentPath) {
    const message = `\`agentSocket\` must be ${agentPath} or left out: the container has no other socket.`
    throw invalid(message, { setting: 'agentSocket', found: agentSocket })
  }
  if (typeof trustedRoot !== 'string' || 'file' in collateral) {
    const setting = typeof trustedRoot === 'string' ? 'collateral.file' : 'trustedRoot'
    throw invalid(`\`${setting}\` names a file, which the container does not have.`, { setting })
  }
  for (const { tokenFile } of heartbeatOf(settings)?.relayers ?? []) {
    if (tokenFile === userConfigPath) continue
    const setting = 'chainView.heartbeat.relayers.tokenFile'
    const message = `\`${setting}\` must be ${userConfigPath}: a token gets into the CVM only as its user config.`
    throw invalid(message, { setting, found: tokenFile })
  }
}

/** Every folder that the process writes, by its setting. */
function foldersOf({ keysFolder, releaseLog, chainView }: KmsConfig): [string, string][] {
  const folders: [string, string][] = [['keysFolder', keysFolder]]
  if (releaseLog !== 'insecure-off') folders.push(['releaseLog.folder', releaseLog.folder])
  if ('insecureSingleEndpoint' in chainView) return folders
  const { checkpointFolder, consensus, opStack } = chainView
  folders.push(['chainView.checkpointFolder', checkpointFolder])
  if (consensus) folders.push(['chainView.consensus.storeFolder', consensus.storeFolder])
  const l1 = typeof opStack === 'object' ? opStack.l1.consensus : undefined
  if (l1) folders.push(['chainView.opStack.l1.consensus.storeFolder', l1.storeFolder])
  return folders
}

function invalid(message: string, facts: Record<string, string> = {}): AssentError {
  return new AssentError('INPUT_INVALID', message, { facts })
}
