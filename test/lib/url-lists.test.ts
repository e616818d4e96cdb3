import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { bootChainShape } from '../../src/chain/boot/boot-config.ts'
import { kmsConfigSchema } from '../../src/kms/config.ts'
import { endpointListSchema, isRemoteHttp, urlListSchema } from '../../src/lib/schema.ts'
import { pccsUrlsSchema } from '../../src/quote/collateral/pccs-urls.ts'
import { readRelayerConfig } from '../../src/relayer/config.ts'

const hash = `0x${'11'.repeat(32)}`
const relayer = {
  ASSENT_RELAYER_CHAIN_ID: '1',
  ASSENT_RELAYER_OPERATORS: `[{"name":"ops","tokenSha256":"${'ab'.repeat(32)}"}]`,
  ASSENT_RELAYER_KEYSTORE_FILE: 'key.json',
  ASSENT_RELAYER_KEYSTORE_PASSWORD_FILE: 'password',
  ASSENT_RELAYER_TRUSTED_ROOT: 'intel',
}

function chainView(endpoints: string[], changed = {}) {
  const pinnedCode = {
    proxy: [hash],
    kmsAuth: [hash],
    app: [hash],
    hosts: [],
    bonds: [],
    images: [],
  }
  const view = { endpoints, quorum: 2, checkpointFolder: 'x', refreshSeconds: 5, pinnedCode }
  const chain = { chainId: 1, kmsContract: `0x${'22'.repeat(20)}`, maxBlockAgeSeconds: 60 }
  return z
    .object(bootChainShape)
    .safeParse({ ...chain, finality: 'finalized', chainView: { ...view, ...changed } }).success
}

function relayerTakes(rpcUrls: string[], changed = {}) {
  const env = { ...relayer, ASSENT_RELAYER_RPC_URLS: JSON.stringify(rpcUrls) }
  const collateral = { ASSENT_RELAYER_PCCS_URLS: '["https://pccs.example"]' }
  return readRelayerConfig({ ...env, ...collateral, ...changed }).then(
    () => true,
    () => false,
  )
}

