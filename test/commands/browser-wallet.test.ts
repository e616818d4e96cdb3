/** Commands with `--browser`, in a real browser whose wallet is announced by EIP-6963 and signs with accounts of anvil. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { findAnvil } from '../anvil.ts'
import { type Browser, findChromium, startChromium, type Tab } from '../chromium.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'

const absent = findAnvil() === undefined || findChromium() === undefined
if (absent) console.warn('\n*** CHROMIUM OR ANVIL ABSENT: the browser wallet is SKIPPED. ***\n')

const program = join(import.meta.dirname, '../../bin/assent.js')

/** A wallet as an extension announces it. `callTest` reaches this file. */
const wallet = `
const provider = { request: (request) => callTest(request) }
const info = { uuid: '350670db-19fa-4704-a166-e52e178b59d2', name: 'Test wallet\u202e', icon: '', rdns: 'example.wallet' }
const announce = () => dispatchEvent(
  new CustomEvent('eip6963:announceProvider', { detail: Object.freeze({ info, provider }) }),
)
addEventListener('eip6963:requestProvider', announce)
announce()
globalThis.violations = []
addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective))
`

interface WalletRequest {
  readonly method: string
  readonly params?: readonly never[]
}

let fixture: TaskFixture
let browser: Browser
let folder: string

