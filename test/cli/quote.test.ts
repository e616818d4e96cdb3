import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

import { main } from '../../src/cli/main.ts'
import type { VerifyOutput } from '../../src/commands/quote/verify-case.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { encodeAttestation } from '../../src/quote/attestation.ts'
import { parseCertificate } from '../../src/quote/certificates/certificate.ts'
import { SPKI_PREFIX } from '../../src/quote/certificates/p256.ts'
import { syntheticCase, syntheticCases, syntheticRoot, syntheticTime } from '../synthetic.ts'
import { describeRecorded, vectorsFolder } from '../vectors.ts'

/** GetQuote with an attestation of another quote. */
const twoQuotes = JSON.stringify({
  quote: toHex(syntheticCase('valid_v4_td10').quote),
  attestation: toHex(
    encodeAttestation({
      quote: syntheticCase('td_debug').quote,
      eventLog: [],
      runtimeEvents: [],
      reportData: new Uint8Array(64),
      config: '',
    }),
  ),
})

let folder: string
const file = (name: string, content: Uint8Array | string): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'assent-quote-'))
})
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => {
  process.exitCode = undefined
})

interface Run {
  readonly exitCode: number
  readonly out: string
  readonly err: string
}

async function run(...args: string[]): Promise<Run> {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  const error = vi.spyOn(console, 'error').mockImplementation(() => {})
  process.exitCode = undefined
  try {
    const exitCode = await main(['quote', ...args])
    const text = (spy: typeof log) => spy.mock.calls.map((call) => call.join(' ')).join('\n')
    return { exitCode, out: text(log), err: text(error) }
  } finally {
    log.mockRestore()
    error.mockRestore()
  }
}

function verifyArgs(id: string): string[] {
  const { quote, collateral } = syntheticCase(id)
  return [
    'verify',
    file('quote.bin', quote),
    ...['--collateral', file('bundle.json', JSON.stringify(collateral))],
    ...['--at', String(syntheticTime), '--root', file('root.der', syntheticRoot)],
  ]
}

async function verifyJson(id: string, ...more: string[]): Promise<VerifyOutput & { exit: number }> {
  const { out, exitCode } = await run(...verifyArgs(id), '--json', ...more)
  return { ...(JSON.parse(out) as VerifyOutput), exit: exitCode }
}

