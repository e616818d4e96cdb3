/**
 * Makes each way out of each condition a statement of its own, because statements are what Hardhat counts.
 *
 * A condition is what `if`, `require`, `assert`, `? :` and loops ask, and what `&&` and `||` join: `c` becomes
 * `(c ? Branches7.b12() : Branches7.b13())`, and the library of these functions follows at the end of the file, so that no
 * line of the original moves.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { insert, leavesOf, parse, spanOf, walk } from './find-conditions.ts'

/** One way out of one condition. */
export interface BranchOutcome {
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
  readonly outcomes: readonly BranchOutcome[]
  readonly inAssembly: readonly AssemblyCondition[]
}

/** Rewrites the files below `contracts` in place. */
export function splitBranches(contracts: string, folders: readonly string[]): Branches {
  const files = folders.flatMap((folder) =>
    readdirSync(path.join(contracts, folder))
      .filter((file) => file.endsWith('.sol'))
      .map((file) => `${folder}/${file}`),
  )
  const found = files.map((file, number) => splitFile(contracts, file, `Branches${number}`))
  return {
    outcomes: found.flatMap(({ outcomes }) => outcomes),
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
      text: ` ? ${library}.b${2 * i}() : ${library}.b${2 * i + 1}())`,
    }))
    .reverse()
  const rewritten = insert(bytes, [...closes, ...opens])
  const libraryAt = rewritten.split('\n').length + 1
  const outcomes = spans.flatMap(({ start, end }, i) =>
    [true, false].map((outcome, j) => ({
      file,
      line: lineOf(start),
      condition: bytes.subarray(start, end).toString().replaceAll(/\s+/g, ' '),
      outcome,
      countedAt: libraryAt + 3 * (2 * i + j) + 2,
    })),
  )
  if (outcomes.length > 0) writeFileSync(target, rewritten + libraryOf(library, outcomes))
  const inAssembly = nodes
    .filter(({ nodeType }) => ['YulIf', 'YulSwitch', 'YulForLoop'].includes(nodeType))
    .map((node) => ({ file, code: lineAt(text, lineOf(spanOf(node).start)) }))
  return { outcomes, inAssembly }
}

function lineAt(text: string, line: number): string {
  return (text.split('\n')[line - 1] ?? '').trim()
}

function libraryOf(name: string, outcomes: readonly BranchOutcome[]): string {
  const functions = outcomes.map(
    ({ outcome }, i) => `function b${i}() internal pure returns (bool) {\nreturn ${outcome};\n}\n`,
  )
  return `\nlibrary ${name} {\n${functions.join('')}}\n`
}
