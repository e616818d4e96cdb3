/** Users, passwords, paths and queries of URLs hold API keys. They must not reach a log, an error or a terminal. */
import { createPublicClient, http } from 'viem'
import { describe, expect, test, vi } from 'vitest'

import { reportError } from '../../src/commands/output/report-error.ts'
import { withoutUrlSecrets } from '../../src/errors/bounded.ts'
import { AssentError } from '../../src/errors/index.ts'
import { createLog } from '../../src/lib/log.ts'
import { urlSchema } from '../../src/lib/schema.ts'

const secrets = /KEY|PASSW0RD|alice/
const url = 'http://alice:PASSW0RD@127.0.0.1:9/v2/KEY?k=KEY#KEY'

test.each([
  [url, 'http://127.0.0.1:9/…'],
  ['asked wss://rpc.example/KEY.', 'asked wss://rpc.example/…'],
  ['(https://rpc.example?k=KEY)', '(https://rpc.example/…'],
  ['HTTPS://alice@rpc.example', 'HTTPS://rpc.example/…'],
  ['http://alice:p@PASSW0RD@h:1/', 'http://h:1/…'],
  ['postgres://alice:PASSW0RD@db/assent', 'postgres://db/…'],
  ["https://h/a'KEY|KEY)KEY and more", 'https://h/… and more'],
  ['URL: https://h/KEY\nRequest body: {}', 'URL: https://h/…\nRequest body: {}'],
  ['{"url":"https://h/KEY","id":1}', '{"url":"https://h/…","id":1}'],
  ['https://h/a\\nKEY', 'https://h/…'],
  ['1: https://h/, 2: (https://h:8).', '1: https://h/, 2: (https://h:8).'],
  ['    at f (file:///srv/main.js:1:2)', '    at f (file:///srv/main.js:1:2)'],
  ['no URL', 'no URL'],
])('of the URL in %j the log keeps only the origin', (text, expected) => {
  expect(withoutUrlSecrets(text)).toBe(expected)
})

test('a search for URLs takes linear time', () => {
  const began = performance.now()
  for (const piece of ['a.', 'http:', 'http://', 'http://a@', 'a+://']) {
    withoutUrlSecrets(`${piece.repeat(200_000)}://`)
  }

  expect(performance.now() - began).toBeLessThan(2_000)
})

describe('an error of viem, which quotes the URL', () => {
  async function failure(): Promise<Error> {
    const client = createPublicClient({ transport: http(url, { retryCount: 0 }) })
    const error = await client.getChainId().then(
      () => undefined,
      (cause: unknown) => cause,
    )
    if (!(error instanceof Error)) throw new Error('the port answered')
    expect(error.message).toContain('KEY')
    return error
  }

  test('leaves no API key in the log, as error and as cause', async () => {
    const lines: string[] = []
    const destination = { write: (line: string) => lines.push(line) }
    const log = createLog({ service: 'test', level: 'info', destination })
    const error = await failure()
    log.error({ err: error }, 'a')
    log.error({ err: new AssentError('CHAIN_UNREACHABLE', 'No answer.', { cause: error }) }, 'b')
    log.error({ reason: error.message }, 'c')

    expect(lines).toHaveLength(3)
    for (const line of lines) {
      expect(line).toContain('http://127.0.0.1:9/…')
      expect(line).not.toMatch(secrets)
    }
  })

  test('leaves no API key in the message and the facts of another error', async () => {
    const { message, stack } = await failure()
    const error = new AssentError('UNEXPECTED', message, { facts: { of: [{ stack }] } })

    expect(JSON.stringify(error)).toContain('http://127.0.0.1:9/…')
    expect(JSON.stringify(error)).not.toMatch(secrets)
  })

  test.each([true, false])(
    'leaves no API key in the output of a command, json: %s',
    async (json) => {
      const printed: string[] = []
      for (const stream of ['log', 'error'] as const) {
        vi.spyOn(console, stream).mockImplementation((text) => void printed.push(String(text)))
      }
      reportError(await failure(), json)
      vi.restoreAllMocks()

      expect(printed.join('\n')).toContain('http://127.0.0.1:9/…')
      expect(printed.join('\n')).not.toMatch(secrets)
    },
  )
})

test('a setting with a URL whose spelling the log filter cannot recognize is refused', () => {
  expect(urlSchema.safeParse('https://alice:PASSW0RD@rpc.example/v2/KEY?a=b').success).toBe(true)
  for (const spelling of ['https:\\\\h\\KEY', 'https:h/KEY', 'https:/h/KEY', 'https://h/"KEY']) {
    expect(urlSchema.safeParse(spelling).success).toBe(false)
  }
})
