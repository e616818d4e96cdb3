/** Checks the services of a Compose file: pinned images, isolation of containers, secrets in plain text. */
import type { ComposeFile, Service } from './compose-file.ts'
import { knownServiceMembers, knownTopMembers } from './compose-members.ts'
import type { ManifestFinding, Severity } from './finding.ts'
import { isPinned } from './image-reference.ts'
import { environmentOf, mountsOf, textsOf } from './services.ts'

/**
 * Findings about the services of a Compose file: images without digests, host access, secrets in plain text, files
 * that the CVM does not have.
 */
export function lintServices({ services, content }: ComposeFile): ManifestFinding[] {
  return [
    ...lintNames(content),
    ...lintFiles(content),
    ...lintMembers(content, knownTopMembers, ''),
    ...lintModels(content),
    ...lintVolumes(content),
    ...[...services].flatMap(([name, service]) => {
      const at = (member: string) => `services.${name}.${member}`
      return [
        ...lintMembers(service, knownServiceMembers, `services.${name}.`),
        ...lintImage(service, at),
        ...lintImageMounts(service, at),
        ...lintIsolation(service, at),
        ...lintMounts(service, at),
        ...lintSecrets(service, at),
        ...lintServiceFiles(service, at),
      ]
    }),
  ]
}

type Place = (member: string) => string

/** Members that these checks do not know: nobody has decided what they allow. */
function lintMembers(
  content: Service,
  known: ReadonlySet<string>,
  place: string,
): ManifestFinding[] {
  return Object.keys(content)
    .filter((name) => !known.has(name) && !name.startsWith('x-'))
    .map((name) => ({
      code: 'COMPOSE_MEMBER_UNCHECKED',
      severity: 'warning',
      place: `${place}${name}`,
      found: `The linter does not know what ${name} allows.`,
      nextStep: 'Remove it, or read in the reference of Docker Compose what it does.',
    }))
}

function lintImage({ image, build }: Service, at: Place): ManifestFinding[] {
  if (build !== undefined) {
    return [
      {
        code: 'IMAGE_BUILT_IN_GUEST',
        severity: 'error',
        place: at('build'),
        found: 'The image is built in the CVM from files that are not part of the manifest.',
        nextStep: 'Build the image before, publish it, and name it by its digest.',
      },
    ]
  }
  return lintImageName(image, at('image'))
}

/** Mounts of type `image`: Docker pulls the image and mounts its files. */
function lintImageMounts({ volumes }: Service, at: Place): ManifestFinding[] {
  if (!Array.isArray(volumes)) return []
  return volumes.flatMap((mount) => {
    const members = new Map(entriesOf(mount))
    return members.get('type') === 'image'
      ? lintImageName(members.get('source'), at('volumes'))
      : []
  })
}

/** Models are images too (OCI artifacts). */
function lintModels({ models }: ComposeFile['content']): ManifestFinding[] {
  return entriesOf(models).flatMap(([name, value]) =>
    lintImageName(new Map(entriesOf(value)).get('model'), `models.${name}.model`),
  )
}

function lintImageName(image: unknown, place: string): ManifestFinding[] {
  if (typeof image === 'string' && isPinned(image)) return []
  const isVariable = typeof image === 'string' && image.includes('$')
  return [
    {
      code: isVariable ? 'IMAGE_FROM_ENVIRONMENT' : 'IMAGE_NOT_PINNED',
      severity: 'error',
      place,
      found: isVariable
        ? `A variable chooses the image ${image}, so an approved release can run any image.`
        : `The image ${String(image)} has no digest, so its registry can replace it after the vote.`,
      nextStep: 'Write name@sha256:…, or run assent app init --resolve.',
    },
  ]
}

interface IsolationRule {
  readonly code: string
  readonly severity: Severity
  readonly member: string
  readonly isFound: (service: Service) => boolean
  readonly found: string
  readonly nextStep: string
}

