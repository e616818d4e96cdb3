/**
 * The page of the browser hand-off. It asks the command for the next question, shows it, passes it to the wallet that the
 * person chooses, and returns the answer. It decides nothing: the command checks every answer.
 *
 * A wallet is asked for one transaction at most. The command hands each question out once (`/claim`), and an answer is
 * kept and repeated until the command has it.
 *
 * Wallets are found by EIP-6963 and asked by EIP-1193. Text of the command is only ever set as text, never as HTML.
 */
const pause = 500
const declined = 4001
const unknownChain = 4902
const retryPause = 1_500
const maxName = 60

/** Wallets by their ids. */
const wallets = new Map()
let session = ''
let question
/** Whether this tab waits for the wallet or for the command. */
let isAsking = false

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
  throw Object.assign(new Error(await response.text()), { status: response.status })
}

/** Repeats a request for as long as it gets no answer: another program can keep the command busy. */
async function postUntilAnswered(path, body) {
  for (;;) {
    try {
      return await post(path, body)
    } catch (error) {
      const isUnanswered = error instanceof TypeError || error.status === 429
      if (!isUnanswered) throw error
      const open = isAsking ? ` ${openRequest}` : ''
      show(`The command does not answer. If it has ended, close this page.${open}`)
      await new Promise((resolve) => setTimeout(resolve, retryPause))
    }
  }
}

const openRequest =
  'If a request is open in the wallet, decline it there: the wallet can still send it.'

/** The token in the fragment works once. A page that is loaded again uses the session of this tab. */
async function openSession() {
  const token = location.hash.slice(1)
  history.replaceState(null, '', '/')
  if (token !== '') {
    session = token
    const opened = await postUntilAnswered('/session', {})
    sessionStorage.clear()
    sessionStorage.setItem('session', opened.session)
  }
  session = sessionStorage.getItem('session') ?? ''
  if (session === '')
    throw new Error('Open the address that the command printed, with everything after #.')
}

async function answer({ id }, value) {
  const given = { id, ...value }
  sessionStorage.setItem('answer', JSON.stringify(given))
  await deliver(given)
}

/** A page that was loaded again has an answer that the command may not have. */
function keptAnswer() {
  const kept = JSON.parse(sessionStorage.getItem('answer') ?? 'null')
  return kept?.id === question.id ? kept : undefined
}

async function deliver(given) {
  isAsking = true
  drawButtons()
  try {
    await postUntilAnswered('/answer', given)
    if (question?.id === given.id) question = { ...question, kind: 'answered' }
    show('Answered. The command checks the answer.')
  } catch (error) {
    if (error.status !== 409) throw error
    show(error.message)
  } finally {
    isAsking = false
    sessionStorage.removeItem('answer')
  }
}

/* ASKING THE WALLET */

const asks = {
  async account(provider, { wanted }) {
    const accounts = await provider.request({ method: 'eth_requestAccounts' })
    return requireAccount(accounts, wanted ?? accounts[0])
  },
  async transaction(provider, asked) {
    const { from, to, value, data, nonce, chain } = asked
    await requireSigner(provider, from)
    await switchChain(provider, chain)
    const transaction = {
      from,
      ...(to === null ? {} : { to }),
      value: toHex(value),
      data,
      ...(nonce === null ? {} : { nonce: toHex(nonce) }),
      chainId: toHex(chain.id),
    }
    return askOnce(asked, () =>
      provider.request({ method: 'eth_sendTransaction', params: [transaction] }),
    )
  },
  async signature(provider, { from, typedData, chain }) {
    await requireSigner(provider, from)
    await switchChain(provider, chain)
    return provider.request({ method: 'eth_signTypedData_v4', params: [from, typedData] })
  },
}

/** Only a wallet that declined has surely sent nothing, and can be asked again. */
async function askOnce(asked, send) {
  const { id } = asked
  try {
    await post('/claim', { id })
  } finally {
    asked.isClaimed = true
  }
  try {
    return await send()
  } catch (error) {
    if (error?.code === declined) {
      await postUntilAnswered('/release', { id })
      asked.isClaimed = false
    }
    throw error
  }
}

async function requireSigner(provider, from) {
  requireAccount(await provider.request({ method: 'eth_requestAccounts' }), from)
}

