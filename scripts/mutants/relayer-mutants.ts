/**
 * Breaks the outbox in one place at a time and demands that the model of its schedules, or a test of a single decision,
 * notices:
 * `node scripts/mutants/relayer-mutants.ts [--only NAME,…] [--check]`.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { projectRoot, toolCommand } from '../run-tool.ts'
import { keepFailure, seed } from '../test-effort.ts'
import { checkAnchors, type Edit, withEdits } from './mutate.ts'

interface Mutant extends Edit {
  readonly name: string
  readonly file: string
  /** True: random schedules come to it too rarely, so the tests of single decisions must notice it. */
  readonly isRare?: boolean
}

const outbox = 'outbox/outbox.ts'
const transitions = 'outbox/transitions.ts'
const submit = 'outbox/submit.ts'
const fees = 'outbox/fees.ts'
const endpoints = 'endpoints/quorum.ts'

const mutants: readonly Mutant[] = [
  // which nonce
  {
    name: 'nonces held by rows are given out again',
    file: outbox,
    from: 'if (!held.has(nonce)) free.push(nonce)',
    to: 'free.push(nonce)',
  },
  {
    name: 'nonces start above what is used',
    file: outbox,
    from: 'for (let nonce = observed.latest.count; free.length',
    to: 'for (let nonce = observed.latest.count + 1; free.length',
  },
  {
    name: 'nonces are counted from the final block',
    file: outbox,
    from: 'for (let nonce = observed.latest.count; free.length',
    to: 'for (let nonce = observed.final.count; free.length',
  },
  {
    name: 'gaps are not filled',
    file: outbox,
    from: 'if (!held.has(nonce)) missing.push(nonce)',
    to: 'held.has(nonce)',
  },
  {
    name: 'gaps wait behind new work',
    file: outbox,
    from: '...(missing.length > 0 || comesBack ? [] : decideQueue',
    to: '...(comesBack ? [] : decideQueue',
  },
  {
    name: 'more is put behind a nonce that no node takes',
    file: outbox,
    from: 'if (isJammed || room <= 0',
    to: 'if (room <= 0',
  },
  // what became of a nonce
  {
    name: 'a used nonce is given up before its block is final',
    file: outbox,
    from: 'slot.nonce < observed.final.count && allAbsent(slot, observed)',
    to: 'allAbsent(slot, observed)',
  },
  {
    name: 'a used nonce is given up without asking for receipts',
    file: outbox,
    from: 'slot.nonce < observed.final.count && allAbsent(slot, observed)',
    to: 'slot.nonce < observed.final.count',
  },
  {
    name: 'a used nonce is never given up',
    file: outbox,
    from: 'slot.nonce < observed.final.count && allAbsent(slot, observed)',
    to: '(false as boolean)',
  },
  {
    name: 'a reserved nonce that was used is given up early',
    file: outbox,
    from: "if (slot.nonce < observed.final.count) return [{ action: 'taken', slot }]",
    to: "if (slot.nonce < observed.latest.count) return [{ action: 'taken', slot }]",
  },
  {
    name: 'a reserved nonce that was used is signed all the same',
    file: outbox,
    from: '  if (slot.nonce < observed.latest.count) return []\n  const fees = firstFees',
    to: '  const fees = firstFees',
  },
  {
    name: 'an unknown receipt counts as absent',
    file: outbox,
    from: 'observed.receipts.get(hash) === null)',
    to: 'observed.receipts.get(hash) == null)',
  },
  {
    name: 'only the last attempt is asked for',
    file: outbox,
    from: 'for (const { hash } of slot.attempts) {',
    to: 'for (const { hash } of slot.attempts.slice(-1)) {',
  },
  // mined, final
  {
    name: 'mined is final',
    file: outbox,
    from: 'const isFinal = observed.final.number >= receipt.blockNumber && observed.final.count > slot.nonce',
    to: 'const isFinal = true',
  },
  {
    name: 'final one block early',
    file: outbox,
    from: 'observed.final.number >= receipt.blockNumber && observed',
    to: 'observed.final.number + 1 >= receipt.blockNumber && true || observed.final.number < 0 && observed',
  },
  {
    name: 'a vanished receipt is not noticed',
    file: outbox,
    from: "return reaches && allAbsent(slot, observed) ? [{ action: 'unmined', slot }] : []",
    to: 'return []',
  },
  {
    name: 'a view that is behind makes a receipt vanish',
    file: outbox,
    from: 'const reaches = slot.mined !== null && observed.latest.number >= slot.mined.blockNumber',
    to: 'const reaches = true',
    isRare: true,
  },
  {
    name: 'the block of a receipt may change unseen',
    file: outbox,
    from: "if (receipt.blockHash !== slot.mined?.blockHash) return [{ action: 'mined', slot, receipt }]",
    to: '',
  },
  {
    name: 'a broken finality is not noticed',
    file: outbox,
    from: "return isConfirmed(slot, observed) ? [] : [{ action: 'reopen', slot }]",
    to: 'return []',
  },
  {
    name: 'finished slots are reopened by an older view',
    file: outbox,
    from: 'return observed.final.count > slot.nonce || observed.final.number < slot.closedAt',
    to: 'return observed.final.count > slot.nonce',
  },
  // sending again
  {
    name: 'what no node took is not sent again',
    file: outbox,
    from: "return isDue(last, observed, rules) ? [{ action: 'send', slot, attempt: last }] : []",
    to: "return last.sentAt === null ? [{ action: 'send', slot, attempt: last }] : []",
  },
  {
    name: 'what a node took is not sent again',
    file: outbox,
    from: "const pause = attempt.answer === 'accepted' ? rules.rebroadcastAfter : rules.resendAfter",
    to: "const pause = attempt.answer === 'accepted' ? 1e9 : rules.resendAfter",
  },
  {
    name: 'an underpriced transaction is not replaced',
    file: outbox,
    from: 'if (isOutbid || isStuck) {',
    to: 'if (isStuck) {',
  },
  {
    name: 'a stuck transaction is not replaced',
    file: outbox,
    from: 'if (isOutbid || isStuck) {',
    to: 'if (isOutbid) {',
  },
  {
    name: 'a hopeless call is not cancelled',
    file: outbox,
    from: "const isHopeless = last.answer === 'reverted' || last.answer === 'rejected'",
    to: 'const isHopeless = false',
  },
  {
    name: 'a nonce at the cap is kept for ever',
    file: outbox,
    from: 'if (isHopeless || isTooExpensive || !isWanted(slot, outbox, observed)) {',
    to: 'if (isHopeless || !isWanted(slot, outbox, observed)) {',
  },
  {
    name: 'a cancellation turns into the call again',
    file: outbox,
    from: "return { action: 'sign', slot, kind: last.kind, fees: raised }",
    to: "return { action: 'sign', slot, kind: 'call', fees: raised }",
  },
  {
    name: 'a worthless call is still sent',
    file: outbox,
    from: 'return intent !== undefined && slot.call !== null && !isExpired(intent, observed)',
    to: 'return intent !== undefined && slot.call !== null',
  },
  {
    name: 'the queue does not wait for its time',
    file: outbox,
    from: 'intent.notBefore <= observed.at',
    to: 'true',
  },
  {
    name: 'more nonces than allowed',
    file: outbox,
    from: 'rules.maxInFlight - unmined.length,',
    to: 'rules.maxInFlight,',
  },
  {
    name: 'more nonces that are not final than allowed',
    file: outbox,
    from: 'rules.maxUnfinal - live.length - outbox.awaitingFinality.length,',
    to: 'rules.maxUnfinal,',
  },
  {
    name: 'nonces that rest are not counted',
    file: outbox,
    from: 'rules.maxUnfinal - live.length - outbox.awaitingFinality.length,',
    to: 'rules.maxUnfinal - live.length,',
  },
  {
    name: 'nonces that rest are given out again',
    file: outbox,
    from: 'new Set([...slots, ...awaitingFinality].map',
    to: 'new Set([...slots].map',
    isRare: true,
  },
  {
    name: 'a block that vanished is not looked for',
    file: submit,
    from: 'const nonces = new Set([...due, ...moved].map',
    to: 'const nonces = new Set(due.map',
  },
  {
    name: 'what rests is not looked at when it is final',
    file: submit,
    from: 'const nonces = new Set([...due, ...moved].map',
    to: 'const nonces = new Set(moved.map',
  },
  // rows
  {
    name: 'an intent stays queued when its nonce is reserved',
    file: transitions,
    from: "intents: [{ ...intent, state: 'sending' }],\n    slots: [newSlot",
    to: 'intents: [],\n    slots: [newSlot',
  },
  {
    name: 'a replacement forgets the first transaction',
    file: transitions,
    from: 'attempts: [...slot.attempts, attempt] }] }',
    to: 'attempts: [attempt] }] }',
  },
  {
    name: 'any answer counts as broadcast',
    file: transitions,
    from: "const state = answer === 'accepted' ? 'broadcast' : slot.state",
    to: "const state = 'broadcast' as const",
  },
  {
    name: 'after a reorg nothing is sent again at once',
    file: transitions,
    from: "slots: [resend({ ...slot, state: 'broadcast', mined: null })]",
    to: "slots: [{ ...slot, state: 'broadcast', mined: null }]",
  },
  {
    name: 'after a reorg the old receipt stays',
    file: transitions,
    from: "slots: [resend({ ...slot, state: 'broadcast', mined: null })]",
    to: "slots: [resend({ ...slot, state: 'broadcast' })]",
  },
  {
    name: 'success of the transaction is believed',
    file: transitions,
    from: '  if (isDone) {\n    const state = attempt.kind',
    to: "  if (isDone || (receipt.succeeded && attempt.kind === 'call')) {\n    const state = attempt.kind",
  },
  {
    name: 'an intent is final when its cancellation is',
    file: transitions,
    from: '  if (isDone) {\n    const state = attempt.kind',
    to: "  if (isDone || attempt.kind === 'cancel') {\n    const state = attempt.kind",
  },
  {
    name: 'an intent is dropped with its nonce',
    file: transitions,
    from: 'const next = isDone ? done(intent) : delayed(intent, at, nonceTaken(slot.nonce))',
    to: 'const next = done(intent)',
  },
  {
    name: 'an intent whose nonce was taken is not queued again',
    file: transitions,
    from: 'nonceTaken(slot.nonce))\n  return { intents: [next],',
    to: 'nonceTaken(slot.nonce))\n  return { intents: [],',
  },
  {
    name: 'a reopened slot does not send what carried its effect',
    file: transitions,
    from: "if (isCarrier && intent?.state === 'final') {",
    to: 'if (false as boolean && isCarrier && intent) {',
  },
  {
    name: 'a reopened slot keeps its intent closed',
    file: transitions,
    from: "intents: [{ ...intent, state: 'sending' }],\n      slots: [{ ...open",
    to: 'intents: [],\n      slots: [{ ...open',
  },
  {
    name: 'an emptied slot keeps its intent',
    file: transitions,
    from: 'slots: [{ ...open, intentId: null, call: null, state }]',
    to: 'slots: [{ ...open, state }]',
  },
  // the order of deeds
  {
    name: 'sent before it is remembered',
    file: submit,
    from: "    case 'sign':\n      return sign(submitter, decision.slot, decision.kind, decision.fees)",
    to: "    case 'sign': {\n      const changes = await sign(submitter, decision.slot, decision.kind, decision.fees)\n      const made = changes.slots[0]?.attempts.at(-1)\n      if (made) await chain.broadcast(made.raw)\n      return changes\n    }",
  },
  {
    name: 'what somebody else did is done again',
    file: submit,
    from: "if (await chain.isDone(intent, observed.final.number)) return { verdict: 'done' }",
    to: '',
  },
  {
    name: 'an effect that is not final yet is done again',
    file: submit,
    from: "if (await chain.isDone(intent, observed.latest.number)) return { verdict: 'wait' }",
    to: '',
  },
  {
    name: 'done at the newest block is final',
    file: submit,
    from: "if (await chain.isDone(intent, observed.latest.number)) return { verdict: 'wait' }",
    to: "if (await chain.isDone(intent, observed.latest.number)) return { verdict: 'done' }",
  },
  {
    name: 'judged by the newest block',
    file: submit,
    from: 'const block = observed.final.number\n',
    to: 'const block = observed.latest.number\n',
  },
  {
    name: 'receipts of mined slots are not asked for again',
    file: submit,
    from: '(nonce < heads.latest.count || mined !== null)',
    to: '(nonce < heads.latest.count && mined === null)',
  },
  // fees
  {
    name: 'a replacement raises one field only',
    file: fees,
    from: 'const tip = max(leastTip, min(wantedTip, maxFee))',
    to: 'const tip = last.tip',
  },
  {
    name: 'a replacement raises too little',
    file: fees,
    from: 'const bumpDivisor = 8n',
    to: 'const bumpDivisor = 16n',
  },
  {
    name: 'a dearer stranger is followed step by step',
    file: fees,
    from: 'isOutbid ? max(2n * last.tip, marketTip) : marketTip',
    to: 'marketTip',
  },
  {
    name: 'a cancellation has no more room than the call',
    file: fees,
    from: "const cap = kind === 'call' ? rules.maxFeeCap : rules.cancelFeeCap",
    to: 'const cap = rules.maxFeeCap',
  },
  // belief
  {
    name: 'one of several endpoints is enough',
    file: endpoints,
    from: 'const quorum = Math.min(2, clients.length)',
    to: 'const quorum = 1',
  },
  {
    name: 'the endpoint that is farthest sets the height',
    file: endpoints,
    from: 'return descending[quorum - 1] ?? 0n',
    to: 'return descending[0] ?? 0n',
  },
  {
    name: 'a receipt of one endpoint counts',
    file: endpoints,
    from: 'if (first === undefined || agreed.length < group.quorum) return undefined',
    to: 'if (first === undefined) return undefined',
  },
  {
    name: 'receipts agree without their block',
    file: endpoints,
    from: '{receipt.blockHash} ',
    to: "{''} ",
  },
]