describe('quote verify --json', () => {
  test('prints everything that a verified quote proves', async () => {
    const output = await verifyJson('valid_v4_td10')

    expect(output).toMatchObject({
      exit: 0,
      verdict: 'verified',
      code: null,
      status: 'UpToDate',
      advisoryIds: [],
      fmspc: 'b0c06f000000',
      ppid: '11'.repeat(16),
      launch: { status: 'UpToDate' },
      quote: { version: 4, bodyType: 2 },
    })
  })

  test.each(syntheticCases.map((entry) => [entry.id, entry.expect] as const))(
    'gives the verdict of the library for %s under --policy none',
    async (id, expected) => {
      const output = await verifyJson(id, '--policy', 'none')

      expect(output.verdict === 'verified').toBe(expected.verifies)
      expect(output.exit).toBe({ verified: 0, rejected: 1, malformed: 2 }[output.verdict])
      expect(output.code === null).toBe(expected.verifies)
      if (expected.verifies) {
        expect(output).toMatchObject({
          status: expected.status,
          advisoryIds: expected.advisoryIDs,
        })
      }
    },
  )

  test('applies the default policy and names the policy rule that failed', async () => {
    const output = await verifyJson('td_debug')

    expect(output).toMatchObject({
      exit: 1,
      verdict: 'rejected',
      code: 'POLICY_TD_UNTRUSTED',
      status: 'UpToDate',
    })
  })

  test('applies a policy from a file', async () => {
    const policy = file('policy.json', JSON.stringify({ statuses: ['OutOfDate'] }))

    expect((await verifyJson('level_second', '--policy', policy)).verdict).toBe('verified')
    expect((await verifyJson('valid_v4_td10', '--policy', policy)).code).toBe(
      'POLICY_STATUS_REFUSED',
    )
  })

  test.each<[string, (quote: Uint8Array) => string]>([
    ['hex text', (quote) => `0x${toHex(quote)}\n`],
    ['hex text in lines', (quote) => toHex(quote).replace(/.{60}/g, '$&\n')],
    ['base64', (quote) => Buffer.from(quote).toString('base64')],
    [
      'base64 in lines',
      (quote) => Buffer.from(quote).toString('base64').replace(/.{64}/g, '$&\r\n'),
    ],
    [
      'the answer of GetQuote',
      (quote) => JSON.stringify({ quote: toHex(quote), event_log: '[]', report_data: '' }, null, 2),
    ],
  ])('reads %s as well as bytes', async (_, write) => {
    const { quote, collateral: bundle } = syntheticCase('valid_v4_td10')
    // as some tools write a bundle
    const collateral = { ...bundle, pck_certificate_chain: null }
    const { out } = await run(
      ...['verify', file('quote.txt', write(quote)), '--json'],
      ...['--collateral', file('bundle.json', JSON.stringify(collateral))],
      ...['--at', String(syntheticTime), '--root', file('root.der', syntheticRoot)],
    )

    expect(JSON.parse(out)).toMatchObject({ verdict: 'verified' })
  })

  test.each([
    ['an empty file', '', 'QUOTE_TRUNCATED'],
    ['JSON without a quote', '{"event_log":"[]"}', 'QUOTE_MISSING'],
    ['JSON that is cut off', '{"quote":"0400', 'QUOTE_MISSING'],
    ['an answer with two quotes', twoQuotes, 'QUOTE_AMBIGUOUS'],
    ['an answer with a member twice', '{"quote":"","quote":""}', 'QUOTE_AMBIGUOUS'],
    ['a PEM text without a certificate', '-----BEGIN X-----\n-----END X-----', 'QUOTE_MISSING'],
    ['an attestation that is cut off', '0000394e', 'ATTESTATION_MALFORMED'],
    ['an attestation of another platform', '0003040000', 'ATTESTATION_UNSUPPORTED'],
    ['half a byte of hex', '040', 'HEX_INVALID'],
    ['a text', 'not a quote '.repeat(9), 'QUOTE_VERSION_UNSUPPORTED'],
  ])('calls %s malformed', async (_, content, code) => {
    const args = verifyArgs('valid_v4_td10').with(1, file('bad', content))
    const { out, exitCode } = await run(...args, '--json')

    expect(JSON.parse(out)).toMatchObject({ verdict: 'malformed', code })
    expect(exitCode).toBe(2)
  })

  test.each([
    ['no JSON', '{'],
    ['a missing field', '{}'],
    ['a JSON list', '[]'],
  ])('calls collateral with %s malformed', async (_, content) => {
    const args = verifyArgs('valid_v4_td10').with(3, file('bad.json', content))
    const { out, exitCode } = await run(...args, '--json')

    expect(JSON.parse(out)).toMatchObject({
      verdict: 'malformed',
      code: 'QUOTE_COLLATERAL_MALFORMED',
    })
    expect(exitCode).toBe(2)
  })

  test.each([
    ['a file that is not there', 1, '/nonexistent/quote.bin', 'FILE_UNREADABLE'],
    ['a policy that is not there', 10, '/nonexistent/policy.json', 'FILE_UNREADABLE'],
  ])('gives no verdict for %s', async (_, place, value, code) => {
    const args = [...verifyArgs('valid_v4_td10'), '--json', '--policy', 'none'].with(place, value)
    const { out, exitCode } = await run(...args)

    expect(JSON.parse(out)).toMatchObject({ error: { code } })
    expect(exitCode).toBe(2)
  })

  test.each([
    ['--at', 'yesterday'],
    ['--at', '1.5'],
    ['--debug', 'true'],
  ])('treats %s %s as wrong usage', async (...wrong) => {
    const silent = vi.spyOn(process.stderr, 'write').mockReturnValue(true)

    expect((await run(...verifyArgs('valid_v4_td10'), ...wrong)).exitCode).toBe(2)
    silent.mockRestore()
  })
})

describe('quote verify --onchain', () => {
  test('prints the JSON of --onchain in the same shape', async () => {
    const { out, exitCode } = await run(...verifyArgs('relaunch_advised'), '--json', '--onchain')
    const onchain = JSON.parse(out)
    const { exit, ...offchain } = await verifyJson('relaunch_advised')

    expect(exitCode).toBe(exit)
    expect(onchain).toMatchObject({
      verifier: 'solidity',
      verdict: 'rejected',
      code: 'POLICY_STATUS_REFUSED',
      status: 'TDRelaunchAdvised',
      launch: { status: 'OutOfDate' },
      current: { status: 'UpToDate' },
    })
    for (const field of ['tcbDate', 'advisoryIds', 'expiresAt', 'fmspc', 'deviceId', 'at']) {
      expect(onchain[field], field).toEqual(offchain[field])
    }
    expect(onchain.quote.report).toEqual((offchain.quote as { report: unknown }).report)
  })

  test('accepts a public key as the root, like the library', async () => {
    const key = parseCertificate(syntheticRoot, 'root').key.point
    const root = file('root.spki', Buffer.concat([SPKI_PREFIX, key]))
    const args = [...verifyArgs('valid_v4_td10'), '--json', '--onchain'].with(7, root)

    expect(JSON.parse((await run(...args)).out)).toMatchObject({ verdict: 'verified' })
    const other = file('other.spki', Buffer.concat([SPKI_PREFIX, key.map((byte) => byte ^ 1)]))
    expect(JSON.parse((await run(...args.with(7, other))).out)).toMatchObject({
      code: 'QUOTE_ROOT_UNTRUSTED',
    })
  })

  test('works in a folder that has no package.json in it or above it', async () => {
    const cwd = vi.spyOn(process, 'cwd').mockReturnValue(folder)
    const { out } = await run(...verifyArgs('valid_v4_td10'), '--json', '--onchain')
    cwd.mockRestore()

    expect(JSON.parse(out)).toMatchObject({ verifier: 'solidity', verdict: 'verified' })
  })

  test('names the missing package where Hardhat is not installed', async () => {
    vi.doMock('hardhat/hre', () => {
      throw new Error('Cannot find package')
    })
    const { out, exitCode } = await run(...verifyArgs('valid_v4_td10'), '--json', '--onchain')
    vi.doUnmock('hardhat/hre')

    expect(JSON.parse(out)).toMatchObject({ error: { code: 'IN_PROCESS_CHAIN_UNAVAILABLE' } })
    expect(exitCode).toBe(2)
  })
})