describe.skipIf(absent)('with a wallet in the browser', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    ;[fixture, browser, folder] = await Promise.all([
      createTaskFixture(),
      startChromium(),
      mkdtemp(join(tmpdir(), 'assent-wallet-test-')),
    ])
    await writeFile(
      join(folder, 'assent.toml'),
      `[profiles.local]\nrpcUrls = ["${fixture.url}"]\ndeployments = "${fixture.folder}"\n`,
    )
  }, 180_000)
  afterAll(async () => {
    await browser?.close()
    await fixture?.stop()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  interface Person {
    /** Changes what the wallet does; undefined: as a wallet does it. */
    readonly wallet?: (
      request: WalletRequest,
      command: ChildProcess,
    ) => Promise<unknown> | undefined
    /** Looks at the page before each button is pressed. */
    readonly look?: (tab: Tab, label: string) => Promise<void>
    /** Beginning of the label of each button, one after another. */
    readonly press: readonly string[]
    /** Variables for the command. */
    readonly env?: Readonly<Record<string, string>>
  }

  /** Runs a command, opens its page, and presses buttons. */
  async function run(args: readonly string[], { wallet: change, look, press, env: more }: Person) {
    const { DISPLAY: _, WAYLAND_DISPLAY: __, ...env } = process.env
    const child = spawn(process.execPath, [program, ...args, '--browser', '--yes', '--json'], {
      cwd: folder,
      env: { ...env, ...more },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (text) => (stdout += text))
    const url = new Promise<string>((resolve) => {
      child.stderr.on('data', (text) => {
        stderr += text
        const [found] = /http:\/\/127\.0\.0\.1:\d+\/#[\w-]+/.exec(stderr) ?? []
        if (found !== undefined) resolve(found)
      })
    })
    const ended = once(child, 'close')
    const asked: string[] = []
    let chainId = '0x1'
    const tab = await browser.openTab(wallet, async (argument) => {
      const request = argument as WalletRequest
      asked.push(request.method)
      const changed = change?.(request, child)
      if (changed !== undefined) return changed
      if (request.method === 'eth_chainId') return chainId
      if (request.method === 'eth_requestAccounts') return [fixture.account('voter')]
      if (request.method === 'wallet_switchEthereumChain') {
        chainId = (request.params as unknown as [{ chainId: string }])[0].chainId
        return null
      }
      return fixture.anvil.client.request(request as never)
    })
    await tab.load(await url)
    for (const label of press) {
      await pressButton(tab, label, async () => look?.(tab, label))
    }
    const [exitCode] = await ended
    const answer = stdout === '' ? undefined : JSON.parse(stdout)
    return { exitCode, answer, asked, tab, url: await url, stderr }
  }

  async function pressButton(tab: Tab, label: string, look: () => Promise<void>): Promise<void> {
    const button = `[...document.querySelectorAll('button')].find((each) => each.textContent.startsWith(${JSON.stringify(label)}) && !each.disabled)`
    while (!(await tab.evaluate(`${button} !== undefined`))) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await look()
    await tab.evaluate(`${button}.click()`)
  }

  test('a transaction is shown in words, sent on the right chain, and checked', async () => {
    const shown: string[] = []
    const { exitCode, answer, asked, tab, url } = await run(['dao', 'delegate', 'self'], {
      press: ['Use Test wallet', 'Send with Test wallet'],
      look: async (page) => {
        shown.push(await page.evaluate('document.body.innerText'))
      },
    })

    const voter = fixture.account('voter')
    expect(exitCode).toBe(0)
    expect(answer).toMatchObject({ outcome: 'sent', descriptions: [{ contract: 'AssentVotes' }] })
    expect(answer.by.toLowerCase()).toBe(voter)
    expect(shown[1]).toContain(answer.descriptions[0].effects[0])
    expect(shown[1]).toContain('local (31337)')
    expect(shown[1]).toContain('Send with Test wallet\\u{202e} (example.wallet)')
    expect(shown[1]?.toLowerCase()).toContain(voter)
    expect(asked).toContain('wallet_switchEthereumChain')
    expect(asked.filter((method) => method === 'eth_sendTransaction')).toHaveLength(1)
    await expectText(tab, /The command has ended/)
    expect(await tab.evaluate('violations')).toEqual([])
    expect(await tab.evaluate('location.href')).not.toContain(url.split('#')[1])
  })

  test('the page runs no other script', async () => {
    const ran: boolean[] = []
    await run(['dao', 'delegate', 'self'], {
      press: ['Use Test wallet', 'Decline'],
      look: async (page) => {
        await page.evaluate(
          `{ const foreign = document.createElement('script'); foreign.textContent = 'globalThis.foreign = true'; document.head.append(foreign) }`,
        )
        ran.push(await page.evaluate('globalThis.foreign === true'))
      },
    })

    expect(ran).toEqual([false, false])
  })

  test('a vote is a transaction like every other one', async () => {
    const id = `0x${'e1'.repeat(32)}`
    const from = fixture.account('voter')
    const made = await fixture.run('dao approve', { kind: 'os-image', ids: [id], from, yes: true })
    const proposal = String(made.value.proposals[0].id)
    await fixture.advanceTime(11)
    let text = ''
    const { exitCode, answer } = await run(['dao', 'vote', proposal, 'for'], {
      press: ['Use Test wallet', 'Send with Test wallet'],
      look: async (page) => {
        text = await page.evaluate('document.body.innerText')
      },
    })

    expect(exitCode, JSON.stringify(answer)).toBe(0)
    expect(answer.outcome).toBe('sent')
    expect(text).toContain('vote "for" on proposal')
  })

  test('a statement is signed, and its signature is of the account', async () => {
    const id = `0x${'e2'.repeat(32)}`
    const from = fixture.account('voter')
    const made = await fixture.run('dao approve', { kind: 'os-image', ids: [id], from, yes: true })
    const words = ['dao', 'sign-vote', String(made.value.proposals[0].id), 'for']
    const press = ['Use Test wallet', 'Sign with Test wallet']
    let shown = ''
    const look = async (tab: Tab) => {
      shown = await tab.evaluate('document.body.innerText')
    }
    const honest = await run(words, { press, look })
    const other = await run(words, {
      press,
      wallet: ({ method, params }) =>
        method === 'eth_signTypedData_v4'
          ? fixture.anvil.client.request({
              method,
              params: [fixture.account('stranger'), (params as unknown as [string, string])[1]],
            } as never)
          : undefined,
    })

    expect(shown).toContain('vote "for" on proposal')
    expect(honest.exitCode, JSON.stringify(honest.answer)).toBe(0)
    expect(honest.answer.signature).toMatch(/^0x[0-9a-f]{130}$/)
    expect(other.answer.error.code).toBe('SIGNER_WRONG')
    expect(other.exitCode).toBe(2)

    // forms that the contract would refuse
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const largeS = (signature: string) =>
      `${signature.slice(0, 66)}${(order - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, '0')}${signature.endsWith('1b') ? '1c' : '1b'}`
    const parity = (signature: string) =>
      `${signature.slice(0, 130)}${signature.endsWith('1b') ? '00' : '01'}`
    for (const change of [largeS, parity]) {
      const { answer, exitCode } = await run(words, {
        press,
        wallet: ({ method, params }) =>
          method === 'eth_signTypedData_v4'
            ? fixture.anvil.client
                .request({ method, params } as never)
                .then((signature) => change(String(signature)))
            : undefined,
      })
      expect([answer.error?.code, exitCode]).toEqual(['SIGNER_WRONG', 2])
    }
  })

  test('a wallet that sends another transaction is not believed', async () => {
    const { exitCode, answer } = await run(['dao', 'delegate', 'self'], {
      press: ['Use Test wallet', 'Send with Test wallet'],
      wallet: ({ method, params }) => {
        if (method !== 'eth_sendTransaction') return undefined
        const [transaction] = params as unknown as [object]
        const changed = { ...transaction, to: fixture.account('stranger'), data: '0x' }
        return fixture.anvil.client.request({ method, params: [changed] } as never)
      },
    })

    expect(exitCode).toBe(1)
    expect(answer.error.code).toBe('WALLET_TRANSACTION_DIFFERENT')
    expect(answer.error.message).toMatch(/to, data/)
  })

  test('a wallet that answers with an earlier transaction is not believed', async () => {
    const press = ['Use Test wallet', 'Send with Test wallet']
    const earlier = await run(['dao', 'delegate', 'self'], { press })
    const { exitCode, answer } = await run(['dao', 'delegate', 'self'], {
      press,
      wallet: ({ method }) =>
        method === 'eth_sendTransaction'
          ? Promise.resolve(earlier.answer.transactions[0])
          : undefined,
    })

    expect(exitCode).toBe(1)
    expect(answer.error.code).toBe('WALLET_TRANSACTION_DIFFERENT')
    expect(answer.error.message).toMatch(/its nonce differs/)
  })

  test('a page that is loaded again does not ask the wallet a second time', async () => {
    const address = fixture.account('voter')
    const count = () => fixture.anvil.client.getTransactionCount({ address: address as never })
    const before = await count()
    let hash: Promise<unknown> | undefined
    let page: Tab | undefined
    const { exitCode, answer, asked } = await run(['dao', 'delegate', 'self'], {
      press: ['Use Test wallet', 'Send with Test wallet', 'Check it'],
      wallet: ({ method, params }) => {
        if (method !== 'eth_sendTransaction') return undefined
        hash = fixture.anvil.client.request({ method, params } as never)
        void page?.evaluate('location.reload()').catch(() => undefined)
        // the page that asked is gone
        return new Promise(() => undefined)
      },
      look: async (tab, label) => {
        page = tab
        if (label !== 'Check it') return
        await expectText(tab, /The wallet was asked already/)
        expect(await tab.evaluate('document.body.innerText')).not.toContain('Send with')
        await tab.evaluate(`document.querySelector('#sent input').value = '${await hash}'`)
      },
    })

    expect(exitCode, JSON.stringify(answer)).toBe(0)
    expect(asked.filter((method) => method === 'eth_sendTransaction')).toHaveLength(1)
    expect(await count()).toBe(before + 1)
  })

  test('an answer that gets lost is sent again, not the transaction', async () => {
    let page: Tab | undefined
    const { exitCode, answer, asked } = await run(['dao', 'delegate', 'self'], {
      press: ['Use Test wallet', 'Send with Test wallet'],
      wallet: ({ method, params }) => {
        if (method !== 'eth_sendTransaction') return undefined
        const lose = `{ const real = fetch; let left = 2; globalThis.fetch = (path, options) => path === '/answer' && left-- > 0 ? Promise.reject(new TypeError('Failed to fetch')) : real(path, options) }`
        const sent = fixture.anvil.client.request({ method, params } as never)
        return (page as Tab).evaluate(lose).then(() => sent)
      },
      look: async (tab) => {
        page = tab
      },
    })

    expect(exitCode, JSON.stringify(answer)).toBe(0)
    expect(asked.filter((method) => method === 'eth_sendTransaction')).toHaveLength(1)
  })

  test('Ctrl-C tells the page and the person, and removes the file with the address', async () => {
    const place = await mkdtemp(join(folder, 'opener-'))
    await writeFile(join(place, 'xdg-open'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
    const { answer, tab, stderr } = await run(['dao', 'delegate', 'self'], {
      press: ['Use Test wallet', 'Send with Test wallet'],
      env: { DISPLAY: ':9', PATH: `${place}:${process.env.PATH}`, TMPDIR: place },
      wallet: ({ method }, command) => {
        if (method !== 'eth_sendTransaction') return undefined
        command.kill('SIGINT')
        return new Promise(() => undefined)
      },
    })

    expect(answer).toBeUndefined()
    expect(stderr).toContain('can still be confirmed: decline it')
    await expectText(tab, /The command has ended.*decline it there/s)
    expect((await readdir(place)).filter((name) => name.startsWith('assent-wallet'))).toEqual([])
  })

  test('a person who declines sends nothing', async () => {
    const { exitCode, answer, asked } = await run(['dao', 'delegate', 'self'], {
      press: ['Use Test wallet', 'Decline'],
    })

    expect(exitCode).toBe(1)
    expect(answer.error).toMatchObject({ code: 'SIGNER_REFUSED', facts: { code: 4001 } })
    expect(asked).not.toContain('eth_sendTransaction')
  })

  test('a wallet without the wanted account is told so, and sends nothing', async () => {
    const wanted = fixture.account('guardian')
    let text = ''
    const { exitCode } = await run(['dao', 'delegate', 'self', '--from', wanted], {
      press: ['Use Test wallet', 'Decline'],
      look: async (page, label) => {
        if (label === 'Decline') text = await page.evaluate('document.body.innerText')
      },
    })

    expect(exitCode).toBe(1)
    expect(text).toContain(`does not offer the account ${wanted}`)
  })

  async function expectText(tab: Tab, pattern: RegExp): Promise<void> {
    await expect.poll(() => tab.evaluate('document.body.innerText')).toMatch(pattern)
  }
})
