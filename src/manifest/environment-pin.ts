/**
 * Pins the sealed environment of a release: the manifest names its digest, and the guest compares before it starts the
 * containers.
 *
 * Anybody can seal an environment to the public key of an app, and the host delivers it. So without a pin the host can
 * replace it (dstack pull request 506, "no origin authentication"). The check is a pre-launch script. It is part of the
 * manifest, so the compose hash covers it, and `app-compose.sh` of the measured OS image runs it. It does not stop the
 * KMS from giving keys to the guest; it stops the guest before the containers start.
 */
import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { type Compose, serializeCompose } from '../quote/measurements/compose.ts'
import { type Manifest, textMember } from './manifest.ts'

/** The guest's own copy of the sealed environment. */
export const sealedEnvironmentPath = '/dstack/.host-shared/.encrypted-env'

/**
 * The script that compares. Its text never changes, because a changed byte is another release.
 *
 * @param digest SHA-256 of the sealed environment
 */
export function environmentPinScript(digest: Hex): string {
  return `# assent env pin v1
if ! printf '%s  %s\\n' ${digest.slice(2)} ${sealedEnvironmentPath} | sha256sum -c - >/dev/null 2>&1; then
  echo 'The sealed environment is not the one that this release pins.' >&2
  exit 1
fi
`
}

const digestPattern = /^# assent env pin v1\n[^\n]*'%s {2}%s\\n' ([0-9a-f]{64}) /

/** The pinned digest; undefined if the script does not begin with the check, byte for byte. */
export function readEnvironmentPin(script: string): Hex | undefined {
  const [, digits] = digestPattern.exec(script) ?? []
  if (digits === undefined) return undefined
  const digest: Hex = `0x${digits}`
  return script.startsWith(environmentPinScript(digest)) ? digest : undefined
}

/** The script after the check, or the whole script if it has no check. */
export function withoutEnvironmentPin(script: string): string {
  const digest = readEnvironmentPin(script)
  return digest === undefined ? script : script.slice(environmentPinScript(digest).length)
}

/**
 * The manifest with the pin of a sealed environment, which replaces an older pin. A script of the owner follows it.
 *
 * @param digest SHA-256 of the sealed environment
 * @returns text of the new manifest, in the form of dstack's SDKs: it is another release
 * @throws MANIFEST_INVALID if the manifest declares no variables
 */
export function pinEnvironment(manifest: Manifest, digest: Hex): string {
  const { allowed_envs: names } = manifest.members
  if (!Array.isArray(names) || names.length === 0) {
    const message = 'The manifest declares no variables, so the guest would ignore the environment.'
    throw new AssentError('MANIFEST_INVALID', message)
  }
  const script = withoutEnvironmentPin(textMember(manifest, 'pre_launch_script') ?? '')
  const pinned = { ...manifest.members, pre_launch_script: environmentPinScript(digest) + script }
  return serializeCompose(pinned as Compose)
}