describe('quote verify with several quotes', () => {
  const common = () => ['--at', String(syntheticTime), '--root', file('root.der', syntheticRoot)]
  const ids = ['sig_quote_bad', 'hdr_version_6', 'valid_v4_td10']
  const lines = (out: string) => out.split('\n').map((line) => JSON.parse(line))

  function suite(): string {
    const place = mkdtempSync(join(folder, 'suite-'))
    for (const id of ids) {
      const { quote, collateral } = syntheticCase(id)
      mkdirSync(join(place, id))
      writeFileSync(join(place, id, 'quote.bin'), quote)
      writeFileSync(join(place, id, 'collateral.json'), JSON.stringify(collateral))
    }
    return place
  }

  test.each([[], ['--onchain']])('prints a line for each folder of a suite %s', async (...more) => {
    const { out, exitCode } = await run('verify', suite(), ...common(), '--json', ...more)

    expect(lines(out)).toMatchObject([
      { case: 'hdr_version_6', verdict: 'malformed', code: 'QUOTE_VERSION_UNSUPPORTED' },
      { case: 'sig_quote_bad', verdict: 'rejected', code: 'QUOTE_SIGNATURE_INVALID' },
      { case: 'valid_v4_td10', verdict: 'verified', status: 'UpToDate' },
    ])
    expect(exitCode).toBe(1)
  })

  test('reads a list, each line with a time of its own', async () => {
    const place = suite()
    const line = (id: string, at?: number) =>
      JSON.stringify({ quote: `${id}/quote.bin`, collateral: `${id}/collateral.json`, at })
    writeFileSync(
      join(place, 'cases.jsonl'),
      `${line('valid_v4_td10')}\n${line('valid_v4_td10', syntheticTime + 400 * 86_400)}\n`,
    )
    const { out } = await run('verify', join(place, 'cases.jsonl'), ...common(), '--json')

    expect(lines(out).map(({ verdict }) => verdict)).toEqual(['verified', 'rejected'])
  })

  test('continues after a quote that cannot be read, and exits with an error code', async () => {
    const place = suite()
    rmSync(join(place, 'sig_quote_bad', 'collateral.json'))
    const { out, exitCode } = await run('verify', place, ...common(), '--json')

    expect(lines(out)).toMatchObject([
      { verdict: 'malformed' },
      { case: 'sig_quote_bad', error: { code: 'FILE_UNREADABLE' } },
      { verdict: 'verified' },
    ])
    expect(exitCode).toBe(2)
  })

  test('verifies several quotes with one bundle', async () => {
    const [, ...args] = verifyArgs('valid_v4_td10')
    const bad = file('bad.bin', syntheticCase('sig_quote_bad').quote)
    const { out, exitCode } = await run('verify', bad, ...args)

    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^rejected +.*bad.bin +QUOTE_SIGNATURE_INVALID$/),
      expect.stringMatching(/^verified +.*quote.bin +UpToDate$/),
    ])
    expect(exitCode).toBe(1)
  })

  test.each([
    ['an empty folder', () => mkdtempSync(join(folder, 'empty-')), 'CASE_INCOMPLETE'],
    ['a list of something else', () => file('other.jsonl', '{"quote":"q"}\n'), 'CASE_INCOMPLETE'],
    ['a quote without collateral', () => file('alone.bin', 'x'), 'USAGE_INVALID'],
  ])('refuses %s', async (_, make, code) => {
    const { out, exitCode } = await run('verify', make(), ...common(), '--json')

    expect(JSON.parse(out)).toMatchObject({ error: { code } })
    expect(exitCode).toBe(2)
  })
})

