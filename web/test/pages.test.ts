/** The dashboard in a real browser, over anvil and an indexer: honest ones, lying ones, and ones that do not answer. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { findAnvil } from '../../test/anvil.ts'
import { findChromium, openBrowser } from './browser.ts'
import { type Stack, startStack } from './stack.ts'

const absent = findAnvil() === undefined || findChromium() === undefined
if (absent)
  console.warn('\n*** CHROMIUM OR ANVIL ABSENT: the dashboard in a browser is SKIPPED. ***\n')

let stack: Stack
let browser: Browser

describe.skipIf(absent)('the dashboard', () => {
  beforeAll(async () => {
    ;[stack, browser] = await Promise.all([startStack(), openBrowser()])
  })
  afterAll(async () => {
    await browser?.close()
    await stack?.stop()
  })

  /** Opens a page; every violation of its policy and every error of a script is collected. */
  async function open(path: string, url = stack.url): Promise<{ page: Page; problems: string[] }> {
    const page = await browser.newPage()
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) problems.push(message.text())
    })
    await page.goto(`${url}#${path}`)
    return { page, problems }
  }

  const proofs = (page: Page) => page.locator('main .origin[data-origin="proof"]')
  const unproven = (page: Page) => page.locator('main .origin[data-origin="unchecked"]')

  async function axe(page: Page): Promise<string[]> {
    const source = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
    // the policy forbids inline scripts, but not what the DevTools protocol evaluates
    await page.evaluate(await readFile(source, 'utf8'))
    const { violations } = (await page.evaluate('axe.run()')) as {
      violations: { id: string; nodes: { html: string }[] }[]
    }
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
  }

  /** An app with a release. */
  async function appId(): Promise<string> {
    const answer = await fetch(`${stack.url}indexer/v1/approvals?kind=4&limit=1`)
    const { items } = (await answer.json()) as { items: { registry: string }[] }
    return items[0]?.registry as string
  }

  test('the overview proves what is approved', async () => {
    const { page, problems } = await open('/')
    await proofs(page).first().waitFor()
    await expect.poll(() => unproven(page).count(), { timeout: 20_000 }).toBe(0)
    expect(await page.locator('.alarm').count()).toBe(0)
    expect(await page.getByRole('heading', { name: 'Overview' }).count()).toBe(1)
    expect(problems).toEqual([])
    expect(await axe(page)).toEqual([])
    await page.close()
  })

  test('the page of an app shows proven releases and answers whether it would boot', async () => {
    const { page, problems } = await open(`/apps/${await appId()}`)
    await proofs(page).first().waitFor()
    await page.getByText(/The boot would be|Not decided/).waitFor()
    expect(await page.locator('.alarm').count()).toBe(0)
    expect(problems).toEqual([])
    expect(await axe(page)).toEqual([])
    await page.close()
  })

  test('an approval that the indexer invents turns the page red, and the proven state is shown', async () => {
    // the word of a live approval without an end
    const word = `0x${((1n << 192n) | (1n << 160n) | 1n).toString(16).padStart(64, '0')}`
    const url = await stack.serve({
      tamper: (path, answer) => {
        if (!path.startsWith('/v1/approvals')) return answer
        const { items = [] } = answer as { items?: { kind: number }[] }
        return { ...(answer as object), items: items.map((row) => ({ ...row, word })) }
      },
    })
    const { page } = await open('/', url)
    await page.getByRole('heading', { name: 'The indexer lies, or is wrong' }).waitFor()
    expect(await page.locator('html').getAttribute('data-alarm')).toBe('true')
    await page.close()
  })

  test('a row that the indexer leaves out turns the page red', async () => {
    const url = await stack.serve({
      tamper: (path, answer) => {
        if (path !== '/v1/approvals') return answer
        const { items } = answer as { items: { kind: number }[] }
        const first = items.findIndex(({ kind }) => kind === 1)
        return { ...(answer as object), items: items.filter((_, index) => index !== first) }
      },
    })
    const { page } = await open('/', url)
    await page
      .getByText('number of approvals of the kind kmsMeasurement')
      .waitFor({ state: 'attached' })
    await page.close()
  })

  test('without an endpoint nothing is shown as proven', async () => {
    const url = await stack.serve({ endpoints: ['http://127.0.0.1:1'] })
    const { page } = await open('/', url)
    await page.getByText('Nothing is checked:').waitFor()
    await page.locator('main .figures').waitFor()
    expect(await proofs(page).count()).toBe(0)
    expect(await page.locator('main .state[data-tone="good"]').count()).toBe(0)
    await page.close()
  })

  test('one of two endpoints that does not answer decides nothing', async () => {
    const dead = 'http://127.0.0.1:1'
    const both = await stack.serve({ endpoints: [stack.history.url, dead], required: 2 })
    const { page } = await open('/', both)
    await page.getByText('Nothing is checked:').waitFor()
    expect(await proofs(page).count()).toBe(0)
    await page.close()

    const one = await stack.serve({ endpoints: [stack.history.url, dead], required: 1 })
    const { page: other } = await open('/', one)
    await proofs(other).first().waitFor()
    expect(await other.locator('.top').innerText()).toMatch(/1 of 2/)
    await other.close()
  })

  test('an indexer of another block is not proven', async () => {
    const hash = `0x${'ab'.repeat(32)}`
    const change = (answer: object) => ({
      ...answer,
      ...('at' in answer ? { at: { ...(answer.at as object), hash } } : { hash }),
    })
    const url = await stack.serve({ tamper: (_, answer) => change(answer as object) })
    const { page } = await open('/', url)
    await page
      .getByText(/describes another block/)
      .first()
      .waitFor()
    expect(await proofs(page).count()).toBe(0)
    await page.close()
  })

  test('the server answers only its own page', async () => {
    const question = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] })
    const post = (body: string, headers: Record<string, string> = {}) =>
      fetch(`${stack.url}rpc/0`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', ...headers },
      })
    expect((await post(question)).status).toBe(200)
    expect((await post(question, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await post(question.replace('eth_chainId', 'anvil_setBalance'))).status).toBe(400)
    expect((await post(question.replace('eth_chainId', 'eth_sendTransaction'))).status).toBe(400)
    expect((await fetch(`${stack.url}../package.json`)).status).toBe(404)
    const { headers } = await fetch(stack.url)
    expect(headers.get('content-security-policy')).toContain("script-src 'self'")
    expect(headers.get('access-control-allow-origin')).toBeNull()
  })
})
