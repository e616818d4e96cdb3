/** The dashboard in a real browser, over anvil and an indexer: honest ones, lying ones, and ones that do not answer. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { type Abi, sha256, toBytes } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appAbi } from '../../src/chain/abi.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { createManifest } from '../../src/manifest/create-manifest.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../../test/anvil.ts'
import { createCaseFixture } from '../../test/simulator/faults/case.ts'
import { findChromium, openBrowser } from './browser.ts'
import { proposeGateway, type Stack, startStack } from './stack.ts'

const absent = findAnvil() === undefined || findChromium() === undefined
if (absent)
  console.warn('\n*** CHROMIUM OR ANVIL ABSENT: the dashboard in a browser is SKIPPED. ***\n')

interface WalletQuestion {
  readonly method: string
  readonly params?: readonly unknown[]
}

/** A host that was never registered: its words are zero. */
const emptyHost = {
  operator: null,
  attestedAt: null,
  expiresAt: null,
  status: null,
  fmspc: null,
  approvalVersion: null,
  tcbDate: null,
  tcbEvaluationNumber: null,
  advisories: null,
  quoteDigest: null,
  endedVerdict: null,
  firstId: null,
}

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
  async function open(
    path: string,
    url = stack.url,
    look: BrowserContextOptions = {},
  ): Promise<{ page: Page; problems: string[] }> {
    const page = await browser.newPage(look)
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) problems.push(message.text())
    })
    await page.goto(`${url}#${path}`)
    return { page, problems }
  }

  /** A page with a wallet that sends everything. @param sent gets the name of each transaction's method */
  async function openWithWallet(account: string, sent: string[] = []): Promise<Page> {
    const page = await browser.newPage()
    await page.exposeFunction('askWallet', async ({ method, params = [] }: WalletQuestion) => {
      if (method === 'eth_requestAccounts') return [account]
      if (method === 'eth_sendTransaction') sent.push(method)
      return stack.history.rpc(method, ...params)
    })
    await page.addInitScript(`
      const detail = Object.freeze({
        info: { uuid: '1', name: 'Test wallet', icon: '', rdns: 'example.wallet' },
        provider: { request: (question) => askWallet(question) },
      })
      const announce = () => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }))
      addEventListener('eip6963:requestProvider', announce)
    `)
    return page
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

  /** The first id of a list. */
  async function idIn(list: string): Promise<string> {
    const answer = await fetch(`${stack.url}indexer/v1/${list}?limit=1`)
    const { items } = (await answer.json()) as { items: { id: string }[] }
    return items[0]?.id as string
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
    const sentences = await page.locator('.conditions > li').allInnerTexts()
    expect(new Set(sentences).size).toBe(sentences.length)
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
    const frame = await page.evaluate(`
      const { position, borderLeftWidth } = getComputedStyle(document.body, '::after')
      ;[position, borderLeftWidth]
    `)
    expect(frame).toEqual(['fixed', '4px'])
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

  test.each(['/apps', '/proposals', '/machines', '/images', '/kms', '/quote'])(
    'the page %s has no violation of accessibility rules or of its policy',
    async (path) => {
      const { page, problems } = await open(path)
      await page.locator('main h1').waitFor()
      await page.waitForLoadState('networkidle')
      expect(problems).toEqual([])
      expect(await axe(page)).toEqual([])
      await page.close()
    },
  )

  test.each([
    ['light', 360],
    ['dark', 360],
    ['dark', 1280],
  ] as const)(
    'no page violates accessibility rules or is wider than the screen, %s, %i px',
    async (colorScheme, width) => {
      const look = { colorScheme, viewport: { width, height: 800 } }
      const details = [
        `/apps/${await appId()}`,
        `/machines/${await idIn('hosts')}`,
        `/images/${await idIn('images')}`,
        `/kms/root-keys/${await idIn('root-keys')}`,
      ]
      const lists = ['/', '/apps', '/proposals', '/machines', '/images', '/kms', '/quote']
      for (const path of [...lists, ...details]) {
        const { page } = await open(path, stack.url, look)
        await page.locator('main h1').waitFor()
        // no request may hold its connection until its deadline of 20 seconds
        await page.waitForLoadState('networkidle', { timeout: 10_000 })
        await expect.poll(() => page.getByText(/^Reading /).count()).toBe(0)
        const wide = await page.evaluate('document.documentElement.scrollWidth')
        expect({ path, wide }).toEqual({ path, wide: width })
        expect({ path, violations: await axe(page) }).toEqual({ path, violations: [] })
        await page.close()
      }
    },
    180_000,
  )

  test('the keyboard reaches the content, a mark and its details', async () => {
    const { page } = await open('/')
    await proofs(page).first().waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    const focused = () =>
      page.evaluate('document.activeElement.id || document.activeElement.className')
    expect(await focused()).toBe('main')
    for (let presses = 0; presses < 5 && (await focused()) !== 'origin'; presses++)
      await page.keyboard.press('Tab')
    expect(await focused()).toBe('origin')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await expect.poll(focused).toBe('origin')
    expect(await page.getByRole('dialog').count()).toBe(0)
    await page.close()
  })

  test('a dropped quote is verified without a server', async () => {
    const at = Date.parse('2026-08-20T12:00:00Z') / 1000
    const { simulator, quote, collateral } = createCaseFixture(createSimulator({ at }))
    const { page, problems } = await open('/quote')
    const asked: string[] = []
    await page.locator('input[type="datetime-local"]').fill('2026-08-20T12:00:00')
    page.on('request', (request) => {
      if (!/v1\/status|rpc/.test(request.url())) asked.push(request.url())
    })
    const file = (name: string, bytes: Uint8Array | string) => ({
      name,
      mimeType: 'application/octet-stream',
      buffer: Buffer.from(bytes),
    })
    await page.locator('input[type="file"]').setInputFiles([file('quote.bin', quote)])
    await page.getByText('Not verified: there is no collateral').waitFor()
    const json = file('collateral.json', JSON.stringify(collateral))
    await page.locator('input[type="file"]').setInputFiles([json])
    // not under Intel's root
    await page.getByText(/Rejected: /).waitFor()
    const root = file('root.der', simulator.rootCertificate)
    await page.locator('input[type="file"]').setInputFiles([root])
    await page.getByText('Genuine, TCB UpToDate').waitFor()
    await page.getByText('not under Intel’s').waitFor()
    expect(asked).toEqual([])
    expect(problems).toEqual([])
    expect(await axe(page)).toEqual([])
    await page.close()
  })

  test('a proposal is reviewed in plain words, and a wallet of the browser votes on it', async () => {
    const id = await proposeGateway(stack.history, 'Name the gateway')
    await stack.sync()
    const sent: string[] = []
    const page = await openWithWallet(stack.history.accounts[1] as string, sent)
    await page.goto(`${stack.url}#/proposals/${id}`)
    await page
      .getByText(/set the gateway app id|gateway/i)
      .first()
      .waitFor()
    await page.getByText(/It succeeds/).waitFor({ timeout: 40_000 })
    expect(await axe(page)).toEqual([])
    await page.getByText('SHA-256 of the review').waitFor()
    await page.setViewportSize({ width: 360, height: 800 })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    await page.getByRole('button', { name: 'Test wallet' }).click()
    await page.getByRole('button', { name: 'Vote for' }).click()
    await page.getByText(/^Done in 0x/).waitFor()
    expect(sent).toHaveLength(1)
    await page.getByText('This account has voted.').waitFor()
    await page.close()
  })

  test('the page of an image shows its measurement sets', async () => {
    const { page, problems } = await open('/images')
    await page.getByRole('link', { name: 'an image' }).first().click()
    await page.getByRole('heading', { name: 'an image', level: 1 }).waitFor()
    const sets = page.getByRole('region', { name: 'Measurement sets' })
    await sets.locator('.state[data-tone="good"]').waitFor()
    expect(problems).toEqual([])
    await page.close()
  })

  test('the page of a root key shows what vouches for it, each with its own proof', async () => {
    const { page, problems } = await open(`/kms/root-keys/${await idIn('root-keys')}`)
    const steps = page.locator('.vouch-box')
    await expect.poll(() => steps.count()).toBe(3)
    await expect
      .poll(() => steps.locator('.state[data-tone="good"]').count(), { timeout: 20_000 })
      .toBe(3)
    expect(problems).toEqual([])
    await page.close()
  })

  test('the overview lists what waits for the account of a wallet', async () => {
    await proposeGateway(stack.history, 'Wait for a vote')
    await stack.sync()
    const lookAs = async (account: string) => {
      const page = await openWithWallet(account)
      await page.goto(stack.url)
      await page.getByRole('button', { name: 'Test wallet' }).click()
      return page
    }
    const page = await lookAs(stack.history.accounts[1] as string)
    const waiting = page.getByRole('region', { name: 'Waits for you' })
    const item = waiting.getByRole('listitem').filter({ hasText: 'Wait for a vote' })
    expect(await item.innerText()).toMatch(/^Vote/)
    expect(await axe(page)).toEqual([])
    await page.close()

    const other = await lookAs(`0x${'12'.repeat(20)}`)
    await other.getByText('Nothing waits for this account.').waitFor()
    await other.close()
  })

  test('a release is approved or proposed from a dropped file, which the browser hashes', async () => {
    const { history } = stack
    const { accounts, addresses, send } = history
    const app = (await appId()) as Hex
    const compose = `services: { web: { image: "nginx@sha256:${'ab'.repeat(32)}" } }\n`
    const drop = (page: Page, name: string, text: string) =>
      page
        .getByLabel('File of the release')
        .setInputFiles([{ name, mimeType: 'text/plain', buffer: Buffer.from(text) }])
    const hashOf = (text: string) => sha256(toBytes(text))

    const page = await openWithWallet(accounts[3] as string)
    await page.goto(`${stack.url}#/apps/${app}`)
    await drop(page, 'docker-compose.yml', 'services: { web: { image: "nginx:latest" } }')
    await page.getByText('An image has no digest').waitFor()
    await drop(page, 'docker-compose.yml', compose)
    const made = hashOf(createManifest({ name: 'app', compose }))
    await page.getByLabel(`Copy ${made}`).waitFor()
    const manifest = createManifest({ name: 'shop', compose })
    await drop(page, 'app-compose.json', manifest)
    await page.getByLabel(`Copy ${hashOf(manifest)}`).waitFor()
    expect(await axe(page)).toEqual([])
    await page.getByRole('button', { name: 'Test wallet' }).click()
    await page.getByRole('button', { name: 'Approve the release' }).click()
    await page.getByText(/^Done in 0x/).waitFor()
    await page.getByText('The app knows this release already').waitFor()
    await page.close()

    await send(accounts[3] as Hex, app, appAbi as Abi, 'transferOwnership', [addresses.timelock])
    await send(addresses.timelock as Hex, app, appAbi as Abi, 'acceptOwnership', [])
    await stack.sync()
    const other = await openWithWallet(accounts[1] as string)
    await other.goto(`${stack.url}#/apps/${app}`)
    await drop(other, 'app-compose.json', createManifest({ name: 'shop-2', compose }))
    await other.getByRole('button', { name: 'Test wallet' }).click()
    await other.getByRole('button', { name: 'Propose the release' }).click()
    await other.getByText(/^Done in 0x/).waitFor()
    await stack.sync()
    await other.goto(`${stack.url}#/proposals`)
    await other
      .getByText(/approve release/i)
      .first()
      .waitFor()
    await other.close()
  })

  test('a reorg while somebody looks is followed, and is no lie', async () => {
    const { history } = stack
    const snapshot = await history.rpc('evm_snapshot')
    await history.block(3)
    await stack.sync()
    const { page } = await open('/')
    await proofs(page).first().waitFor()
    const before = await page.locator('.top b').first().innerText()
    await history.rpc('evm_revert', snapshot)
    for (let block = 0; block < 3; block++) await history.block(4)
    await expect
      .poll(() => page.locator('.top b').first().innerText(), { timeout: 20_000 })
      .not.toBe(before)
    await expect.poll(() => unproven(page).count(), { timeout: 20_000 }).toBe(0)
    expect(await page.locator('.alarm').count()).toBe(0)
    await page.close()
  })

  test('ten thousand machines are shown by the rows that fit, and those are checked', async () => {
    const { history } = stack
    const head = Number(await history.client.getBlockNumber({ cacheTime: 0 }))
    const { hash, timestamp } = await history.client.getBlock({ blockNumber: BigInt(head) })
    const at = { block: head, time: Number(timestamp), hash }
    const count = 10_000
    const ids = Array.from({ length: count }, (_, i) => `0x${i.toString(16).padStart(64, '0')}`)
    const url = await stack.serve({
      tamper: (path, answer, query) => {
        if (path === '/v1/status') return { chainId: 31337, ...at }
        if (path === '/v1/approvals') return { at, items: [], next: null }
        if (path !== '/v1/hosts') return answer
        const from = Number(query.get('after') ?? 0)
        const items = ids.slice(from, from + 200).map((id) => ({ ...emptyHost, id }))
        return { at, items, next: from + 200 < count ? String(from + 200) : null }
      },
    })
    const { page } = await open('/machines', url)
    await page.getByText(`${count} machines`).waitFor({ timeout: 50_000 })
    const rows = page.locator('[role="row"]')
    expect(await rows.count()).toBeLessThan(80)
    await page.locator('.virtual').evaluate((element) => element.scrollTo(0, 1e7))
    await page
      .getByText(`${ids.at(-1)?.slice(-6)}`)
      .first()
      .waitFor()
    expect(await page.locator('[role="table"]').getAttribute('aria-rowcount')).toBe('10001')
    await page.getByRole('searchbox').fill('270f')
    await expect.poll(() => rows.count()).toBeLessThan(20)
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
