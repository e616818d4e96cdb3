/** Collateral from real HTTP servers, of which one at a time lies, hangs, drips, floods, redirects or is behind. */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

import * as x509 from '@peculiar/x509'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { AssentError } from '../../src/errors/index.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import {
  type CollateralSource,
  createPccsSource,
  fixedCollateral,
  type PccsSourceOptions,
  verifyWithSource,
} from '../../src/quote/collateral/collateral-source.ts'
import { fetchCollateral, fetchEvaluationNumbers } from '../../src/quote/collateral/pccs.ts'
import { parseQuote, type Quote } from '../../src/quote/parse.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator, type Simulator } from '../../src/tee/simulator/simulator.ts'
import {
  insteadOfIntel,
  type PccsFault,
  type PccsServer,
  startPccs,
} from '../relayer/pccs-server.ts'

const day = 86_400
const at = Date.UTC(2026, 7, 20, 12) / 1000
let now = at
const clock = () => now

const simulator = createSimulator({ at })
const platform = simulator.createPlatform()
const root = simulator.rootCertificate
const quoteOf = async (of: Simulator, fmspc?: string): Promise<Quote> => {
  const host = of.createPlatform(fmspc === undefined ? {} : { fmspc, name: fmspc })
  const cvm = host.createCvm({ image: createImage(), compose: '{}' })
  return parseQuote((await cvm.source.attest(new Uint8Array(64))).quote)
}

let quote: Quote
let good: PccsServer
let bad: PccsServer
let third: PccsServer
const stopping: (() => unknown)[] = []

async function pccs(options: Partial<Parameters<typeof startPccs>[0]> = {}): Promise<PccsServer> {
  const impostor = createSimulator({ seed: new Uint8Array(32).fill(66), at })
  const server = await startPccs({ simulator, clock, impostor, ...options })
  stopping.push(server.stop)
  return server
}

beforeAll(async () => {
  quote = await quoteOf(simulator)
  good = await pccs()
  bad = await pccs()
  third = await pccs()
})
beforeEach(() => {
  now = at
  for (const server of [good, bad, third]) {
    server.fault = undefined
    server.numbers = { standard: 20, early: 21 }
    server.standard = {}
    server.revoked = []
    server.asked.length = 0
  }
})
afterAll(async () => {
  for (const stop of stopping) await stop()
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  return listening(server, 'http')
}

async function listening(server: Server, scheme: 'http' | 'https'): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  stopping.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `${scheme}://localhost:${(server.address() as AddressInfo).port}`
}

function openSource(urls: readonly string[], changed: Partial<PccsSourceOptions> = {}) {
  return createPccsSource({
    ...{ urls, update: 'standard', refreshSeconds: 3_600, clock, root, now: () => now * 1_000 },
    // a good service may be slow on a busy machine; what says nothing is given up after the grace
    ...{ timeoutMs: 20_000, graceMs: 300 },
    ...changed,
  })
}

const sourceOf = openSource

const judge = (source: CollateralSource, of = quote) =>
  verifyWithSource(of, source, { root, clock })

/** What comes out, an error by its code. */
const outcome = (source: CollateralSource, of = quote) =>
  judge(source, of).then(
    (verdict) => (verdict.verdict === 'rejected' ? verdict.code : verdict.verdict),
    (error) => error.code,
  )

const trickle = (response: ServerResponse) => {
  const timer = setInterval(() => response.write(' '), 20)
  response.on('close', () => clearInterval(timer))
}

