/**
 * Breaks the contracts in random places and counts how many of these mutants the Solidity tests detect.
 *
 *   node scripts/mutants/solidity-mutants.ts                      10 mutants of each area; at night 30
 *   node scripts/mutants/solidity-mutants.ts --only registry      some areas
 *   node scripts/mutants/solidity-mutants.ts --sample 50          more of each
 *
 * The sample follows from the seed (`ASSENT_SEED`), else from the date, so that each night tries other places.
 * All mutants of an area are compiled at once and switched on one at a time (`Mutant.on`): one compilation for all.
 * A mutant that changes no behaviour is listed in `accepted-mutants.json` with the reason, and does not count.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

import solc from 'solc'

import { copyRegistries } from '../coverage/copy-registries.ts'
import { type Node, parse, spanOf, walk } from '../coverage/find-conditions.ts'
import { projectRoot, toolCommand } from '../run-tool.ts'
import { inputs, keepFailure, readSeed } from '../test-effort.ts'
import { plantSwitch } from './mutant-switch.ts'

interface Mutant {
  /** From `contracts/`. */
  readonly file: string
  readonly start: number
  readonly end: number
  /** `file function: what it was => what it is`; the key in `accepted-mutants.json`. */
  readonly name: string
  /** The text in its place; `ON` is whether the mutant is switched on. */
  readonly text: string
}

const requiredShare = 0.85
const areas = ['auth', 'registry', 'governance', 'types'] as const
/** Interfaces have no code. */
const skipped = /\/I[A-Z][A-Za-z]+\.sol$/

/** What takes the place of each operator. */
const swaps: Readonly<Record<string, readonly string[]>> = {
  // relational, boundary
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '==': ['!='],
  '!=': ['=='],
  // logic
  '&&': ['||'],
  '||': ['&&'],
  // arithmetic, bits
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
  '&': ['|'],
  '|': ['&'],
  '<<': ['>>'],
  '>>': ['<<'],
}

const accepted: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(new URL('accepted-solidity.json', import.meta.url), 'utf8'),
)
const { values } = parseArgs({ options: { only: { type: 'string' }, sample: { type: 'string' } } })
const today = new Date().toISOString().slice(0, 10).replaceAll('-', '')
const sampleSeed = readSeed(process.env.ASSENT_SEED ?? today)
const size = Number(values.sample ?? inputs(10, 30))
console.log(`seed ${sampleSeed}, ${size} mutants of each area`)

const failures: string[] = []
for (const area of areas) {
  if (values.only !== undefined && !values.only.split(',').includes(area)) continue
  const { survivors, tried } = tryArea(area)
  const share = tried === 0 ? 1 : 1 - survivors.length / tried
  console.log(
    `${area}: ${tried - survivors.length} of ${tried} detected (${Math.round(100 * share)} %)`,
  )
  if (share < requiredShare) failures.push(...survivors)
}
if (failures.length > 0) keepFailure(`solidity-mutants-${sampleSeed}`, { survivors: failures })
process.exit(failures.length === 0 ? 0 : 1)

function tryArea(area: string): { survivors: string[]; tried: number } {
  const place = copyRegistries('solidity-mutants', (file) => !/^(System|EventReplay)/.test(file))
  lowerEffort(place)
  const originals = readFiles(place, area)
  const mutants = plant(place, originals, draw([...originals].flatMap(mutantsOf)))
  // compiles, and shows that the switches alone change nothing
  const untouched = run(place, 0)
  if (untouched.status !== 0) throw new Error(`Tests fail without a mutant:\n${untouched.output}`)
  const survivors: string[] = []
  let tried = 0
  for (const [i, { name }] of mutants.entries()) {
    const isDetected = run(place, i + 1).status !== 0
    const reason = accepted[name]
    console.log(
      `${isDetected ? 'detected' : reason === undefined ? 'SURVIVED' : 'accepted'}  ${name}`,
    )
    if (!isDetected && reason !== undefined) continue
    tried++
    if (!isDetected) survivors.push(name)
  }
  rmSync(place, { recursive: true, force: true })
  return { survivors, tried }
}

/** Many mutants on few inputs find more than few mutants on many. */
function lowerEffort(place: string): void {
  const file = path.join(place, 'hardhat.config.ts')
  const text = readFileSync(file, 'utf8').replace('runs: 256', 'runs: 32')
  writeFileSync(file, text.replace('runs: 32, depth: 64', 'runs: 8, depth: 32'))
}

function readFiles(place: string, area: string): Map<string, Buffer> {
  const folder = path.join(place, 'contracts', area)
  const files = (readdirSync(folder, { recursive: true }) as string[])
    .filter((file) => file.endsWith('.sol') && !skipped.test(`/${file}`))
    .map((file) => `${area}/${file}`)
  return new Map(files.map((file) => [file, readFileSync(path.join(place, 'contracts', file))]))
}

