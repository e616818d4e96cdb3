/** A real browser for tests: Chromium without a window, driven over the DevTools protocol. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The program, or undefined where this machine has none. */
export function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  return names.find((name) => spawnSync(name, ['--version']).status === 0)
}

/** Answers a call that a script of the page makes. */
export type PageFunction = (argument: unknown) => Promise<unknown>

export interface Tab {
  /** Value of an expression in the page. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at single members
  evaluate(expression: string): Promise<any>
  /** Loads an address. */
  load(url: string): Promise<void>
}

export interface Browser {
  /**
   * Opens an empty tab.
   *
   * @param script runs before the scripts of every page, as an extension does
   * @param call what `callTest(argument)` of the page returns
   */
  openTab(script: string, call: PageFunction): Promise<Tab>
  close(): Promise<void>
}

const defineCall = `
globalThis.callTest = (argument) => new Promise((resolve, reject) => {
  const id = Math.random()
  globalThis.callsOfTest ??= new Map()
  callsOfTest.set(id, { resolve, reject })
  callTestBinding(JSON.stringify({ id, argument }))
})
`

export async function startChromium(): Promise<Browser> {
  const program = findChromium()
  if (program === undefined) throw new Error('Chromium is not installed.')
  const folder = await mkdtemp(join(tmpdir(), 'assent-chromium-'))
  const options = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run']
  const child = spawn(
    program,
    [...options, '--remote-debugging-port=0', `--user-data-dir=${folder}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const socket = new WebSocket(await addressOf(child))
  await once(socket, 'open')
  const { send, onEvent } = protocolOf(socket)
  return {
    async openTab(script, call) {
      const { targetId } = await send('Target.createTarget', { url: 'about:blank' })
      const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
      const inTab = (method: string, params: object = {}) => send(method, params, sessionId)
      await inTab('Page.enable')
      await inTab('Runtime.enable')
      await inTab('Runtime.addBinding', { name: 'callTestBinding' })
      const source = `${defineCall}${script}`
      await inTab('Page.addScriptToEvaluateOnNewDocument', { source })
      const evaluate = async (expression: string) => {
        const options = { expression, awaitPromise: true, returnByValue: true }
        const { result, exceptionDetails } = await inTab('Runtime.evaluate', options)
        if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
        return result.value
      }
      onEvent((event) => {
        if (event.sessionId !== sessionId || event.method !== 'Runtime.bindingCalled') return
        const { id, argument } = JSON.parse(event.params.payload)
        const settle = (verb: string, value: unknown) =>
          evaluate(`callsOfTest.get(${id}).${verb}(${JSON.stringify(value ?? null)})`)
        call(argument).then(
          (value) => settle('resolve', value),
          ({ code, message }) => settle('reject', { code, message }),
        )
      })
      return {
        evaluate,
        async load(url) {
          await inTab('Page.navigate', { url })
        },
      }
    },
    async close() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = ''
    child.once('exit', (code) => reject(new Error(`Chromium ended with ${code}: ${printed}`)))
    child.stderr?.on('data', (text) => {
      printed += text
      const [, address] = /DevTools listening on (ws:\S+)/.exec(printed) ?? []
      if (address !== undefined) resolve(address)
    })
  })
}

// messages of the DevTools protocol have many shapes
// biome-ignore lint/suspicious/noExplicitAny: see above
type Message = any

function protocolOf(socket: WebSocket) {
  const waiting = new Map<
    number,
    { resolve: (value: Message) => void; reject: (e: Error) => void }
  >()
  const listeners: ((event: Message) => void)[] = []
  let count = 0
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data))
    const asked = waiting.get(message.id)
    if (asked === undefined) {
      for (const listen of listeners) listen(message)
    } else if (message.error === undefined) asked.resolve(message.result)
    else asked.reject(new Error(message.error.message))
    waiting.delete(message.id)
  })
  return {
    onEvent: (listen: (event: Message) => void) => void listeners.push(listen),
    send(method: string, params: object, sessionId?: string): Promise<Message> {
      const id = ++count
      socket.send(JSON.stringify({ id, method, params, sessionId }))
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
    },
  }
}
