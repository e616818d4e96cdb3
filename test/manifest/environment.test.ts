/** Sealed environments: byte for byte as dstack's clients seal them and its guest opens them, and pinned in a release. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { x25519 } from '@noble/curves/ed25519.js'
import { toBytes } from 'viem'
import { afterAll, describe, expect, test } from 'vitest'

import { fromHex, toHex } from '../../src/lib/bytes.ts'
import { createManifest } from '../../src/manifest/create-manifest.ts'
import { parseEnvironment, requireDeclared } from '../../src/manifest/environment.ts'
import {
  environmentPinScript,
  pinEnvironment,
  readEnvironmentPin,
  sealedEnvironmentPath,
} from '../../src/manifest/environment-pin.ts'
import { readManifest } from '../../src/manifest/manifest.ts'
import {
  openEnvironment,
  openSealed,
  sealEnvironment,
  sealedDigest,
} from '../../src/manifest/seal-environment.ts'
import { installPythonSdk } from '../tee/install-sdk.ts'
import { describeRecorded, readVectorJson } from '../vectors.ts'

const secret = x25519.utils.randomSecretKey()
const publicKey = x25519.getPublicKey(secret)
const environment = parseEnvironment('TOKEN=abc\nGREETING="hello wörld 🦀"\nEMPTY=\n')

describe('environments and the clients of dstack:', () => {
  const sdk = createRequire(join(import.meta.dirname, '../tee/sdk/package.json'))(
    '@phala/dstack-sdk/encrypt-env-vars',
  )
  const pairs = [...environment].map(([key, value]) => ({ key, value }))

  test('an environment sealed by the JavaScript SDK is opened by Assent', async () => {
    const sealed = fromHex(await sdk.encryptEnvVars(pairs, toHex(publicKey)), 'sealed')

    expect(openEnvironment(secret, sealed)).toEqual(environment)
  })

  const python = installPythonSdk()
  const run = (program: string, ...args: string[]) => {
    const { stdout, stderr, status } = spawnSync(python ?? '', ['-c', program, ...args], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stderr)
    return stdout.trim()
  }

  test.skipIf(python === undefined)(
    'an environment sealed by the Python SDK is opened by Assent',
    () => {
      const program = `
import sys, json
from dstack_sdk import encrypt_env_vars_sync, EnvVar
pairs = [EnvVar(**each) for each in json.loads(sys.argv[1])]
print(encrypt_env_vars_sync(pairs, sys.argv[2]))`
      const sealed = fromHex(run(program, JSON.stringify(pairs), toHex(publicKey)), 'sealed')

      expect(openEnvironment(secret, sealed)).toEqual(environment)
    },
  )

  test.skipIf(python === undefined)(
    "an environment sealed by Assent is opened by the steps of dstack's specification with another library",
    () => {
      const program = `
import sys
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
key, data = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2])
shared = X25519PrivateKey.from_private_bytes(key).exchange(X25519PublicKey.from_public_bytes(data[:32]))
print(AESGCM(shared).decrypt(data[32:44], data[44:], None).hex())`
      const sealed = sealEnvironment(publicKey, environment)
      const opened = run(program, toHex(secret), toHex(sealed))

      expect(Buffer.from(opened, 'hex').toString('utf8')).toBe(JSON.stringify({ env: pairs }))
    },
  )
})

describeRecorded("dstack's recorded environment", () => {
  const { env_crypt_secret, ciphertext, plaintext_utf8 } = readVectorJson<Record<string, string>>(
    'dstack/kat/env-encrypt.json',
  ) as { env_crypt_secret: string; ciphertext: string; plaintext_utf8: string }
  const [key, sealed] = [fromHex(env_crypt_secret, 'key'), fromHex(ciphertext, 'sealed')]

  test('is decrypted', () => {
    expect(Buffer.from(openSealed(key, sealed)).toString('utf8')).toBe(plaintext_utf8)
  })

  test('is refused as a bare list, the format before `{"env": …}`', () => {
    expect(() => openEnvironment(key, sealed)).toThrow(
      expect.objectContaining({ code: 'ENV_UNREADABLE' }),
    )
  })
})

describe('a sealed environment', () => {
  const sealed = sealEnvironment(publicKey, environment)

  test('has new bytes each time', () => {
    expect(sealedDigest(sealEnvironment(publicKey, environment))).not.toBe(sealedDigest(sealed))
  })

  test('is not opened with another key or after any change', () => {
    const open = (key: Uint8Array, bytes: Uint8Array) => () => openEnvironment(key, bytes)
    const unreadable = expect.objectContaining({ code: 'ENV_UNREADABLE' })

    expect(open(x25519.utils.randomSecretKey(), sealed)).toThrow(unreadable)
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice()
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(open(secret, changed), `byte ${at}`).toThrow(unreadable)
    }
    expect(open(secret, sealed.subarray(1))).toThrow(unreadable)
    expect(open(secret, new Uint8Array(10))).toThrow(unreadable)
  })

  test.each([
    ['zero', new Uint8Array(32)],
    ['one', Uint8Array.of(1, ...new Uint8Array(31))],
  ])('is not created for a public key of small order: %s', (_, key) => {
    expect(() => sealEnvironment(key, environment)).toThrow(
      expect.objectContaining({ code: 'ENV_KEY_UNTRUSTED' }),
    )
  })

  test('is not larger than the guest accepts', () => {
    const large = new Map(Array.from({ length: 3 }, (_, i) => [`V${i}`, 'x'.repeat(100_000)]))

    expect(() => sealEnvironment(publicKey, large)).toThrow(
      expect.objectContaining({ code: 'ENV_INVALID' }),
    )
  })
})

describe('a file of environment variables', () => {
  test.each([
    ['# note\n\nA=1\r\nB=\n', { A: '1', B: '' }],
    ["A='x # y'\nB=\"it's $5\"\n", { A: 'x # y', B: "it's $5" }],
    ['A=b=c', { A: 'b=c' }],
    ["A=''", { A: '' }],
  ])('is parsed: %j', (text, expected) => {
    expect(Object.fromEntries(parseEnvironment(text))).toEqual(expected)
  })

  test.each([
    ['nothing', ''],
    ['only notes', '# A=1'],
    ['JSON', '{"A":"1"}'],
    ['export', 'export A=1'],
    ['a space before the sign', 'A =1'],
    ['a space after the sign', 'A= 1'],
    ['a note after a value', 'A=1 # one'],
    ['an open quotation mark', 'A="1'],
    ['quotation marks within', 'A="1"2"'],
    ['a backslash, which shells read differently', 'A=a\\nb'],
    ['a dollar sign without quotation marks', 'A=$B'],
    ['twice the same name', 'A=1\nA=2'],
    ['a null byte', "A='\0'"],
    ['a value of 129 KiB', `A=${'x'.repeat(129 * 1024)}`],
    ['1025 variables', Array.from({ length: 1025 }, (_, i) => `V${i}=1`).join('\n')],
  ])('refuses %s', (_, text) => {
    expect(() => parseEnvironment(text)).toThrow(expect.objectContaining({ code: 'ENV_INVALID' }))
  })

  test('causes errors that never show a value', () => {
    const secretText = 'A=hunter22 hunter22'
    try {
      parseEnvironment(secretText)
      expect.unreachable()
    } catch (error) {
      expect(`${error} ${JSON.stringify(error)}`).not.toContain('hunter22')
    }
  })
})

describe('the environment pin', () => {
  const image = `nginx@sha256:${'ab'.repeat(32)}`
  const compose = `services: { web: { image: "${image}", environment: [TOKEN, GREETING, EMPTY] } }`
  const manifest = readManifest(toBytes(createManifest({ name: 'shop', compose })))
  const sealed = sealEnvironment(publicKey, environment)
  const digest = sealedDigest(sealed)
  const folder = mkdtempSync(join(tmpdir(), 'assent-pin-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** Runs the script as `app-compose.sh` does: sourced, by bash, before the containers. */
  function launch(script: string, delivered: Uint8Array | undefined) {
    const file = join(folder, 'encrypted-env')
    rmSync(file, { force: true })
    if (delivered !== undefined) writeFileSync(file, delivered)
    const here = script.replaceAll(sealedEnvironmentPath, file)
    const program = `set -euo pipefail\nsource <(printf '%s' "$1")\necho started`
    return spawnSync('bash', ['-c', program, 'app-compose.sh', here], { encoding: 'utf8' })
  }

  test('lets the containers start with the sealed environment', () => {
    const { stdout, status } = launch(environmentPinScript(digest), sealed)

    expect([stdout, status]).toEqual(['started\n', 0])
  })

  test.each<[string, Uint8Array | undefined]>([
    ['another one for the same key', sealEnvironment(publicKey, environment)],
    ['a changed byte', sealed.map((byte, index) => (index === 50 ? byte ^ 1 : byte))],
    ['a byte more', Uint8Array.of(...sealed, 0)],
    ['an empty file', new Uint8Array()],
    ['none', undefined],
  ])('stops the launch if the host delivers %s', (_, delivered) => {
    const { stdout, stderr, status } = launch(environmentPinScript(digest), delivered)

    expect([stdout, status]).toEqual(['', 1])
    expect(stderr).toContain('not the one that this release pins')
  })

  test('is part of the manifest, so another environment is another release', () => {
    const pinned = readManifest(toBytes(pinEnvironment(manifest, digest)))
    const again = readManifest(toBytes(pinEnvironment(pinned, digest)))
    const other = readManifest(toBytes(pinEnvironment(pinned, `0x${'11'.repeat(32)}`)))

    expect(readEnvironmentPin(String(pinned.members.pre_launch_script))).toBe(digest)
    expect(again.composeHash).toBe(pinned.composeHash)
    expect(other.composeHash).not.toBe(pinned.composeHash)
    expect(String(other.members.pre_launch_script).match(/assent env pin/g)).toHaveLength(1)
  })

  test('runs before the pre-launch script of the owner', () => {
    const scripted = readManifest(
      toBytes(JSON.stringify({ ...manifest.members, pre_launch_script: 'echo own' })),
    )
    const script = JSON.parse(pinEnvironment(scripted, digest)).pre_launch_script

    expect(launch(script, sealed).stdout).toBe('own\nstarted\n')
    expect(launch(script, undefined).stdout).toBe('')
  })

  test('needs a manifest that declares variables', () => {
    const none = readManifest(toBytes('{"allowed_envs":[]}'))

    expect(() => pinEnvironment(none, digest)).toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID' }),
    )
  })

  test('needs exactly the variables of the manifest', () => {
    expect(() => requireDeclared(environment, manifest)).not.toThrow()
    expect(() => requireDeclared(parseEnvironment('TOKEN=1'), manifest)).toThrow('GREETING')
    expect(() => requireDeclared(new Map([...environment, ['EXTRA', '1']]), manifest)).toThrow(
      'EXTRA',
    )
  })

  test('is the SHA-256 of the file', () => {
    expect(digest).toBe(`0x${createHash('sha256').update(sealed).digest('hex')}`)
  })
})
