/**
 * Makes contracts tell the EVM that runs them which way each question went, and which functions were entered.
 *
 * Hardhat's own marks (`--coverage`) are no good for the verifier: they write where the free memory begins, which the
 * verifier uses; they know no assembly; and they see statements only. A mark here is a call of the same address, which
 * Hardhat listens to, with the number of the way, and leaves memory as it was.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import {
  askedBy,
  insert,
  isJunction,
  type Node,
  operandsOf,
  parse,
  spanOf,
  walk,
} from './find-conditions.ts'

/** What can happen at one place: a question answered with yes or no, or a function entered. */
export interface Mark {
  /** From `contracts/`. */
  readonly file: string
  readonly line: number
  /** `file function: question`, with a number behind it where one function asks the same again. */
  readonly name: string
  /** Of the way that is told: this number for no, the next for yes; a function is entered with yes. */
  readonly way: number
  readonly kind: 'question' | 'function'
}

/** Rewrites the files in place. What was pure is a view then: a mark looks at what is outside. */
export function markAll(contracts: string, files: readonly string[]): Mark[] {
  const marks: Mark[] = []
  for (const file of files) marks.push(...markFile(contracts, file, 2 * marks.length))
  return marks
}

/** A pure function cannot call what is marked. */
export function makeViews(file: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/\bpure\b/g, 'view'))
}

/**
 * What was not told, and what was though it is listed.
 *
 * @param impossible by the name of the mark and what never happens: why it cannot
 */
export function whatIsMissing(
  marks: readonly Mark[],
  taken: ReadonlySet<number>,
  impossible: Readonly<Record<string, string>>,
): string[] {
  const untaken = marks.flatMap((mark) => untakenOf(mark, taken).map((name) => ({ ...mark, name })))
  const names = new Set(untaken.map(({ name }) => name))
  return [
    ...untaken
      .filter(({ name }) => impossible[name] === undefined)
      .map(({ file, line, name }) => `${file}:${line}  ${name}`),
    ...Object.keys(impossible)
      .filter((name) => !names.has(name))
      .map((name) => `listed as impossible, and it is not: ${name}`),
  ]
}

/** Every way that can be listed as impossible. */
export function waysOf(marks: readonly Mark[]): string[] {
  return marks.flatMap((mark) => untakenOf(mark, new Set()))
}

function untakenOf({ name, way, kind }: Mark, taken: ReadonlySet<number>): string[] {
  if (kind === 'function') return taken.has(way + 1) ? [] : [`${name} never`]
  return [0, 1]
    .filter((answer) => !taken.has(way + answer))
    .map((answer) => `${name} is never ${answer === 1}`)
}

/** To be marked: what, where, and in which language. */
interface Place {
  readonly node: Node
  readonly within: string
  readonly form: 'bool' | 'word' | 'yul' | 'body' | 'block'
}

function markFile(contracts: string, file: string, firstWay: number): Mark[] {
  const target = path.join(contracts, file)
  const bytes = readFileSync(target)
  const tree = parse(bytes.toString(), file)
  const places = [...walk(tree)].filter(isFunction).flatMap(placesIn)
  const library = `Marks${firstWay}`
  const asked = new Map<string, number>()
  const marks = places.map(({ node, within, form }, i): Mark => {
    const { start, end } = spanOf(node)
    const isEntry = form === 'body' || form === 'block'
    const text = isEntry ? 'entered' : bytes.subarray(start, end).toString().replaceAll(/\s+/g, ' ')
    const plain = `${path.basename(file, '.sol')} ${within}: ${text}`
    const count = (asked.get(plain) ?? 0) + 1
    asked.set(plain, count)
    return {
      file,
      line: bytes.subarray(0, start).toString().split('\n').length,
      name: count === 1 ? plain : `${plain} #${count}`,
      way: firstWay + 2 * i,
      kind: isEntry ? 'function' : 'question',
    }
  })
  const assembly = [...walk(tree)].filter(({ nodeType }) => nodeType === 'InlineAssembly')
  const text = insert(bytes, [
    ...piecesOf(places, marks, library),
    ...assembly.map((node) => ({ at: spanOf(node.AST as Node).start + 1, text: yulMark })),
  ])
  if (marks.length > 0) writeFileSync(target, text + libraryOf(library))
  makeViews(target)
  return marks
}

/* WHAT IS MARKED */

const comparisons = ['==', '!=', '<', '>', '<=', '>=']
const yulComparisons = ['lt', 'gt', 'slt', 'sgt', 'eq', 'iszero']
/** Comparisons whose results are put together bit by bit, so that there is one jump for all. */
const wordComparisons = ['differ', 'isAbove']

function isFunction({ nodeType, body }: Node): boolean {
  return nodeType === 'FunctionDefinition' && body !== undefined && body !== null
}

