/** Checks a manifest: what the guest refuses, and what makes a release weaker than it looks. */
import { isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml'

import { isAssentError } from '../errors/index.ts'
import { describeIssues } from '../lib/config.ts'
import { parseComposeFile } from './compose-file.ts'
import { readEnvironmentPin, withoutEnvironmentPin } from './environment-pin.ts'
import { type ManifestFinding, sortFindings } from './finding.ts'
import { lintServices } from './lint-services.ts'
import {
  composeRunners,
  composeText,
  listMember,
  type Manifest,
  maxPublishedBytes,
  textMember,
} from './manifest.ts'
import {
  keyProviderOf,
  type MemberName,
  memberSchemas,
  newestManifestVersion,
  requiredMembers,
} from './members.ts'
import { isVariableName, usedVariables } from './variables.ts'

/**
 * Checks a manifest. It reads only the manifest: whether its release is approved is a question for `explainApp`.
 *
 * @returns findings, errors first
 * @example lintManifest(readManifest(raw)).filter(({ severity }) => severity === 'error')
 */
export function lintManifest(manifest: Manifest): readonly ManifestFinding[] {
  return sortFindings([
    ...lintText(manifest),
    ...lintTypes(manifest),
    ...lintFlags(manifest),
    ...lintScripts(manifest),
    ...lintEnvironment(manifest),
    ...lintCompose(manifest),
  ])
}

/* TEXT */

/** Direction marks, zero-width and other characters that change what a reader sees (Unicode TR 36 and TR 39). */
const invisible = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/

function lintText({ raw, text }: Manifest): ManifestFinding[] {
  const findings: ManifestFinding[] = []
  if (raw.length > maxPublishedBytes) {
    findings.push({
      code: 'TOO_LARGE_TO_PUBLISH',
      severity: 'warning',
      place: '',
      found: `The manifest has ${raw.length} bytes.`,
      nextStep: `A release publishes at most ${maxPublishedBytes} bytes. Voters cannot read a larger one from the chain.`,
    })
  }
  for (const place of duplicateKeys(text)) {
    findings.push({
      code: 'DUPLICATE_KEY',
      severity: 'error',
      place,
      found: 'The key is there twice. Readers disagree about which one counts.',
      nextStep: 'Delete one of them.',
    })
  }
  const hidden = invisible.exec(decodeEscapes(text))
  if (hidden !== null) {
    const code = hidden[0].codePointAt(0)?.toString(16).padStart(4, '0').toUpperCase()
    findings.push({
      code: 'INVISIBLE_CHARACTER',
      severity: 'error',
      place: '',
      found: `The manifest has the invisible character U+${code}, so it can look like another one.`,
      nextStep: 'Remove the character.',
    })
  }
  return findings
}

/** JSON may write any character as `\uXXXX`. */
function decodeEscapes(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}

/** JSON is YAML, and the parser keeps both keys of a duplicate. */
function duplicateKeys(text: string): string[] {
  const lineCounter = new LineCounter()
  const options = { lineCounter, uniqueKeys: false, prettyErrors: false, schema: 'json' } as const
  const document = parseDocument(text, { ...options, logLevel: 'error' })
  const found: string[] = []
  visit(document, {
    Map: (_, map, path) => {
      const seen = new Set<string>()
      for (const { key } of map.items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        if (seen.has(name)) found.push([...path.flatMap(nameOf), name].join('.'))
        seen.add(name)
      }
    },
  })
  return [...new Set(found)]
}

function nameOf(node: unknown): string[] {
  const isPair = typeof node === 'object' && node !== null && 'key' in node && !isMap(node)
  const key = isPair ? node.key : undefined
  return isScalar(key) ? [String(key.value)] : []
}

/* MEMBERS */

function lintTypes({ members }: Manifest): ManifestFinding[] {
  const missing = requiredMembers
    .filter((name) => members[name] === undefined)
    .map((name) => wrongType(name, 'The member is missing, so the guest refuses the manifest.'))
  const present = Object.entries(members).flatMap(([name, value]): ManifestFinding[] => {
    if (!Object.hasOwn(memberSchemas, name)) {
      const found = 'dstack knows no member of this name and ignores it.'
      const nextStep = 'Check the spelling, or delete it.'
      return [{ code: 'UNKNOWN_MEMBER', severity: 'warning', place: name, found, nextStep }]
    }
    const parsed = memberSchemas[name as MemberName].safeParse(value)
    return parsed.success
      ? []
      : [wrongType(name, `The guest refuses it: ${describeIssues(parsed.error)}.`)]
  })
  return [...missing, ...present, ...lintVersion(members)]
}

function wrongType(place: string, found: string): ManifestFinding {
  const nextStep = 'Correct the member as dstack documents it.'
  return { code: 'MEMBER_INVALID', severity: 'error', place, found, nextStep }
}

function lintVersion(members: Manifest['members']): ManifestFinding[] {
  const version = Number(members.manifest_version)
  const place = 'manifest_version'
  if (version > newestManifestVersion) {
    const found = `dstack reads versions up to ${newestManifestVersion}.`
    return [
      {
        code: 'VERSION_UNKNOWN',
        severity: 'error',
        place,
        found,
        nextStep: 'Use a lower version.',
      },
    ]
  }
  if (members.requirements == null || version >= 3) return []
  return [
    {
      code: 'REQUIREMENTS_IGNORED',
      severity: 'error',
      place,
      found: 'Guests before dstack 0.6 ignore `requirements` in a manifest of version 1 or 2.',
      nextStep: 'Write "manifest_version": "3" as text. Older guests then refuse the manifest.',
    },
  ]
}

interface FlagRule {
  readonly isFound: (members: Manifest['members']) => boolean
  readonly finding: ManifestFinding
}

const flagRules: readonly FlagRule[] = [
  {
    isFound: (members) => keyProviderOf(members) !== 'kms',
    finding: {
      code: 'KMS_UNUSED',
      severity: 'error',
      place: 'key_provider',
      found: 'The guest does not ask a KMS for its keys, so no approval is checked.',
      nextStep: 'Set "key_provider": "kms".',
    },
  },
  {
    isFound: (members) => keyProviderOf(members) === 'kms' && !members.key_provider_id,
    finding: {
      code: 'KMS_NOT_PINNED',
      severity: 'warning',
      place: 'key_provider_id',
      found: 'The guest accepts keys of any KMS that the host names.',
      nextStep:
        'Set it to the public key of the KMS root CA: assent app pin-kms takes it from the chain.',
    },
  },
  {
    isFound: ({ public_logs: logs }) => logs === true,
    finding: {
      code: 'LOGS_PUBLIC',
      severity: 'warning',
      place: 'public_logs',
      found: 'Everybody can read the logs of all containers.',
      nextStep: 'Set it to false, unless the logs are meant for the public.',
    },
  },
  {
    isFound: ({ public_sysinfo: info }) => info === true,
    finding: {
      code: 'SYSINFO_PUBLIC',
      severity: 'warning',
      place: 'public_sysinfo',
      found: 'Everybody can read processes, memory and load of the CVM.',
      nextStep: 'Set it to false.',
    },
  },
  {
    isFound: ({ no_instance_id: none }) => none === true,
    finding: {
      code: 'INSTANCES_SHARE_DISK_KEY',
      severity: 'warning',
      place: 'no_instance_id',
      found:
        'All instances of the app have the same disk key, so one disk can be given to another instance.',
      nextStep: 'Set it to false, unless instances must open the disks of each other.',
    },
  },
  {
    isFound: ({ secure_time: time }) => time === false,
    finding: {
      code: 'TIME_NOT_SECURE',
      severity: 'warning',
      place: 'secure_time',
      found: 'The host sets the clock of the CVM.',
      nextStep: 'Set it to true.',
    },
  },
  {
    isFound: ({ gateway_enabled: gateway, tproxy_enabled: old }) =>
      old === true && gateway !== true,
    finding: {
      code: 'GATEWAY_BY_OLD_NAME',
      severity: 'warning',
      place: 'tproxy_enabled',
      found: 'The old name enables the gateway, although gateway_enabled does not.',
      nextStep: 'Use gateway_enabled only.',
    },
  },
  {
    isFound: ({ requirements }) => weakGpu(requirements),
    finding: {
      code: 'GPU_POLICY_WEAK',
      severity: 'warning',
      place: 'requirements.gpu_policy',
      found: 'The policy accepts a GPU without attestation, in debug mode or without secure boot.',
      nextStep: 'Remove the exception, unless the app keeps no secrets on the GPU.',
    },
  },
]

function weakGpu(requirements: unknown): boolean {
  const parsed = memberSchemas.requirements.safeParse(requirements)
  const policy = parsed.success ? parsed.data?.gpu_policy : undefined
  if (policy === undefined) return false
  const { attest_gpu: attest, allow_devtools, allow_debug, allow_insecure_boot } = policy
  return attest === false || [allow_devtools, allow_debug, allow_insecure_boot].includes(true)
}

function lintFlags({ members }: Manifest): ManifestFinding[] {
  return flagRules.flatMap(({ isFound, finding }) => (isFound(members) ? [finding] : []))
}

/** Scripts run as root in the CVM, outside the containers. */
function lintScripts(manifest: Manifest): ManifestFinding[] {
  const { members } = manifest
  const script = textMember(manifest, 'pre_launch_script') ?? ''
  const own = withoutEnvironmentPin(script)
  const runs = [
    ['pre_launch_script', own.trim() !== ''],
    ['init_script', members.init_script != null && members.init_script !== ''],
    ['bash_script', textMember(manifest, 'runner') === 'bash'],
  ] as const
  return runs.flatMap(([place, isThere]): ManifestFinding[] =>
    isThere
      ? [
          {
            code: 'SCRIPT_RUNS_AS_ROOT',
            severity: 'warning',
            place,
            found: 'The script runs as root in the CVM and can read all keys of the app.',
            nextStep: 'Read it line by line. What it downloads is not measured.',
          },
        ]
      : [],
  )
}

/* ENVIRONMENT */

/** Names that change how the guest's own scripts run, before or instead of the containers. */
const reservedNames =
  /^(PATH|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|IFS|PS4|HOME|TMPDIR|LD_.*|COMPOSE_.*|DOCKER_.*|NERDCTL_.*|CONTAINERD_.*|APP_COMPOSE_FILE|PCCS_URL|NODE_OPTIONS|PYTHON.*|https?_proxy|HTTPS?_PROXY|ALL_PROXY|no_proxy|NO_PROXY)$/

function lintEnvironment(manifest: Manifest): ManifestFinding[] {
  const names = listMember(manifest, 'allowed_envs')
  const place = 'allowed_envs'
  const invalid = names
    .filter((name) => !isVariableName(name))
    .map(
      (name): ManifestFinding => ({
        code: 'ENV_NAME_INVALID',
        severity: 'error',
        place,
        found: `${name} is not the name of a variable. A guest that gets it refuses to boot.`,
        nextStep: 'Use letters, digits and _, and no digit first.',
      }),
    )
  const reserved = names
    .filter((name) => reservedNames.test(name))
    .map(
      (name): ManifestFinding => ({
        code: 'ENV_NAME_RESERVED',
        severity: 'error',
        place,
        found: `${name} changes how the guest starts the containers, so its value can run other code.`,
        nextStep: 'Use another name, and set the variable in the Compose file.',
      }),
    )
  const isPinned = readEnvironmentPin(textMember(manifest, 'pre_launch_script') ?? '') !== undefined
  const unpinned: ManifestFinding[] =
    names.length === 0 || isPinned
      ? []
      : [
          {
            code: 'ENV_NOT_PINNED',
            severity: 'warning',
            place,
            found:
              'The host can replace the sealed environment by another one: anybody can seal to the public key.',
            nextStep:
              'Pin it: assent app env seal. Then the guest compares its digest before the containers start.',
          },
        ]
  return [...invalid, ...reserved, ...unpinned]
}

/* COMPOSE FILE */

function lintCompose(manifest: Manifest): ManifestFinding[] {
  const runner = textMember(manifest, 'runner') ?? ''
  const place = 'docker_compose_file'
  if (![...composeRunners, 'bash'].includes(runner)) {
    const found = `dstack has no runner ${runner}.`
    const nextStep = `Use ${composeRunners.join(' or ')}.`
    return [{ code: 'RUNNER_UNKNOWN', severity: 'error', place: 'runner', found, nextStep }]
  }
  const text = composeText(manifest)
  if (text === undefined) {
    if (runner === 'bash') return []
    const found = 'The runner has no Compose file to start.'
    return [{ code: 'COMPOSE_INVALID', severity: 'error', place, found, nextStep: 'Add it.' }]
  }
  try {
    const file = parseComposeFile(text)
    return [...lintServices(file), ...lintVariables(manifest, file.content)]
  } catch (error) {
    if (!isAssentError(error)) throw error
    return [
      { code: error.code, severity: 'error', place, found: error.message, nextStep: error.hint },
    ]
  }
}

function lintVariables(manifest: Manifest, content: unknown): ManifestFinding[] {
  const allowed = new Set(listMember(manifest, 'allowed_envs'))
  const used = usedVariables(content)
  const undeclared = used
    .filter(({ name, hasDefault }) => !allowed.has(name) && !hasDefault)
    .map(
      ({ name, place }): ManifestFinding => ({
        code: 'ENV_UNDECLARED',
        severity: 'error',
        place,
        found: `${name} is not in allowed_envs, so the guest never sets it.`,
        nextStep: 'Declare it in allowed_envs, or write the value.',
      }),
    )
  return undeclared
}