const { values } = parseArgs({ options: { only: { type: 'string' }, check: { type: 'boolean' } } })
const wanted = values.only?.split(',')
const chosen = mutants.filter(({ name }) => wanted?.some((each) => name.includes(each)) ?? true)
if (values.check) {
  checkAnchors(
    mutants.map(({ name, file, ...edit }) => ({
      name,
      file: path.join(projectRoot, 'src', 'relayer', file),
      edits: [edit],
    })),
  )
}
const schedules = 2_000
/** Schedules for a mutant that the first ones do not detect: some need a rare sequence of faults. */
const moreSchedules = 20_000
const decisionTests = 'test/relayer/outbox/outbox.test.ts'
const place = path.join(projectRoot, '.assent', 'mutants')

rmSync(place, { recursive: true, force: true })
mkdirSync(path.join(place, 'test', 'relayer'), { recursive: true })
cpSync(path.join(projectRoot, 'package.json'), path.join(place, 'package.json'))
cpSync(path.join(projectRoot, 'src'), path.join(place, 'src'), { recursive: true })
cpSync(
  path.join(projectRoot, 'test', 'relayer', 'model'),
  path.join(place, 'test', 'relayer', 'model'),
  { recursive: true },
)
cpSync(path.join(projectRoot, decisionTests), path.join(place, decisionTests), { recursive: true })
symlinkSync(path.join(projectRoot, 'node_modules'), path.join(place, 'node_modules'), 'dir')