const isolationRules: readonly IsolationRule[] = [
  {
    code: 'PRIVILEGED',
    severity: 'error',
    member: 'privileged',
    isFound: ({ privileged }) => isOn(privileged),
    found: 'The container has all rights in the CVM and can read all keys of the app.',
    nextStep: 'Remove it, and add single capabilities if they are needed.',
  },
  {
    code: 'DOCKER_SOCKET',
    severity: 'error',
    member: 'use_api_socket',
    isFound: ({ use_api_socket: socket }) => isOn(socket),
    found:
      'The container gets the Docker API, so it can start any other container and read all keys of the app.',
    nextStep: 'Remove it.',
  },
  ...(['post_start', 'pre_stop'] as const).map(
    (member): IsolationRule => ({
      code: 'PRIVILEGED',
      severity: 'error',
      member,
      isFound: ({ [member]: hooks }) =>
        Array.isArray(hooks) &&
        hooks.some((hook) => isOn(new Map(entriesOf(hook)).get('privileged'))),
      found: 'The command has all rights in the CVM and can read all keys of the app.',
      nextStep: 'Remove privileged.',
    }),
  ),
  {
    code: 'HOST_NETWORK',
    severity: 'warning',
    member: 'network_mode',
    isFound: ({ network_mode: mode }) => mode === 'host',
    found:
      'The container shares the network of the CVM and reaches services that listen on localhost.',
    nextStep: 'Publish the ports that it needs instead.',
  },
  {
    code: 'HOST_NAMESPACE',
    severity: 'error',
    member: 'pid',
    isFound: ({ pid, ipc, userns_mode: user, cgroup, uts, network_mode: network }) =>
      [pid, ipc, user, cgroup, uts].includes('host') ||
      [pid, ipc, network].some((mode) => String(mode).startsWith('container:')),
    found:
      'The container shares a namespace with the CVM or with a container of another project (pid, ipc, uts, userns_mode, cgroup or network_mode).',
    nextStep: 'Remove it.',
  },
  {
    code: 'CAPABILITY_ADDED',
    severity: 'warning',
    member: 'cap_add',
    isFound: ({ cap_add: added }) => textsOf(added).length > 0,
    found: 'The container gets more rights than Docker gives by default.',
    nextStep: 'Check that the service needs each of them.',
  },
  {
    code: 'CONFINEMENT_OFF',
    severity: 'warning',
    member: 'security_opt',
    isFound: ({ security_opt: options }) =>
      textsOf(options).some((each) => /unconfined|disable/.test(each)),
    found: 'A protection of the container is switched off (seccomp, AppArmor or labels).',
    nextStep: 'Remove it.',
  },
  {
    code: 'DEVICE_MAPPED',
    severity: 'warning',
    member: 'devices',
    isFound: ({ devices }) => Array.isArray(devices) && devices.length > 0,
    found: 'The container gets a device of the CVM.',
    nextStep: 'Check that the service needs it.',
  },
]

/** Docker Compose reads some texts as true, and a variable can give one. */
function isOn(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false
}

function lintIsolation(service: Service, at: Place): ManifestFinding[] {
  return isolationRules
    .filter(({ isFound }) => isFound(service))
    .map(({ code, severity, member, found, nextStep }) => ({
      code,
      severity,
      place: at(member),
      found,
      nextStep,
    }))
}

const dockerSocket =
  /(^|\/)(docker|containerd)\.sock$|^\/run\/?$|^\/var\/run\/?$|^\/run\/containerd\/?/
const agentSocket = /(^|\/)(dstack|tappd)\.sock$/
const sensitive =
  /^\/(var\/?(lib\/?)?)?$|^\/(dstack|tapp|etc|proc|sys|dev|boot|usr|bin|root|var\/lib\/docker|var\/volatile)(\/|$)/

function lintMounts(service: Service, at: Place): ManifestFinding[] {
  return mountsOf(service).flatMap(({ source = '', target, isBind }) =>
    isBind ? lintSource(source, target, at('volumes')) : [],
  )
}

/**
 * Named volumes: the driver mounts `device` with the options of mount(8). The option `o: bind` gives a path of the CVM,
 * and other file systems come from outside, so each device is checked as the source of a mount.
 */
function lintVolumes({ volumes }: ComposeFile['content']): ManifestFinding[] {
  return entriesOf(volumes).flatMap(([name, value]): ManifestFinding[] => {
    const options = new Map(entriesOf(new Map(entriesOf(value)).get('driver_opts')))
    const driver = new Map(entriesOf(value)).get('driver') ?? 'local'
    if (driver === 'local' && (options.size === 0 || isTmpfs(options))) return []
    const place = `volumes.${name}.driver_opts`
    const findings = lintSource(String(options.get('device') ?? ''), `the volume ${name}`, place)
    if (findings.length > 0) return findings
    return [
      {
        code: 'VOLUME_MOUNTS_DEVICE',
        severity: 'error',
        place,
        found: 'The driver of the volume or its options choose what it contains.',
        nextStep: 'Remove driver and driver_opts.',
      },
    ]
  })
}

/** With a bind option the type is ignored, so only options that tmpfs itself has are accepted. */
function isTmpfs(options: ReadonlyMap<string, unknown>): boolean {
  const settings = String(options.get('o') ?? '').split(',')
  return (
    options.get('type') === 'tmpfs' &&
    settings.every((each) => /^((size|mode|uid|gid)=\w+%?)?$/.test(each))
  )
}

function lintSource(source: string, target: string, place: string): ManifestFinding[] {
  if (dockerSocket.test(source)) {
    return [
      {
        code: 'DOCKER_SOCKET',
        severity: 'error',
        place,
        found: `${source} is mounted, so the container can start any other container and read all keys of the app.`,
        nextStep: 'Remove it.',
      },
    ]
  }
  if (agentSocket.test(source)) {
    return [
      {
        code: 'AGENT_SOCKET',
        severity: 'note',
        place,
        found: `${source} is mounted at ${target}, so the container can get keys and quotes of the app.`,
        nextStep: 'Mount it only into the service that needs keys.',
      },
    ]
  }
  if (source.includes('$')) {
    return [
      {
        code: 'MOUNT_FROM_ENVIRONMENT',
        severity: 'error',
        place,
        found: `A variable chooses what is mounted: ${source}.`,
        nextStep: 'Write the path.',
      },
    ]
  }
  if (sensitive.test(source) || source.includes('..')) {
    return [
      {
        code: 'CVM_PATH_MOUNTED',
        severity: 'warning',
        place,
        found: `${source} of the CVM is mounted at ${target}.`,
        nextStep: 'Use a named volume, unless the service needs this folder.',
      },
    ]
  }
  return []
}