function requireAccount(accounts, wanted) {
  const found = accounts.find((each) => each.toLowerCase() === String(wanted).toLowerCase())
  if (found !== undefined) return found
  throw new Error(
    `The wallet does not offer the account ${wanted}. Select it in the wallet, then try again.`,
  )
}

async function switchChain(provider, chain) {
  const wanted = toHex(chain.id)
  const current = async () => toHex(await provider.request({ method: 'eth_chainId' }))
  if ((await current()) === wanted) return
  try {
    await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: wanted }] })
  } catch (error) {
    if (error?.code !== unknownChain) throw error
    throw new Error(
      `The wallet does not know the chain ${chain.id}. Add it in the wallet, then try again.`,
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
  element('raw').open = kind === 'signature'
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
  const asked = question
  const { kind, isClaimed } = asked ?? {}
  const buttons = element('buttons')
  element('sent').hidden = !isClaimed || isAsking || titles[kind] === undefined
  if (titles[kind] === undefined || isAsking) return buttons.replaceChildren()
  const decline = button('Decline', () =>
    answer(asked, { error: { code: declined, message: 'declined on the page' } }),
  )
  if (isClaimed) {
    show('The wallet was asked already. Look there: it may have sent the transaction.')
    return buttons.replaceChildren(decline)
  }
  const own = [...wallets.values()].map(({ info, provider }) =>
    button(`${verbs[kind]} ${nameOf(info)}`, () => ask(provider, asked)),
  )
  show(
    own.length === 0
      ? 'No wallet was found in this browser. Install or unlock one, then reload this page.'
      : '',
  )
  buttons.replaceChildren(...own, decline)
}

/** Any extension can call itself as it likes, also like another one. */
function nameOf({ name, rdns }) {
  return `${printable(name)} (${printable(rdns)})`
}

function printable(text) {
  return `${text}`
    .slice(0, maxName)
    .replace(unprintable, (found) => `\\u{${found.codePointAt(0).toString(16)}}`)
}

function button(text, run) {
  const made = make('button', text)
  made.addEventListener('click', () => act(run))
  return made
}

/** One thing at a time: meanwhile there are no buttons, also if another wallet announces itself. */
async function act(run) {
  if (isAsking) return
  isAsking = true
  drawButtons()
  let said = ''
  try {
    await run()
    return
  } catch (error) {
    said =
      error?.code === declined
        ? 'The wallet declined. Try again, or decline here too.'
        : `${error?.message ?? error}`
  } finally {
    isAsking = false
  }
  drawButtons()
  show(question?.isClaimed ? `${said} The wallet may have sent the transaction: look there.` : said)
}

/** @param asked the question as the person saw it: the command can end it meanwhile */
async function ask(provider, asked) {
  show('Confirm it in the wallet.')
  const result = await asks[asked.kind](provider, asked)
  await answer(asked, { result })
}

element('sent').addEventListener('submit', (event) => {
  event.preventDefault()
  const result = new FormData(event.target).get('hash').trim()
  const asked = question
  act(() => answer(asked, { result }))
})

/* THE LOOP */

window.addEventListener('eip6963:announceProvider', ({ detail }) => {
  wallets.set(detail.info.uuid, detail)
  drawButtons()
})
window.dispatchEvent(new Event('eip6963:requestProvider'))

async function follow() {
  for (;;) {
    const next = await postUntilAnswered('/question', {})
    if (next.kind === 'end') return
    if (next.id !== question?.id) await begin(next)
    else if (next.isClaimed !== question.isClaimed && !isAsking) {
      question = next
      drawButtons()
    }
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

async function begin(next) {
  question = next
  if (next.kind === 'wait') {
    drawButtons()
    return show('The command is working.')
  }
  drawQuestion()
  const kept = keptAnswer()
  if (kept !== undefined) await deliver(kept)
}

function end(title, text) {
  const open = isAsking ? ` ${openRequest}` : ''
  question = undefined
  drawButtons()
  element('title').textContent = title
  show(`${text}${open}`)
}

try {
  await openSession()
  await follow()
  end('Done', 'The command has ended. Its result is on the terminal. You can close this page.')
} catch (error) {
  end('No session', error.message)
}