describe('quote verify --expected', () => {
  const { quote, collateral } = syntheticCase('valid_v4_td10')
  const args = (expected: object) => {
    const place = mkdtempSync(join(folder, 'expected-'))
    for (const name of ['good', 'cut']) {
      mkdirSync(join(place, name))
      writeFileSync(join(place, name, 'quote.bin'), name === 'cut' ? quote.subarray(0, 99) : quote)
      writeFileSync(join(place, name, 'collateral.json'), JSON.stringify(collateral))
    }
    return [
      ...['verify', place, '--at', String(syntheticTime)],
      ...['--root', file('root.der', syntheticRoot), '--policy', 'none'],
      ...['--expected', file('expected.json', JSON.stringify(expected))],
    ]
  }
  const good = { verdict: 'verified', status: 'UpToDate', advisoryIds: [] }
  const cut = { verdict: 'malformed', codes: ['QUOTE_SIZE_MISMATCH', 'QUOTE_TRUNCATED'] }

  test('ends with one line of result', async () => {
    const { out, exitCode } = await run(...args({ good, cut }))

    expect(out.split('\n').at(-1)).toBe('2 as expected, 0 differ')
    expect(exitCode).toBe(0)
  })

  test.each<[string, object, string[]]>([
    ['another verdict', { good, cut: { verdict: 'rejected' } }, ['cut']],
    ['another code', { good, cut: { ...cut, codes: ['QUOTE_TOO_LARGE'] } }, ['cut']],
    ['another status', { good: { ...good, status: 'OutOfDate' }, cut }, ['good']],
    ['another advisory', { good: { ...good, advisoryIds: ['INTEL-SA-00001'] }, cut }, ['good']],
    ['a case without an expectation', { good }, ['cut']],
    ['an expectation without a case', { good, cut, gone: cut }, ['gone']],
    ['a name of a prototype', { good, cut, constructor: cut }, ['constructor']],
  ])('counts %s as a difference', async (_, expected, differing) => {
    const { out, exitCode } = await run(...args(expected), '--json')

    expect(JSON.parse(out.split('\n').at(-1) as string)).toMatchObject({ differing })
    expect(exitCode).toBe(1)
  })

  test('refuses a file of expectations in another format', async () => {
    const { out, exitCode } = await run(...args({ good: { verdict: 'maybe' } }), '--json')

    expect(JSON.parse(out)).toMatchObject({ error: { code: 'INPUT_INVALID' } })
    expect(exitCode).toBe(2)
  })
})

describe('quote verify on a terminal', () => {
  test('prints the verdict first, then aligned lines, without colours in a pipe', async () => {
    const { out } = await run(...verifyArgs('valid_v4_td10'))
    const [first, ...lines] = out.split('\n')

    expect(first).toBe('verified')
    expect(new Set(lines.map((line) => /^\S+ +/.exec(line)?.[0].length)).size).toBe(1)
    expect(out).not.toContain('\u001b')
  })

  test('prints the reason of a rejection', async () => {
    const { out, exitCode } = await run(...verifyArgs('sig_quote_bad'))

    expect(out.split('\n')[0]).toMatch(/^rejected {2}QUOTE_SIGNATURE_INVALID: /)
    expect(exitCode).toBe(1)
  })
})

describe('quote show', () => {
  test('shows fields without verification', async () => {
    const path = file('quote.bin', syntheticCase('sig_quote_bad').quote)
    const { out, exitCode } = await run('show', path, '--json')

    expect(JSON.parse(out)).toMatchObject({ version: 4, pck: { fmspc: 'b0c06f000000' } })
    expect(exitCode).toBe(0)
  })

  test('names the field at which a quote is malformed', async () => {
    const path = file('quote.bin', syntheticCase('valid_v4_td10').quote.subarray(0, 600))
    const { out, exitCode } = await run('show', path, '--json')

    expect(JSON.parse(out)).toMatchObject({
      error: { code: 'QUOTE_TRUNCATED', facts: { field: 'report', offset: 48 } },
    })
    expect(exitCode).toBe(2)
  })
})

describeRecorded("quote verify under Intel's root", () => {
  test('verifies a recorded quote without --root', async () => {
    const near = join(vectorsFolder as string, 'dstack/external/near-mpc')
    const { out, exitCode } = await run(
      ...['verify', join(near, 'quote.bin'), '--collateral', join(near, 'collateral.json')],
      ...['--at', String(Date.UTC(2026, 7, 20) / 1000), '--json'],
    )

    expect(JSON.parse(out)).toMatchObject({ verdict: 'verified', status: 'UpToDate' })
    expect(exitCode).toBe(0)
  })
})