/** Milliseconds after which a mutant counts as looping for ever. */
let patience = 3_600_000
const start = performance.now()
const untouched = await explore(schedules)
patience = Math.max(300_000, 30 * (performance.now() - start))
const failedTest = await testDecisions()
if (failedTest !== undefined) {
  console.error(`A test of a decision fails without any mutant: ${failedTest}`)
  process.exit(1)
}
if (untouched !== undefined) {
  console.error(`The model fails without any mutant: ${untouched}`)
  process.exit(1)
}
const missed: string[] = []
for (const mutant of chosen) {
  const noticed = mutant.isRare
    ? await withMutant(mutant, testDecisions)
    : ((await withMutant(mutant, () => explore(schedules))) ??
      (await withMutant(mutant, () => explore(moreSchedules))))
  console.log(`${noticed === undefined ? 'MISSED' : 'killed'}  ${mutant.name}  ${noticed ?? ''}`)
  if (noticed === undefined) missed.push(mutant.name)
}
rmSync(place, { recursive: true, force: true })
console.log(`${chosen.length - missed.length} of ${chosen.length} mutants killed`)
if (missed.length > 0) keepFailure(`relayer-mutants-${seed}`, { missed })
process.exit(missed.length === 0 ? 0 : 1)

function withMutant(
  { name, file, from, to }: Mutant,
  check: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const target = path.join(place, 'src', 'relayer', file)
  return withEdits(target, { name, edits: [{ from, to }] }, check)
}

/** What the model says against the code as it is now; undefined if it finds nothing. */
function explore(count: number): Promise<string | undefined> {
  const script = path.join(place, 'test', 'relayer', 'model', 'explore.ts')
  return run([script, String((seed % 2 ** 20) * 4_096 + 1), `${count}`])
}

/** The first failed test of a decision; undefined if all pass. */
function testDecisions(): Promise<string | undefined> {
  return run([...toolCommand(['vitest', 'run', decisionTests]), '--reporter=tap-flat'])
}

/** The failed test or the last line of a program that fails or does not end; undefined if it succeeds. */
function run(command: readonly string[]): Promise<string | undefined> {
  const child = spawn(process.execPath, command, { cwd: place, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  // A mutant may also loop for ever: that is noticed too.
  const timer = setTimeout(() => child.kill('SIGKILL'), patience)
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer)
      const lines = output.trim().split('\n')
      const reason = lines.find((line) => line.startsWith('not ok')) ?? lines.at(-1)
      resolve(code === 0 ? undefined : reason || 'killed')
    })
  })
}
