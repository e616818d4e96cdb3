/**
 * Makes each way out of each condition a statement of its own, because statements are what Hardhat counts.
 *
 * A condition is what `if`, `require`, `assert`, `? :` and loops ask, and what `&&` and `||` join: `c` becomes
 * `(c ? Ways7.w12() : Ways7.w13())`, and the library of these functions follows at the end of the file, so that no
 * line of the original moves.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import solc from 'solc'

/** One way out of one condition. */
export interface Way {
  /** From `contracts/`. */
  readonly file: string
  /** Of the condition, in the original. */
  readonly line: number
  readonly condition: string
  readonly outcome: boolean
  /** Where it is counted: a line of the file as it is now. */
  readonly countedAt: number
}

/** Conditions in assembly, which Hardhat counts nothing of. */
export interface AssemblyCondition {
  readonly file: string
  readonly code: string
}

export interface Branches {
  readonly ways: readonly Way[]
  readonly inAssembly: readonly AssemblyCondition[]
}

interface Node {
  readonly nodeType: string
  readonly src: string
  readonly [key: string]: unknown
}

/** Rewrites the files below `contracts` in place. */
export function splitBranches(contracts: string, folders: readonly string[]): Branches {
  const files = folders.flatMap((folder) =>
    readdirSync(path.join(contracts, folder))
      .filter((file) => file.endsWith('.sol'))
      .map((file) => `${folder}/${file}`),
  )
  const found = files.map((file, number) => splitFile(contracts, file, `Ways${number}`))
  return {
    ways: found.flatMap(({ ways }) => ways),
    inAssembly: found.flatMap(({ inAssembly }) => inAssembly),
  }
}

function splitFile(contracts: string, file: string, library: string): Branches {
  const target = path.join(contracts, file)
  const text = readFileSync(target, 'utf8')
  const bytes = Buffer.from(text)
  const nodes = [...walk(parse(text, file))]
  const conditions = leavesOf(nodes)
  const lineOf = (offset: number) => bytes.subarray(0, offset).toString().split('\n').length

  // outermost first, so that what opens at one place opens in this order and closes in the other
  const spans = [...conditions].sort((a, b) => a.start - b.start || b.end - a.end)
  const opens = spans.map(({ start }) => ({ at: start, text: '(' }))
  const closes = spans
    .map(({ end }, i) => ({
      at: end,
      text: ` ? ${library}.w${2 * i}() : ${library}.w${2 * i + 1}())`,
    }))
    .reverse()
  const rewritten = insert(bytes, [...closes, ...opens])
  const libraryAt = rewritten.split('\n').length + 1
  const ways = spans.flatMap(({ start, end }, i) =>
    [true, false].map((outcome, j) => ({
      file,
      line: lineOf(start),
      condition: bytes.subarray(start, end).toString().replaceAll(/\s+/g, ' '),
      outcome,
      countedAt: libraryAt + 3 * (2 * i + j) + 2,
    })),
  )
  if (ways.length > 0) writeFileSync(target, rewritten + libraryOf(library, ways))
  const inAssembly = nodes
    .filter(({ nodeType }) => ['YulIf', 'YulSwitch', 'YulForLoop'].includes(nodeType))
    .map((node) => ({ file, code: lineAt(text, lineOf(spanOf(node).start)) }))
  return { ways, inAssembly }
}

function lineAt(text: string, line: number): string {
  return (text.split('\n')[line - 1] ?? '').trim()
}

function libraryOf(name: string, ways: readonly Way[]): string {
  const functions = ways.map(
    ({ outcome }, i) => `function w${i}() internal pure returns (bool) {\nreturn ${outcome};\n}\n`,
  )
  return `\nlibrary ${name} {\n${functions.join('')}}\n`
}

/* WHICH CONDITIONS */

interface Span {
  readonly start: number
  readonly end: number
}

/** What is asked, down to the operands of `&&` and `||`: if each goes both ways, so does the whole. */
function leavesOf(nodes: readonly Node[]): Span[] {
  const asked = nodes.flatMap(askedBy).flatMap(operandsOf)
  const byPlace = new Map(asked.map((node) => [node.src, spanOf(node)]))
  return [...byPlace.values()]
}

function askedBy(node: Node): Node[] {
  if (isJunction(node)) return [node]
  const { condition, expression, arguments: args } = node as Partial<Record<string, unknown>>
  if (condition && !node.nodeType.startsWith('Yul')) return [condition as Node]
  const called = (expression as Partial<Record<string, unknown>> | undefined)?.name
  const demands = node.nodeType === 'FunctionCall' && (called === 'require' || called === 'assert')
  return demands ? (args as Node[]).slice(0, 1) : []
}

function operandsOf(node: Node): Node[] {
  if (!isJunction(node)) return [node]
  return [node.leftExpression as Node, node.rightExpression as Node].flatMap(operandsOf)
}

function isJunction({ nodeType, operator }: Node): boolean {
  return nodeType === 'BinaryOperation' && (operator === '&&' || operator === '||')
}

function spanOf({ src }: Node): Span {
  const [start = 0, length = 0] = src.split(':').map(Number)
  return { start, end: start + length }
}

/* THE TREE */

function parse(text: string, file: string): Node {
  const input = {
    language: 'Solidity',
    sources: { [file]: { content: text } },
    settings: { stopAfter: 'parsing', outputSelection: { '*': { '': ['ast'] } } },
  }
  const { sources } = JSON.parse(solc.compile(JSON.stringify(input))) as {
    sources?: Record<string, { ast: Node }>
  }
  const tree = sources?.[file]?.ast
  if (tree === undefined) throw new Error(`${file} cannot be parsed.`)
  return tree
}

function* walk(value: unknown): Generator<Node> {
  if (typeof value !== 'object' || value === null) return
  if ('nodeType' in value && 'src' in value) yield value as Node
  for (const child of Object.values(value)) yield* walk(child)
}

function insert(bytes: Buffer, pieces: readonly { at: number; text: string }[]): string {
  const parts: Buffer[] = []
  let done = 0
  // stable: what was given first at one place stays first
  for (const { at, text } of [...pieces].sort((a, b) => a.at - b.at)) {
    parts.push(bytes.subarray(done, at), Buffer.from(text))
    done = at
  }
  return Buffer.concat([...parts, bytes.subarray(done)]).toString()
}
