/** Writes the app-compose.json of an app from its Docker Compose file, in the form that dstack's SDKs write. */
import { AssentError } from '../errors/index.ts'
import { mapWithConcurrency } from '../lib/map-with-concurrency.ts'
import { type Compose, serializeCompose } from '../quote/measurements/compose.ts'
import { parseComposeFile, replaceImages } from './compose-file.ts'
import { isPinned } from './image-reference.ts'
import { resolveImage } from './resolve-image.ts'
import { isVariableName, usedVariables } from './variables.ts'

/** Settings of a new manifest. */
export interface NewManifest {
  /** Name of the app. It is public. */
  readonly name: string
  /** Text of the Docker Compose file. */
  readonly compose: string
  /** Names of sealed variables that the Compose file does not show, for example those of an `env_file`. */
  readonly environment?: readonly string[]
  /** Whether dstack's gateway forwards traffic to the app; default true. */
  readonly gateway?: boolean
  /** Public key of the KMS root CA (SubjectPublicKeyInfo, hex): the guest accepts keys of this KMS only. */
  readonly keyProviderId?: string
  /** All instances share one disk key; default false. */
  readonly noInstanceId?: boolean
  /** Requirement for dstack's OS version, such as `>=0.6.0`. Guests before 0.6 refuse such a manifest. */
  readonly osVersion?: string
}

/**
 * Writes a manifest.
 *
 * @returns text of the file; its SHA-256 is the compose hash
 * @throws COMPOSE_INVALID, IMAGE_NOT_PINNED, INPUT_INVALID, ENV_INVALID, INPUT_TOO_LARGE
 * @example writeFile('app-compose.json', createManifest({ name: 'shop', compose }))
 */
export function createManifest(manifest: NewManifest): string {
  const { name, compose, gateway = true, keyProviderId = '', noInstanceId = false } = manifest
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new AssentError(
      'INPUT_INVALID',
      'The name of an app has up to 64 letters, digits and . _ -',
      {
        facts: { found: name },
      },
    )
  }
  if (!/^([0-9a-f]{2})*$/.test(keyProviderId)) {
    throw new AssentError('INPUT_INVALID', 'The key of the KMS must be lower-case hex.')
  }
  const { content, services } = parseComposeFile(compose)
  requirePinned(services)
  const { osVersion } = manifest
  const members: Compose = {
    manifest_version: osVersion === undefined ? 2 : '3',
    name,
    runner: 'docker-compose',
    docker_compose_file: compose,
    kms_enabled: true,
    gateway_enabled: gateway,
    local_key_provider_enabled: false,
    key_provider: 'kms',
    key_provider_id: keyProviderId,
    allowed_envs: namesOf(content, manifest.environment ?? []),
    public_logs: false,
    public_sysinfo: false,
    public_tcbinfo: true,
    no_instance_id: noInstanceId,
    secure_time: true,
    ...(osVersion === undefined ? {} : { requirements: { os_version: osVersion } }),
  }
  return serializeCompose(members)
}

function requirePinned(services: ReturnType<typeof parseComposeFile>['services']): void {
  const unpinned = [...services].flatMap(([name, { image, build }]) => {
    if (build !== undefined) return [`${name}: build`]
    return typeof image === 'string' && isPinned(image) ? [] : [`${name}: ${String(image)}`]
  })
  if (unpinned.length === 0) return
  throw new AssentError('IMAGE_NOT_PINNED', 'An image has no digest, or is built on the host.', {
    facts: { found: unpinned },
  })
}

/** Sorted, so that the same file always gives the same manifest. @throws ENV_INVALID */
function namesOf(content: unknown, more: readonly string[]): string[] {
  const invalid = more.find((name) => !isVariableName(name))
  if (invalid !== undefined) {
    throw new AssentError('ENV_INVALID', `${invalid} is not the name of a variable.`, {
      facts: { found: invalid },
    })
  }
  // variables with a default are declared too: the sealed environment may override them
  const used = usedVariables(content).map(({ name }) => name)
  return [...new Set([...used, ...more])].sort()
}

/** An image whose digest was looked up. */
export interface ResolvedImage {
  readonly service: string
  /** Image name as written, such as `nginx:1.27`. */
  readonly from: string
  /** Image name with digest, such as `nginx@sha256:…`. */
  readonly to: string
}

/**
 * Replaces the tags of all images of a Compose file by digests from their registries. The rest keeps its bytes.
 *
 * @param resolve default {@link resolveImage}
 * @throws COMPOSE_INVALID, IMAGE_REFERENCE_INVALID, REGISTRY_*
 */
export async function pinImages(
  compose: string,
  resolve: (image: string) => Promise<string> = resolveImage,
): Promise<{ readonly compose: string; readonly resolved: readonly ResolvedImage[] }> {
  const { services } = parseComposeFile(compose)
  const unpinned = [...services].flatMap(([service, { image }]) =>
    typeof image === 'string' && !isPinned(image) ? [{ service, from: image }] : [],
  )
  const names = [...new Set(unpinned.map(({ from }) => from))]
  // each image once, so that two services cannot get different ones
  const pinned = await mapWithConcurrency(
    names,
    async (name) => [name, await resolve(name)] as const,
    4,
  )
  const byName = new Map(pinned)
  const resolved = unpinned.map(({ service, from }) => ({
    service,
    from,
    to: byName.get(from) ?? from,
  }))
  const images = new Map(resolved.map(({ service, to }) => [service, to]))
  return { compose: replaceImages(compose, images), resolved }
}
