/**
 * The page of the browser hand-off. It asks the command for the next question, shows it, passes it to the wallet that the
 * person chooses, and returns the answer. It decides nothing: the command checks every answer.
 *
 * Wallets are found by EIP-6963 and asked by EIP-1193. Text of the command is only ever set as text, never as HTML.
 */
const pause = 500
const declined = 4001
const unknownChain = 4902

/** Wallets by their ids. */
const wallets = new Map()
let session = ''
let question

/* TALKING TO THE COMMAND */

async function post(path, body) {
  const response = await fetch(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(session === '' ? {} : { authorization: `Bearer ${session}` }),
    },
    body: JSON.stringify(body),
  })
  if (response.ok) return response.json()
  throw new Error(await response.text())
}

/** The token in the fragment works once. A page that is loaded again uses the session of this tab. */
async function openSession() {
  const token = location.hash.slice(1)
  history.replaceState(null, '', '/')
  if (token !== '') {
    const opened = await post('/session', { token })
    sessionStorage.setItem('session', opened.session)
  }
  session = sessionStorage.getItem('session') ?? ''
  if (session === '')
    throw new Error('Open the address that the command printed, with everything after #.')
}

async function answer(value) {
  await post('/answer', { id: question.id, ...value })
  show('Answered. The command checks the answer.')
}

/* ASKING THE WALLET */

const asks = {
  async account(provider) {
    const accounts = await provider.request({ method: 'eth_requestAccounts' })
    return requireAccount(accounts, question.wanted ?? accounts[0])
  },
  async transaction(provider) {
    await requireSigner(provider)
    await switchChain(provider)
    const { from, to, value, data, nonce, chain } = question
    const transaction = {
      from,
      ...(to === null ? {} : { to }),
      value: toHex(value),
      data,
      ...(nonce === null ? {} : { nonce: toHex(nonce) }),
      chainId: toHex(chain.id),
    }
    return provider.request({ method: 'eth_sendTransaction', params: [transaction] })
  },
  async signature(provider) {
    await requireSigner(provider)
    await switchChain(provider)
    const { from, typedData } = question
    return provider.request({ method: 'eth_signTypedData_v4', params: [from, typedData] })
  },
}

async function requireSigner(provider) {
  requireAccount(await provider.request({ method: 'eth_requestAccounts' }), question.from)
}

function requireAccount(accounts, wanted) {
  const found = accounts.find((each) => each.toLowerCase() === String(wanted).toLowerCase())
  if (found !== undefined) return found
  throw new Error(
    `The wallet does not offer the account ${wanted}. Select it in the wallet, then try again.`,
  )
}

async function switchChain(provider) {
  const wanted = toHex(question.chain.id)
  const current = async () => toHex(await provider.request({ method: 'eth_chainId' }))
  if ((await current()) === wanted) return
  try {
    await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: wanted }] })
  } catch (error) {
    if (error?.code !== unknownChain) throw error
    throw new Error(
      `The wallet does not know the chain ${question.chain.id}. Add it in the wallet, then try again.`,
    )
  }
  if ((await current()) !== wanted) throw new Error('The wallet did not change the chain.')
}

function toHex(number) {
  return `0x${BigInt(number).toString(16)}`
}

/* SHOWING */

const element = (id) => document.getElementById(id)

function show(text) {
  element('status').textContent = text
}

function make(tag, text) {
  const made = document.createElement(tag)
  made.textContent = text
  return made
}

const titles = {
  account: 'Choose the account that signs',
  transaction: 'Send this transaction?',
  signature: 'Sign this statement?',
}

const verbs = { account: 'Use', transaction: 'Send with', signature: 'Sign with' }

function drawQuestion() {
  const { kind, chain, from, wanted, to, contract, value, data, words, typedData } = question
  element('title').textContent = titles[kind]
  const facts = [
    ['Chain', `${chain.name} (${chain.id})`],
    ['Account', from ?? wanted],
    ...(kind === 'transaction' ? describeCall(to, contract, value) : []),
  ].filter(([, text]) => text !== undefined && text !== null)
  element('facts').replaceChildren(
    ...facts.flatMap(([name, text]) => [make('dt', name), make('dd', text)]),
  )
  element('words').replaceChildren(...(words ?? []).map((line) => make('li', line)))
  const raw = data ?? typedData
  element('raw').hidden = raw === undefined
  element('bytes').textContent = raw ?? ''
  drawButtons()
}

function describeCall(to, contract, value) {
  const name = contract === null ? '' : `${contract} `
  return [
    ['Contract', to === null ? 'a new contract' : `${name}${to}`],
    ...(value === '0' ? [] : [['Value', `${value} wei`]]),
  ]
}

function drawButtons() {
  const { kind } = question ?? {}
  if (titles[kind] === undefined) return element('buttons').replaceChildren()
  const own = [...wallets.values()].map(({ info, provider }) =>
    button(`${verbs[kind]} ${info.name}`, () => ask(provider)),
  )
  if (own.length === 0)
    show('No wallet was found in this browser. Install or unlock one, then reload this page.')
  else show('')
  const decline = button('Decline', () =>
    answer({ error: { code: declined, message: 'declined on the page' } }),
  )
  element('buttons').replaceChildren(...own, decline)
}

function button(text, run) {
  const made = make('button', text)
  made.addEventListener('click', async () => {
    enable(false)
    try {
      await run()
    } catch (error) {
      show(
        error?.code === declined
          ? 'The wallet declined. Try again, or decline here too.'
          : `${error?.message ?? error}`,
      )
      enable(true)
    }
  })
  return made
}

function enable(isOn) {
  for (const each of document.querySelectorAll('button')) each.disabled = !isOn
}

async function ask(provider) {
  show('Confirm it in the wallet.')
  const result = await asks[question.kind](provider)
  await answer({ result })
}

/* THE LOOP */

window.addEventListener('eip6963:announceProvider', ({ detail }) => {
  wallets.set(detail.info.uuid, detail)
  drawButtons()
})
window.dispatchEvent(new Event('eip6963:requestProvider'))

try {
  await openSession()
  for (;;) {
    const next = await post('/question', {})
    if (next.kind === 'end') break
    if (next.id !== question?.id) {
      question = next
      if (next.kind === 'wait') {
        drawButtons()
        show('The command is working.')
      } else drawQuestion()
    }
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
  question = undefined
  drawButtons()
  element('title').textContent = 'Done'
  show('The command has ended. Its result is on the terminal. You can close this page.')
} catch (error) {
  question = undefined
  drawButtons()
  show(
    error instanceof TypeError
      ? 'The command no longer answers. Its result is on the terminal.'
      : error.message,
  )
}
