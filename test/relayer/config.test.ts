import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { describe, expect, test } from 'vitest'

import { readRelayerConfig } from '../../src/relayer/config.ts'

const hash = 'ab'.repeat(32)
const least = {
  ASSENT_RELAYER_CHAIN_ID: '31337',
  ASSENT_RELAYER_RPC_URLS: '["http://127.0.0.1:8545"]',
  ASSENT_RELAYER_OPERATORS: `[{"name":"ops","tokenSha256":"${hash}"}]`,
  ASSENT_RELAYER_COLLATERAL_FILE: 'collateral.json',
  ASSENT_RELAYER_KEYSTORE_FILE: 'key.json',
  ASSENT_RELAYER_KEYSTORE_PASSWORD_FILE: 'password',
  ASSENT_RELAYER_TRUSTED_ROOT: 'intel',
}

test('settings that are not given have the safe default', async () => {
  expect(await readRelayerConfig(least)).toMatchObject({
    finality: { tag: 'finalized' },
    host: '127.0.0.1',
    allowInsecureKey: false,
    maxFeePerGasGwei: 100_000_000_000n,
  })
})

test('environment variables override the settings of a file', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'assent-config-'))
  const file = path.join(folder, 'relayer.json')
  await writeFile(file, JSON.stringify({ port: 1, maxFeePerGasGwei: '1.5', finality: 12 }))
  const config = await readRelayerConfig({ ...least, ASSENT_RELAYER_PORT: '2' }, file)
  await rm(folder, { recursive: true })

  expect(config).toMatchObject({
    port: 2,
    maxFeePerGasGwei: 1_500_000_000n,
    finality: { depth: 12 },
  })
})

test('ASSENT_RELAYER_DATABASE_URL overrides DATABASE_URL', async () => {
  const given = { ...least, DATABASE_URL: 'postgres://user@host/db' }
  expect((await readRelayerConfig(given)).databaseUrl).toBe('postgres://user@host/db')
  const both = { ...given, ASSENT_RELAYER_DATABASE_URL: 'postgres://own@host/db' }
  expect((await readRelayerConfig(both)).databaseUrl).toBe('postgres://own@host/db')
})

describe('the relayer configuration refuses', () => {
  const refused: readonly (readonly [string, Record<string, string>])[] = [
    ['a misspelt setting', { ASSENT_RELAYER_RPC_URL: 'http://127.0.0.1' }],
    ['no endpoint', { ASSENT_RELAYER_RPC_URLS: '[]' }],
    ['an endpoint that is no URL', { ASSENT_RELAYER_RPC_URLS: '["localhost"]' }],
    [
      'a token instead of its hash',
      { ASSENT_RELAYER_OPERATORS: '[{"name":"a","tokenSha256":"secret"}]' },
    ],
    ['a root that nobody named', { ASSENT_RELAYER_TRUSTED_ROOT: 'Intel' }],
    ['nobody to serve', { ASSENT_RELAYER_OPERATORS: '[]' }],
    ['two signers', { ASSENT_RELAYER_WEB3SIGNER_URL: 'http://127.0.0.1' }],
    ['two sources of collateral', { ASSENT_RELAYER_PCCS_URLS: '["http://127.0.0.1"]' }],
    ['a finality that is none', { ASSENT_RELAYER_FINALITY: 'latest' }],
    ['a negative fee', { ASSENT_RELAYER_MAX_FEE_PER_GAS_GWEI: '-1' }],
  ]
  test.each(refused)('%s', async (_name, change) => {
    await expect(readRelayerConfig({ ...least, ...change })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
  })

  test('a keystore without a password file', async () => {
    const { ASSENT_RELAYER_KEYSTORE_PASSWORD_FILE: _, ...rest } = least
    await expect(readRelayerConfig(rest)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test('a private key in the environment without the flag for test keys', async () => {
    const {
      ASSENT_RELAYER_KEYSTORE_FILE: _file,
      ASSENT_RELAYER_KEYSTORE_PASSWORD_FILE: _password,
      ...rest
    } = least
    const exposed = { ...rest, ASSENT_RELAYER_PRIVATE_KEY: `0x${hash}` }

    await expect(readRelayerConfig(exposed)).rejects.toMatchObject({ code: 'RELAYER_KEY_INSECURE' })
    const allowed = { ...exposed, ASSENT_RELAYER_ALLOW_INSECURE_KEY: 'true' }
    expect((await readRelayerConfig(allowed)).privateKey).toBe(`0x${hash}`)
  })
})

describe('http to another host', () => {
  const { ASSENT_RELAYER_KEYSTORE_FILE, ASSENT_RELAYER_KEYSTORE_PASSWORD_FILE, ...rest } = least
  const account = `0x${'ab'.repeat(20)}`
  const hook = { deviceId: `0x${hash}`, url: 'http://agent.example', operator: account }
  const remote: readonly (readonly [string, Record<string, string>])[] = [
    ['rpcUrls', { ...least, ASSENT_RELAYER_RPC_URLS: '["http://rpc.example"]' }],
    [
      'web3signerUrl',
      {
        ...rest,
        ASSENT_RELAYER_WEB3SIGNER_URL: 'http://signer.example',
        ASSENT_RELAYER_ACCOUNT: account,
      },
    ],
    [
      'hostAgents',
      {
        ...least,
        ASSENT_RELAYER_HOST_AGENTS: JSON.stringify([hook]),
        ASSENT_RELAYER_VERIFIER: account,
        ASSENT_RELAYER_HOSTS: account,
      },
    ],
  ]

  test.each(remote)('is refused in %s', async (name, env) => {
    const message = `Configuration: ${name}: http to another machine needs insecureRemoteHttp`
    await expect(readRelayerConfig(env)).rejects.toMatchObject({ code: 'CONFIG_INVALID', message })
  })

  test.each(remote)('is possible in %s with insecureRemoteHttp', async (_, env) => {
    const allowed = { ...env, ASSENT_RELAYER_INSECURE_REMOTE_HTTP: 'true' }
    expect(await readRelayerConfig(allowed)).toMatchObject({ insecureRemoteHttp: true })
  })
})