describe('two spellings of one URL', () => {
  test.each([
    ['https://rpc.example/k', 'https://rpc.example/k'],
    ['https://rpc.example', 'https://rpc.example/'],
    ['https://rpc.example/k', 'https://rpc.example/k//'],
    ['https://rpc.example', 'https://RPC.example:443'],
    ['https://rpc.example', 'http://rpc.example:443'],
    ['https://rpc.example/k', 'https://rpc.example/k?key=2'],
    ['https://rpc.example/k', 'https://rpc.example/k#2'],
    ['https://rpc.example/k', 'https://u:p@rpc.example/k'],
    ['https://rpc.example/k', 'https://rpc.example/a/../k'],
    ['https://rpc.example/k', 'https://rpc.example/%6b'],
    ['https://rpc.example', 'https://rpc.example.'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['https://192.0.2.1', 'https://0xc0.0.2.1'],
    ['https://[2001:db8::1]', 'https://[2001:DB8:0:0::1]'],
  ])('count once: %s and %s', async (one, other) => {
    expect(urlListSchema.safeParse([one, other]).success).toBe(false)
    expect(chainView([one, other])).toBe(false)
    expect(await relayerTakes([one, other])).toBe(false)
    const pccs = { ASSENT_RELAYER_PCCS_URLS: JSON.stringify([one, other]) }
    expect(await relayerTakes(['https://a.example'], pccs)).toBe(false)
  })

  test.each([
    ['https://rpc.example', 'https://rpc2.example'],
    ['https://rpc.example', 'https://rpc.example:8443'],
    ['http://127.0.0.1:8545', 'http://localhost:8545'],
  ])('count as two services: %s and %s', async (one, other) => {
    expect(chainView([one, other])).toBe(true)
    expect(await relayerTakes([one, other])).toBe(true)
  })
})

describe('a PCCS URL', () => {
  const pccs = (...urls: string[]) =>
    relayerTakes(['https://a.example'], { ASSENT_RELAYER_PCCS_URLS: JSON.stringify(urls) })

  test.each([
    ['https://p.example:8081', 'https://p.example:8081/sgx/certification/v4/'],
    ['https://p.example/sgx/certification/v4', 'https://p.example/tdx/certification/v4'],
    ['https://p.example/a', 'https://P.example/a/sgx/certification/v4?x'],
    ['https://p.example', 'https://p.example/%73gx/certification/v4'],
  ])('names one service with and without the path of the API: %s and %s', async (one, other) => {
    expect(pccsUrlsSchema.safeParse([one, other]).success).toBe(false)
    expect(await pccs(one, other)).toBe(false)
  })

  test('names another service with another path on the same host', async () => {
    expect(await pccs('https://p.example/a', 'https://p.example/b/sgx/certification/v4')).toBe(true)
  })
})

describe('two API keys of one provider', () => {
  test.each([
    ['https://rpc.example/v2/key-one', 'https://rpc.example/v2/key-two'],
    ['https://rpc.example/key-one', 'https://RPC.example:443/key-two?x#y'],
  ])('count as one RPC endpoint: %s and %s', async (one, other) => {
    expect(chainView([one, other])).toBe(false)
    expect(await relayerTakes([one, other])).toBe(false)
  })

  test('are reported by position and without the key', () => {
    const parsed = endpointListSchema.safeParse(['https://a.example/secret', 'https://a.example/b'])
    expect(parsed.error?.issues[0]).toMatchObject({
      path: [1],
      message: 'on the same host as number 0',
    })
  })
})

describe('a plain http URL', () => {
  test.each([
    ['http://127.0.0.1:8545', false],
    ['http://127.9.0.1', false],
    ['http://[::1]:8545', false],
    ['http://localhost', false],
    ['http://a.localhost', false],
    ['https://rpc.example', false],
    ['http://rpc.example', true],
    ['http://10.0.0.1', true],
    ['http://127.0.0.1.example', true],
    ['http://localhost.example', true],
  ])('is a remote one or not: %s: %s', (url, isRemote) => {
    expect(isRemoteHttp(url)).toBe(isRemote)
  })

  test('to another machine needs an explicit setting', async () => {
    const urls = ['https://a.example', 'http://b.example']

    expect([chainView(urls), await relayerTakes(urls)]).toEqual([false, false])
    expect(chainView(urls, { insecureRemoteHttp: true })).toBe(true)
    expect(await relayerTakes(urls, { ASSENT_RELAYER_INSECURE_REMOTE_HTTP: 'true' })).toBe(true)
  })

  test('to a PCCS on another machine needs the same setting', async () => {
    const pccs = { ASSENT_RELAYER_PCCS_URLS: '["http://pccs.example"]' }
    const kms = (collateral: object) =>
      kmsConfigSchema.shape.collateral.safeParse({
        pccsUrls: ['http://pccs.example'],
        ...collateral,
      }).success

    expect([kms({}), await relayerTakes(['https://a.example'], pccs)]).toEqual([false, false])
    expect(kms({ insecureRemoteHttp: true })).toBe(true)
    expect(kms({ pccsUrls: ['http://127.0.0.1:8081'] })).toBe(true)
    const accepted = { ...pccs, ASSENT_RELAYER_INSECURE_REMOTE_HTTP: 'true' }
    expect(await relayerTakes(['https://a.example'], accepted)).toBe(true)
  })

  test('is never used for a witness, because replicas serve HTTPS', () => {
    const log = (url: string) => {
      const named = { urls: [], nodes: [{ node: 'kms-2', url }], atLeast: 1 }
      const unnamed = { urls: [url], atLeast: 1 }
      return [named, unnamed].map((witnesses) => {
        const releaseLog = { folder: '/log', node: 'kms-1', entries: 'private', witnesses }
        return kmsConfigSchema.shape.releaseLog.safeParse(releaseLog).success
      })
    }

    expect(log('https://kms-2.example:8000')).toEqual([true, true])
    expect(log('http://kms-2.example:8000')).toEqual([false, false])
    expect(log('http://127.0.0.1:8000')).toEqual([false, false])
  })
})