/* SECRETS */

const secretName =
  /(SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|CREDENTIAL|MNEMONIC|SEED_?PHRASE)/i
const noSecretName =
  /(_FILE|_PATH|_URL|_URI|_HASH|_TTL|_LENGTH|_EXPIRY|_EXPIRATION|_ID|PUBLIC_?KEY)$/i
const secretValues: readonly (readonly [string, RegExp])[] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['an access key of AWS', /\bAKIA[0-9A-Z]{16}\b/],
  ['a token of GitHub', /\bgh[pousr]_[A-Za-z0-9]{36,}\b/],
  ['an API key', /\bsk-[A-Za-z0-9_-]{20,}\b/],
  ['a JSON web token', /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/],
  ['a password in a URL', /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^/\s:@]{1,200}:[^/\s:@$]{1,200}@/i],
]

/** The manifest is public. The value itself is never part of a finding. */
function lintSecrets(service: Service, at: Place): ManifestFinding[] {
  const inEnvironment = [...environmentOf(service)].flatMap(([name, value]) => {
    const kind = value === null ? undefined : secretIn(value)
    const looksSecret = secretName.test(name) && !noSecretName.test(name)
    const isWritten = value !== null && value !== '' && !value.includes('$')
    const what = kind ?? (looksSecret && isWritten ? `the value of ${name}` : undefined)
    return what === undefined ? [] : [plainSecret(at(`environment.${name}`), what)]
  })
  const elsewhere = ['command', 'entrypoint', 'labels', 'healthcheck'].flatMap((member) => {
    const kind = secretIn(JSON.stringify(service[member] ?? ''))
    return kind === undefined ? [] : [plainSecret(at(member), kind)]
  })
  return [...inEnvironment, ...elsewhere]
}

function secretIn(text: string): string | undefined {
  return secretValues.find(([, pattern]) => pattern.test(text))?.[0]
}

function plainSecret(place: string, what: string): ManifestFinding {
  return {
    code: 'SECRET_IN_PLAIN_TEXT',
    severity: 'error',
    place,
    found: `It contains ${what}. The manifest is public, also after the release has ended.`,
    nextStep:
      'Change this secret now. Write a variable here, and seal its value: assent app env seal.',
  }
}

/* FILES AND NAMES */

/** The CVM has no other files than the manifest and the sealed environment. */
function lintFiles(content: ComposeFile['content']): ManifestFinding[] {
  const included: ManifestFinding[] =
    content.include === undefined
      ? []
      : [fileMissing('include', 'Other Compose files are included.')]
  const files = (['configs', 'secrets'] as const).flatMap((kind) =>
    entriesOf(content[kind]).flatMap(([name, value]) =>
      entriesOf(value).some(([member]) => member === 'file')
        ? [fileMissing(`${kind}.${name}.file`, 'It comes from a file.')]
        : [],
    ),
  )
  return [...included, ...files]
}

function lintServiceFiles({ extends: extended, env_file: files }: Service, at: Place) {
  const other = entriesOf(extended).some(([member]) => member === 'file')
  const sealed = /^\/dstack\/\.host-shared\/\.decrypted-env(\.json)?$/
  const unknown = textsOf(files).filter((file) => !sealed.test(file))
  return [
    ...(other ? [fileMissing(at('extends'), 'It extends a service of another file.')] : []),
    ...(unknown.length > 0 ? [fileMissing(at('env_file'), `It reads ${unknown.join(', ')}.`)] : []),
  ]
}

function fileMissing(place: string, found: string): ManifestFinding {
  return {
    code: 'FILE_NOT_IN_MANIFEST',
    severity: 'error',
    place,
    found: `${found} The CVM has only the manifest and the sealed environment.`,
    nextStep: 'Write the content into the Compose file.',
  }
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}

/** Names that people compare by eye: a letter of another script looks like one of ours. */
function lintNames(content: ComposeFile['content']): ManifestFinding[] {
  const named = ['services', 'volumes', 'networks', 'configs', 'secrets'].flatMap((kind) =>
    entriesOf(content[kind]).flatMap(([name, value]) => {
      const image =
        kind === 'services' ? entriesOf(value).find(([member]) => member === 'image')?.[1] : ''
      return [
        [`${kind}.${name}`, name],
        [`${kind}.${name}.image`, String(image ?? '')],
      ] as const
    }),
  )
  return (
    named
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
      .filter(([, text]) => /[^\x00-\x7f]/.test(text))
      .map(([place, text]) => ({
        code: 'NAME_LOOKS_LIKE_ANOTHER',
        severity: 'warning',
        place,
        found: `${text} has letters outside ASCII, which can look like other letters.`,
        nextStep: 'Use ASCII letters in names.',
      }))
  )
}