/** Servers of any kind: what they do instead of answering. */
const behaviours: Record<string, RequestListener> = {
  'says nothing': () => {},
  'sends headers and nothing more': (_, response) => {
    response.writeHead(200).flushHeaders()
  },
  'drips a blank at a time': (_, response) => {
    response.writeHead(200)
    trickle(response)
  },
  'never stops': (_, response) => {
    response.writeHead(200)
    const more = () => {
      while (response.write('x'.repeat(65_536)));
      response.once('drain', more)
    }
    more()
  },
  'hangs up': (request) => request.socket.destroy(),
  'hangs up in the middle': (_, response) => {
    response.writeHead(200, { 'content-length': 1_000 })
    response.write('{')
    setTimeout(() => response.destroy(), 10)
  },
  'sends endless headers': (_, response) => {
    response.socket?.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`)
  },
  'speaks another protocol': (_, response) => {
    response.socket?.end('220 ready\r\n')
  },
  'says yes to everything': (_, response) => {
    response.end('{}')
  },
  'sends brackets': (_, response) => {
    response.end('['.repeat(200_000))
  },
  'answers with every header wrong': (_, response) => {
    const names = ['SGX-PCK-CRL', 'TCB-Info', 'SGX-Enclave-Identity']
    for (const name of names) response.setHeader(`${name}-Issuer-Chain`, '%E0%A4%A')
    response.end('{"tcbInfo":{},"enclaveIdentity":{}}')
  },
}

const faults: readonly PccsFault[] = [
  ...(['down', 'unknown', 'gone', 'throttled', 'outdated', 'tampered', 'truncated'] as const),
  ...(['headerless', 'another-platform', 'another-authority', 'html', 'endless'] as const),
  'from-the-future',
]

describe('one PCCS of several', () => {
  const members = [
    ...Object.keys(behaviours).map((name) => ({ name, fault: undefined })),
    ...faults.map((fault) => ({ name: `is ${fault}`, fault })),
  ]
  const open = async ({ name, fault }: (typeof members)[number]) => {
    bad.fault = fault
    return fault === undefined ? serve(behaviours[name] as RequestListener) : bad.url
  }

  test.each(members)('that $name does not affect the other, in any order', async (one) => {
    const url = await open(one)

    expect(await outcome(sourceOf([url, good.url]))).toBe('verified')
    expect(await outcome(sourceOf([good.url, url]))).toBe('verified')
  })

  test.each(members)(
    'that $name is an outage if it is the only one, and the error names it',
    async (one) => {
      const url = await open(one)
      const failed: string[] = []
      const onFailure = (of: string, { code }: AssentError) => failed.push(`${code} ${of}`)
      const source = sourceOf([url], { onFailure, timeoutMs: 300 })

      await expect(judge(source)).rejects.toMatchObject({
        code: 'PCCS_UNAVAILABLE',
        facts: { failures: [expect.anything()] },
      })
      expect(failed).toEqual([`PCCS_UNAVAILABLE ${url}`])
    },
  )

  test('that redirects is not followed', async () => {
    const hits: string[] = []
    const inside = await serve((request, response) => {
      hits.push(request.url ?? '')
      response.end()
    })
    for (const status of [301, 302, 303, 307, 308]) {
      const url = await serve((_, response) => {
        response.writeHead(status, { location: `${inside}/finish` }).end()
      })
      expect(await outcome(sourceOf([url]))).toBe('PCCS_UNAVAILABLE')
      expect(await outcome(sourceOf([url, good.url]))).toBe('verified')
    }
    expect(hits).toEqual([])
  })

  test('that ignores the abort signal is not waited for', async () => {
    const fetch: typeof globalThis.fetch = (input, init) =>
      String(input).startsWith(good.url)
        ? globalThis.fetch(input as URL, init)
        : new Promise(() => {})

    expect(await outcome(sourceOf(['http://deaf', good.url], { fetch }))).toBe('verified')
    expect(await outcome(sourceOf(['http://deaf'], { fetch, timeoutMs: 100 }))).toBe(
      'PCCS_UNAVAILABLE',
    )
  })

  test('has one deadline for all requests', async () => {
    const url = await serve(async (request, response) => {
      // each answer comes in time, but the next is asked after it
      await new Promise((resolve) => setTimeout(resolve, 500))
      response.statusCode = request.url?.includes('rootcacrl') ? 404 : 200
      response.end()
    })
    const began = performance.now()
    const fetch = insteadOfIntel({ ...good, url })
    const error = await judge(sourceOf([url], { fetch, timeoutMs: 700 })).catch((thrown) => thrown)
    expect(error.message).toContain('it took too long')
    expect(performance.now() - began).toBeLessThan(990)
  })

  test('that always fails causes no unhandled rejection', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    for (const listener of Object.values(behaviours))
      await outcome(sourceOf([await serve(listener)], { timeoutMs: 100 }))
    await new Promise((resolve) => setTimeout(resolve, 50))
    process.off('unhandledRejection', note)

    expect(unhandled).toEqual([])
  })
})

describe('several valid versions of collateral', () => {
  const sourceOf = (urls: readonly string[], changed: Partial<PccsSourceOptions> = {}) =>
    openSource(urls, { graceMs: 20_000, ...changed })
  const revoked = () => [platform.pckSerial]
  const behind = async () => {
    const server = await pccs({ clock: () => now - 3 * day })
    return server
  }

  test('an old valid CRL does not hide a revocation', async () => {
    const old = await behind()
    good.revoked = revoked()

    expect(await outcome(sourceOf([old.url]))).toBe('verified')
    expect(await outcome(sourceOf([old.url, good.url]))).toBe('QUOTE_PCK_REVOKED')
    expect(await outcome(sourceOf([good.url, old.url]))).toBe('QUOTE_PCK_REVOKED')
  })

  test('an old CRL is ignored after a newer one was received', async () => {
    const old = await behind()
    good.revoked = revoked()
    const source = sourceOf([good.url, old.url])
    expect(await outcome(source)).toBe('QUOTE_PCK_REVOKED')

    good.fault = 'down'
    now += 3_601
    expect(await outcome(source)).toBe('QUOTE_PCK_REVOKED')
    expect(old.asked.length).toBeGreaterThan(4)
  })

  test('the evaluation number of most PCCS is used', async () => {
    const numberOf = async (source: CollateralSource) => {
      const verdict = await judge(source)
      return verdict.verdict === 'verified' && verdict.tcbEvaluationNumbers
    }
    for (const standard of [19, 21]) {
      bad.numbers = { standard, early: 22 }
      const source = sourceOf([bad.url, good.url, third.url])
      expect(await numberOf(source)).toEqual({ tcbInfo: 20, qeIdentity: 20 })
    }
    // of two, the one that was kept; at first the higher
    bad.numbers = { standard: 19, early: 22 }
    expect(await numberOf(sourceOf([bad.url, good.url]))).toEqual({ tcbInfo: 20, qeIdentity: 20 })
    const source = sourceOf([good.url, bad.url])
    await judge(source)
    bad.numbers = { standard: 21, early: 22 }
    now += 3_601
    expect(await numberOf(source)).toEqual({ tcbInfo: 20, qeIdentity: 20 })
    good.numbers = { standard: 21, early: 22 }
    now += 3_601
    expect(await numberOf(source)).toEqual({ tcbInfo: 21, qeIdentity: 21 })
  })

  test('a host that holds the clock back does not keep a revocation away', async () => {
    let monotonic = 0
    const source = sourceOf([good.url], { now: () => monotonic })
    expect(await outcome(source)).toBe('verified')
    good.revoked = revoked()
    monotonic += 3_599_000
    expect(await outcome(source)).toBe('verified')

    monotonic += 1_000
    expect(await outcome(source)).toBe('QUOTE_PCK_REVOKED')
  })

  test('collateral that expires before its refresh is fetched at once', async () => {
    const source = sourceOf([good.url], { refreshSeconds: 365 * day })
    expect(await outcome(source)).toBe('verified')
    now += 40 * day

    expect(await outcome(source)).toBe('verified')
    good.fault = 'outdated'
    now += 40 * day
    expect(await outcome(source)).toBe('PCCS_UNAVAILABLE')
  })

  test('an expired collateral file is an outage', async () => {
    const source = fixedCollateral(simulator.collateral())
    expect(await outcome(source)).toBe('verified')
    now += 400 * day

    expect(await outcome(source)).toBe('PCCS_UNAVAILABLE')
    const stranger = await quoteOf(createSimulator({ at, seed: new Uint8Array(32).fill(7) }))
    expect(await outcome(source, stranger)).toBe('QUOTE_ROOT_UNTRUSTED')
  })
})

describe('a request to a PCCS', () => {
  const strangers = createSimulator({ at, seed: new Uint8Array(32).fill(7) })

  test('is not sent for a quote of another root', async () => {
    const source = sourceOf([good.url])

    expect(await outcome(source, await quoteOf(strangers))).toBe('QUOTE_ROOT_UNTRUSTED')
    expect(good.asked).toEqual([])
  })

  test.each([
    ['the quote', { signedBytes: new Uint8Array(632) }, 'QUOTE_SIGNATURE_INVALID'],
    [
      'the QE',
      { qeReportSignature: new Uint8Array(64).fill(1) },
      'QUOTE_QE_REPORT_SIGNATURE_INVALID',
    ],
    ['the key', { attestationKey: new Uint8Array(64).fill(1) }, 'QUOTE_QE_REPORT_DATA_MISMATCH'],
    ['a certificate', { pckChain: [] }, undefined],
  ] as const)(
    'is not sent for real certificates with %s of another platform',
    async (_, changed, code) => {
      const source = sourceOf([good.url])

      const found = await outcome(source, { ...quote, ...(changed as object) })
      expect(found).toBe(code ?? 'QUOTE_DER_MALFORMED')
      expect(good.asked).toEqual([])
    },
  )

  test('is not sent for forged quotes, so they cannot displace stored collateral', async () => {
    const source = sourceOf([good.url])
    await judge(source)
    const asked = good.asked.length
    for (let index = 1; index <= 70; index++) {
      await outcome(source, await quoteOf(strangers, index.toString(16).padStart(12, '0')))
    }

    expect(await outcome(source)).toBe('verified')
    expect(good.asked.length).toBe(asked)
  })

  test('is sent once for many concurrent quotes', async () => {
    const source = sourceOf([good.url])
    const all = await Promise.all(Array.from({ length: 20 }, () => outcome(source)))

    expect(new Set(all)).toEqual(new Set(['verified']))
    expect(good.asked.length).toBe(4)
  })

  test('is sent again after a failure', async () => {
    const source = sourceOf([bad.url])
    bad.fault = 'down'
    expect(await outcome(source)).toBe('PCCS_UNAVAILABLE')
    bad.fault = undefined

    expect(await outcome(source)).toBe('verified')
  })

  test('is sent less and less often for a family that no PCCS has, and again after a success', async () => {
    let now = 0
    const source = sourceOf([bad.url], { now: () => now })
    bad.fault = 'down'
    /** How many of 50 quotes caused requests. */
    const rounds = async () => {
      let count = 0
      for (let index = 0; index < 50; index++) {
        const before = bad.asked.length
        expect(await outcome(source)).toBe('PCCS_UNAVAILABLE')
        if (bad.asked.length > before) count++
      }
      return count
    }

    expect(await rounds()).toBe(3)
    for (const pause of [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
      now += pause - 1
      expect(await rounds()).toBe(0)
      now += 1
      expect(await rounds()).toBe(1)
    }
    now += 300_000
    bad.fault = undefined
    expect(await outcome(source)).toBe('verified')
  })

  test('is sent for each platform family', async () => {
    const source = sourceOf([good.url])
    await judge(source)

    expect(await outcome(source, await quoteOf(simulator, 'B0C06F000000'))).toBe('verified')
    expect(good.asked.filter((path) => path.endsWith('/tcb'))).toHaveLength(2)
  })
})

describe('PCCS setups that occur in practice', () => {
  const family = { fmspc: '00806f050000', ca: 'platform' } as const
  const set = (options: Omit<Parameters<typeof fetchCollateral>[2], 'urls'>, ...urls: string[]) =>
    fetchCollateral(family, 'standard', { urls, ...options })

  test.each([
    '',
    '/',
    '/sgx/certification/v4',
    '/sgx/certification/v4/',
    '/tdx/certification/v4/',
    '/sgx/certification/v3/',
  ])('the URL can end in "%s"', async (path) => {
    await expect(set({}, good.url + path)).resolves.toBeDefined()
  })

  test('a PCCS below a proxy path keeps the path', async () => {
    const asked: string[] = []
    const fetch: typeof globalThis.fetch = (input, init) => {
      asked.push(new URL(String(input)).pathname)
      const { search, pathname } = new URL(String(input))
      return globalThis.fetch(new URL(pathname.replace('/pccs', '') + search, good.url), init)
    }
    await set({ fetch }, 'https://proxy.example/pccs/sgx/certification/v4/')

    expect(asked.every((path) => /^\/pccs\/[st][gd]x\/certification\/v4\//.test(path))).toBe(true)
  })

  /** A service that answers as the good one does, but for what `change` does to it. */
  const changed =
    (change: (url: URL, response: Response) => Response | Promise<Response>) =>
    async (input: unknown, init?: RequestInit) => {
      const url = new URL(String(input))
      const response = await globalThis.fetch(new URL(url.pathname + url.search, good.url), init)
      return change(url, response)
    }
  const withHeaders = (response: Response, rewrite: (value: string) => string) => {
    const headers = new Headers(response.headers)
    headers.forEach((value, name) => {
      if (name.endsWith('issuer-chain')) headers.set(name, rewrite(value))
    })
    return new Response(response.body, { headers })
  }
  const withCrl = (make: (der: Buffer) => string | Buffer) =>
    changed(async (url, response) => {
      if (!/crl$/.test(url.pathname)) return response
      const body = Buffer.from(await response.arrayBuffer())
      const text = body.toString('latin1')
      const der = /^[0-9a-f]+$/.test(text) ? Buffer.from(text, 'hex') : body
      return new Response(make(der) as string, { headers: response.headers })
    })
  const pem = (der: Buffer, end = '\n') => {
    const lines = der.toString('base64').match(/.{1,64}/g) ?? []
    return ['-----BEGIN X509 CRL-----', ...lines, '-----END X509 CRL-----', ''].join(end)
  }

  test.each<[string, typeof globalThis.fetch]>([
    [
      'chains with + for blanks',
      changed((_, r) => withHeaders(r, (v) => v.replaceAll('%20', '+'))),
    ],
    [
      'chains with + for blanks and for itself',
      changed((_, r) => withHeaders(r, (v) => v.replaceAll('%20', '+').replaceAll('%2B', '+'))),
    ],
    ['chains with CRLF', changed((_, r) => withHeaders(r, (v) => v.replaceAll('%0A', '%0D%0A')))],
    [
      'the header name of version 3',
      changed((_, response) => {
        const value = response.headers.get('TCB-Info-Issuer-Chain')
        if (value === null) return response
        return new Response(response.body, { headers: { 'SGX-TCB-Info-Issuer-Chain': value } })
      }),
    ],
    ['lists in PEM', withCrl((der) => pem(der))],
    ['lists in PEM with CRLF', withCrl((der) => pem(der, '\r\n'))],
    ['lists in hex', withCrl((der) => der.toString('hex'))],
    [
      'lists in capital hex, with a line feed',
      withCrl((der) => `${der.toString('hex').toUpperCase()}\n`),
    ],
    ['lists in DER', withCrl((der) => der)],
    [
      'an unknown member, and spaces around the signed text',
      changed(async (_, response) => {
        const text = await response.clone().text()
        const [, name, value, signature] =
          /^\{"(tcbInfo|enclaveIdentity)":(.*),"signature":"([0-9a-f]{128})"\}$/.exec(text) ?? []
        if (name === undefined) return response
        const around = `{ "new": ["}\\"", {"a":1}], "signature" : "${signature}" ,\n "${name}":${value} }\n`
        return new Response(around, { headers: response.headers })
      }),
    ],
    ...[
      '"caf\\u00e9": 1',
      '"say \\"hi\\"": "a, b"',
      '"back\\\\": [[], {}, ""]',
      '"": null',
      '"nested": {"signature": "00", "tcbInfo": {}, "enclaveIdentity": {}}',
      '"number": -1.5e3',
    ].flatMap((member): [string, typeof globalThis.fetch][] =>
      (['before', 'after'] as const).map((place) => [
        `an unknown member ${member} ${place} the signed document`,
        changed(async (_, response) => {
          const text = await response.clone().text()
          if (!text.startsWith('{"tcbInfo"') && !text.startsWith('{"enclaveIdentity"'))
            return response
          const inside = text.slice(1, -1)
          const members = place === 'before' ? [member, inside] : [inside, member]
          return new Response(`{${members.join(', ')}}`, { headers: response.headers })
        }),
      ]),
    ),
  ])('%s', async (_, fetch) => {
    expect(await outcome(sourceOf(['https://pccs.example'], { fetch }))).toBe('verified')
  })

  describe('the root CRL', () => {
    const asked: string[] = []
    const without = (status: number): typeof globalThis.fetch => {
      return async (input, init) => {
        const url = new URL(String(input))
        asked.push(url.origin)
        if (url.pathname.endsWith('/rootcacrl')) return new Response('', { status })
        return globalThis.fetch(new URL(url.pathname + url.search, good.url), init)
      }
    }
    beforeEach(() => {
      asked.length = 0
    })

    test.each([400, 404, 405, 501])('comes from Intel if a mirror returns %s', async (status) => {
      const fetch = without(status)

      expect(await outcome(sourceOf(['https://mirror.example'], { fetch }))).toBe('verified')
      // the certificates of the simulator name another place, which is not asked
      expect(new Set(asked)).toEqual(
        new Set(['https://mirror.example', 'https://certificates.trustedservices.intel.com']),
      )
    })
  })

  describe('a self-signed TLS certificate', () => {
    let url: string
    let ca: string
    beforeAll(async () => {
      const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
        'sign',
      ])
      const certificate = await x509.X509CertificateGenerator.createSelfSigned({
        name: 'CN=localhost',
        keys,
        signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
        extensions: [
          new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]),
        ],
      })
      const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
      ca = certificate.toString('pem')
      const server = createTlsServer(
        {
          key: `-----BEGIN PRIVATE KEY-----\n${key.toString('base64')}\n-----END PRIVATE KEY-----`,
          cert: ca,
        },
        async (request, response) => {
          const answer = await globalThis.fetch(new URL(request.url ?? '/', good.url))
          response.writeHead(answer.status, Object.fromEntries(answer.headers))
          response.end(Buffer.from(await answer.arrayBuffer()))
        },
      )
      url = await listening(server, 'https')
    })

    test('is refused, and the error names the reason', async () => {
      await expect(judge(sourceOf([url]))).rejects.toThrow(/SELF_SIGNED/)
    })

    test('is accepted if it is configured', async () => {
      expect(await outcome(sourceOf([url], { ca }))).toBe('verified')
    })

    test('is not accepted for another host', async () => {
      const other = url.replace('localhost', '127.0.0.1')

      await expect(judge(sourceOf([other], { ca }))).rejects.toThrow(/ALTNAME/)
    })
  })

  test('the error contains the failure of every PCCS', async () => {
    bad.fault = 'unknown'
    third.fault = 'headerless'
    const error = await judge(sourceOf([bad.url, third.url])).catch((thrown) => thrown)

    expect(error.message).toContain(`${new URL(bad.url).host} gave status 404.`)
    expect(error.message).toContain('no header')
    expect(error.facts.failures).toHaveLength(2)
  })

  test('evaluation numbers come from the first PCCS that has them', async () => {
    const pcs = await pccs({ kind: 'pcs' })
    bad.fault = 'html'
    const list = await fetchEvaluationNumbers({ urls: [bad.url, pcs.url] })

    expect(JSON.parse(list.text)).toMatchObject({ id: 'TDX' })
  })

  test('fetched collateral equals the collateral file', async () => {
    const bundle = await set({}, good.url)

    expect(parseCollateral({ ...bundle })).toEqual(bundle)
  })
})