function placesIn(definition: Node): Place[] {
  const within = (definition.name || definition.kind) as string
  const nodes = [...walk(definition.body)]
  const places = nodes.flatMap((node): Place[] => [
    ...questionsOf(node).map((asked) => ({ node: asked, within, form: 'bool' as const })),
    ...wordQuestionsOf(node).map((asked) => ({ node: asked, within, form: 'word' as const })),
    ...yulQuestionsOf(node).map((asked) => ({ node: asked, within, form: 'yul' as const })),
    ...(node.nodeType === 'YulFunctionDefinition'
      ? [{ node: node.body as Node, within: `${within} ${node.name}`, form: 'block' as const }]
      : []),
  ])
  const body = { node: definition.body as Node, within, form: 'body' as const }
  const byPlace = new Map(places.map((place) => [place.node.src, place]))
  // outermost first, so that what opens at one place opens in this order and closes in the other
  return [body, ...byPlace.values()].sort((a, b) => {
    const [left, right] = [spanOf(a.node), spanOf(b.node)]
    return left.start - right.start || right.end - left.end
  })
}

/** What decides where the code goes on, and every comparison, wherever its result goes. */
function questionsOf(node: Node): Node[] {
  const { nodeType, operator } = node
  if (nodeType.startsWith('Yul')) return []
  if (nodeType === 'BinaryOperation' && comparisons.includes(operator as string)) return [node]
  return askedBy(node).flatMap(operandsOf).flatMap(plain)
}

/** Without negations and brackets, to ask everything once; what is joined in them is met on its own. */
function plain(node: Node): Node[] {
  const { nodeType, operator, subExpression, components } = node
  if (nodeType === 'UnaryOperation' && operator === '!') return plain(subExpression as Node)
  if (nodeType === 'TupleExpression') return plain((components as Node[])[0] as Node)
  return isJunction(node) || nodeType === 'Literal' ? [] : [node]
}

function wordQuestionsOf(node: Node): Node[] {
  const called = node.expression as Node | undefined
  const name = called?.nodeType === 'MemberAccess' ? called.memberName : called?.name
  return node.nodeType === 'FunctionCall' && wordComparisons.includes(name as string) ? [node] : []
}

function yulQuestionsOf(node: Node): Node[] {
  const { nodeType, condition, expression, cases } = node
  if (nodeType === 'YulIf' || nodeType === 'YulForLoop') return plainInYul(condition as Node)
  if (nodeType === 'YulSwitch') {
    if ((cases as Node[]).length !== 2)
      throw new Error('A switch that is no yes or no is not told.')
    return plainInYul(expression as Node)
  }
  return isYulComparison(node) ? plainInYul(node) : []
}

function plainInYul(node: Node): Node[] {
  if (node.nodeType === 'YulLiteral') return []
  const [inner] = (node.arguments ?? []) as Node[]
  const isNegation = yulName(node) === 'iszero' && inner !== undefined
  return isNegation && isYulComparison(inner) ? plainInYul(inner) : [node]
}

function isYulComparison(node: Node): boolean {
  return yulComparisons.includes(yulName(node) ?? '')
}

function yulName({ nodeType, functionName }: Node): string | undefined {
  if (nodeType !== 'YulFunctionCall') return undefined
  return (functionName as Node | undefined)?.name as string | undefined
}

/* HOW */

function piecesOf(places: readonly Place[], marks: readonly Mark[], library: string) {
  const marked = places.map(({ node, form }, i) => ({
    ...spanOf(node),
    form,
    way: (marks[i] as Mark).way,
  }))
  const entries = marked.flatMap(({ start, form, way }) => {
    if (form === 'body') return [{ at: start + 1, text: ` ${library}.bool_(${way}, true);` }]
    return form === 'block' ? [{ at: start + 1, text: ` pop(mark_(${way}, 1))` }] : []
  })
  const questions = marked.filter(({ form }) => form !== 'body' && form !== 'block')
  const closes = questions.map(({ end }) => ({ at: end, text: ')' })).reverse()
  const opens = questions.map(({ start, form, way }) => {
    const name = form === 'yul' ? 'mark_' : `${library}.${form}_`
    return { at: start, text: `${name}(${way}, ` }
  })
  return [...closes, ...opens, ...entries]
}

/** Hardhat listens here: `coverage.sol` of EDR. */
const listener = '0xc0bEc0BEc0BeC0bEC0beC0bEC0bEC0beC0beC0BE'

const tell = `let kept_ := mload(0) mstore(0, or(way_, iszero(iszero(asked_)))) pop(staticcall(gas(), ${listener}, 0, 32, 0, 0)) mstore(0, kept_)`

const yulMark = ` function mark_(way_, asked_) -> answer_ { answer_ := asked_ ${tell} }`

function libraryOf(name: string): string {
  const functions = [
    ['bool_', 'bool'],
    ['word_', 'uint256'],
  ].map(
    ([called, type]) => `
    function ${called}(uint256 way_, ${type} asked_) internal view returns (${type}) {
        assembly ("memory-safe") { ${tell} }
        return asked_;
    }`,
  )
  return `\nlibrary ${name} {${functions.join('')}\n}\n`
}