/* OPERATORS */

function mutantsOf([file, bytes]: [string, Buffer]): Mutant[] {
  const functions = [...walk(parse(bytes.toString(), file))].filter(
    ({ nodeType, body }) => nodeType === 'FunctionDefinition' && body != null,
  )
  return functions.flatMap((definition) => {
    const within = `${file} ${definition.name || definition.kind}`
    const make = ({ start, end }: { start: number; end: number }, to: string, text: string) => ({
      ...{ file, start, end, text },
      name: `${within}: ${line(bytes, start, end)} => ${to.replaceAll(/\s+/g, ' ') || 'nothing'}`,
    })
    const inBody = [...walk(definition.body)].flatMap((node) => [
      ...swapOperator(node, bytes, make),
      ...dropNegation(node, bytes, make),
      ...dropStatement(node, bytes, make),
      ...swapArguments(node, bytes, make),
    ])
    return [...inBody, ...dropModifier(definition, bytes, make)]
  })
}

type Make = (span: { start: number; end: number }, to: string, text: string) => Mutant

function swapOperator(node: Node, bytes: Buffer, make: Make): Mutant[] {
  if (node.nodeType !== 'BinaryOperation') return []
  const left = spanOf(node.leftExpression as Node)
  const right = spanOf(node.rightExpression as Node)
  const span = { start: left.start, end: right.end }
  const [from, a, b] = [text(bytes, span), text(bytes, left), text(bytes, right)]
  return (swaps[node.operator as string] ?? []).map((operator) => {
    const to = `${a} ${operator} ${b}`
    return make(span, to, `(ON ? (${to}) : (${from}))`)
  })
}

function dropNegation(node: Node, bytes: Buffer, make: Make): Mutant[] {
  if (node.nodeType !== 'UnaryOperation' || node.operator !== '!') return []
  const to = text(bytes, spanOf(node.subExpression as Node))
  return [make(spanOf(node), to, `(ON ? (${to}) : (${text(bytes, spanOf(node))}))`)]
}

/** A call (`require` is one), an assignment, an event or a revert. */
function dropStatement(node: Node, bytes: Buffer, make: Make): Mutant[] {
  if (!/^(ExpressionStatement|EmitStatement|RevertStatement)$/.test(node.nodeType)) return []
  const span = withSemicolon(spanOf(node), bytes)
  return [make(span, '', `{ if (!ON) ${text(bytes, span)} }`)]
}

function swapArguments(node: Node, bytes: Buffer, make: Make): Mutant[] {
  const { nodeType, names } = node
  const args = (node.arguments ?? []) as Node[]
  if (nodeType !== 'FunctionCall' || args.length < 2 || (names as string[])?.length > 0) return []
  const called = text(bytes, spanOf(node.expression as Node))
  if (/^(require|assert|revert)$/.test(called)) return []
  const parts = args.map((each) => text(bytes, spanOf(each)))
  const simple = (value = '') => /^[\w.]+$/.test(value)
  return parts.flatMap((part, i) => {
    const next = parts[i + 1]
    if (!simple(part) || !simple(next)) return []
    const swapped = parts.with(i, next as string).with(i + 1, part)
    const to = `${called}(${swapped.join(', ')})`
    return [make(spanOf(node), to, `(ON ? ${to} : ${text(bytes, spanOf(node))})`)]
  })
}

function dropModifier(definition: Node, bytes: Buffer, make: Make): Mutant[] {
  const modifiers = (definition.modifiers ?? []) as Node[]
  const owner = modifiers.find((each) => text(bytes, spanOf(each)) === 'onlyOwner')
  if (owner === undefined) return []
  const { start } = spanOf(owner)
  const body = spanOf(definition.body as Node)
  const between = bytes.subarray(start + 'onlyOwner'.length, body.start + 1).toString()
  return [
    make({ start, end: body.start + 1 }, 'no onlyOwner', `${between} if (!ON) _checkOwner();`),
  ]
}

function withSemicolon({ start, end }: { start: number; end: number }, bytes: Buffer) {
  return { start, end: bytes[end] === 0x3b ? end + 1 : end }
}

function text(bytes: Buffer, { start, end }: { start: number; end: number }): string {
  return bytes.subarray(start, end).toString()
}

function line(bytes: Buffer, start: number, end: number): string {
  return text(bytes, { start, end }).replaceAll(/\s+/g, ' ')
}

/* THE SAMPLE */

/** In random order, the same for each seed. */
function draw(all: readonly Mutant[]): Mutant[] {
  let state = sampleSeed
  // xorshift32: any spread does, as long as the seed repeats it
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  return all
    .map((mutant) => ({ mutant, key: next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ mutant }) => mutant)
}

/** Writes as many mutants as asked for that compile and do not overlap. @returns them, in the order of their numbers */
function plant(
  place: string,
  originals: Map<string, Buffer>,
  candidates: readonly Mutant[],
): Mutant[] {
  plantSwitch(place)
  const waiting = [...candidates]
  let chosen: Mutant[] = []
  for (;;) {
    while (chosen.length < size && waiting.length > 0) {
      const each = waiting.shift() as Mutant
      const overlaps = chosen.some(
        ({ file, start, end }) => file === each.file && start < each.end && each.start < end,
      )
      if (!overlaps) chosen.push(each)
    }
    const spans = writeMutants(place, originals, chosen)
    const bad = rejected(place, spans)
    if (bad.size === 0) return chosen
    chosen = chosen.filter((_, i) => !bad.has(i))
  }
}

interface Planted {
  readonly file: string
  readonly start: number
  readonly end: number
  readonly number: number
}

function writeMutants(
  place: string,
  originals: Map<string, Buffer>,
  chosen: readonly Mutant[],
): Planted[] {
  const planted: Planted[] = []
  for (const [file, bytes] of originals) {
    const target = path.join(place, 'contracts', file)
    const here = chosen
      .map((mutant, number) => ({ ...mutant, number }))
      .filter((mutant) => mutant.file === file)
      .sort((a, b) => a.start - b.start)
    const parts: Buffer[] = []
    let [from, length] = [0, 0]
    const push = (part: Buffer) => {
      parts.push(part)
      length += part.length
    }
    const pragma = bytes.indexOf(';\n') + 2
    if (here.length > 0) {
      const up = '../'.repeat(file.split('/').length - 1)
      push(bytes.subarray(0, pragma))
      push(Buffer.from(`import {Mutant} from "${up}test/Mutant.sol";\n`))
      from = pragma
    }
    for (const { start, end, number, text: mutated } of here) {
      push(bytes.subarray(from, start))
      const begin = length
      push(Buffer.from(mutated.replaceAll(/\bON\b/g, `Mutant.on(${number + 1})`)))
      planted.push({ file, start: begin, end: length, number })
      from = end
    }
    push(bytes.subarray(from))
    writeFileSync(target, Buffer.concat(parts))
  }
  return planted
}

interface SolcError {
  readonly severity: string
  readonly formattedMessage: string
  readonly sourceLocation?: { readonly file: string; readonly start: number }
}

/** Numbers of the mutants that do not compile. Types are checked here; too deep a stack is found by a whole compilation. */
function rejected(place: string, planted: readonly Planted[]): Set<number> {
  const sources = Object.fromEntries(
    (readdirSync(path.join(place, 'contracts'), { recursive: true }) as string[])
      .filter((file) => file.endsWith('.sol'))
      .map((file) => {
        const name = `contracts/${file}`
        return [name, { content: readFileSync(path.join(place, name), 'utf8') }]
      }),
  )
  const input = {
    language: 'Solidity',
    sources,
    settings: {
      evmVersion: 'cancun',
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { '*': { '*': ['evm.bytecode.object'] } },
    },
  }
  const find = (name: string) => {
    const file = path.join(projectRoot, 'node_modules', name)
    return existsSync(file)
      ? { contents: readFileSync(file, 'utf8') }
      : { error: `${name} is absent` }
  }
  const { errors = [] } = JSON.parse(solc.compile(JSON.stringify(input), { import: find })) as {
    errors?: SolcError[]
  }
  const bad = errors.filter(({ severity }) => severity === 'error')
  const numbers = bad.flatMap(({ sourceLocation: at }) => {
    const file = at?.file.replace(/^contracts\//, '')
    const here = planted.filter((each) => each.file === file)
    const inside = here.filter(({ start, end }) => at && start <= at.start && at.start < end)
    // a stack that is too deep is blamed on another place of the function
    const near = here.sort((a, b) => distance(a, at?.start ?? 0) - distance(b, at?.start ?? 0))
    return (inside.length > 0 ? inside : near.slice(0, 1)).map(({ number }) => number)
  })
  if (bad.length > 0 && numbers.length === 0) throw new Error(bad[0]?.formattedMessage)
  return new Set(numbers)
}

function distance({ start }: Planted, at: number): number {
  return Math.abs(start - at)
}

/* ONE OF THEM */

function run(place: string, number: number): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    toolCommand(['hardhat', 'test', 'solidity']),
    {
      cwd: place,
      encoding: 'utf8',
      timeout: 600_000,
      env: { ...process.env, NO_COLOR: '1', ASSENT_MUTANT: String(number) },
    },
  )
  return { status, output: `${stdout}${stderr}`.slice(-3000) }
}
