/** Which conditions a Solidity file has, and where. */
import solc from 'solc'

/** A node of the compiler's tree. */
export interface Node {
  readonly nodeType: string
  readonly src: string
  readonly [key: string]: unknown
}

/** In bytes. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** What is asked, down to the operands of `&&` and `||`: if each goes both ways, so does the whole. */
export function leavesOf(nodes: readonly Node[]): Span[] {
  const asked = nodes.flatMap(askedBy).flatMap(operandsOf)
  const byPlace = new Map(asked.map((node) => [node.src, spanOf(node)]))
  return [...byPlace.values()]
}

/** What decides where the code goes on. */
export function askedBy(node: Node): Node[] {
  if (isJunction(node)) return [node]
  const { condition, expression, arguments: args } = node as Partial<Record<string, unknown>>
  if (condition && !node.nodeType.startsWith('Yul')) return [condition as Node]
  const called = (expression as Partial<Record<string, unknown>> | undefined)?.name
  const demands = node.nodeType === 'FunctionCall' && (called === 'require' || called === 'assert')
  return demands ? (args as Node[]).slice(0, 1) : []
}

export function operandsOf(node: Node): Node[] {
  if (!isJunction(node)) return [node]
  return [node.leftExpression as Node, node.rightExpression as Node].flatMap(operandsOf)
}

export function isJunction({ nodeType, operator }: Node): boolean {
  return nodeType === 'BinaryOperation' && (operator === '&&' || operator === '||')
}

export function spanOf({ src }: Node): Span {
  const [start = 0, length = 0] = src.split(':').map(Number)
  return { start, end: start + length }
}

/* THE TREE */

export function parse(text: string, file: string): Node {
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

export function* walk(value: unknown): Generator<Node> {
  if (typeof value !== 'object' || value === null) return
  if ('nodeType' in value && 'src' in value) yield value as Node
  for (const child of Object.values(value)) yield* walk(child)
}

/** @param pieces stays in this order where several go to one place */
export function insert(bytes: Buffer, pieces: readonly { at: number; text: string }[]): string {
  const parts: Buffer[] = []
  let done = 0
  // stable: what was given first at one place stays first
  for (const { at, text } of [...pieces].sort((a, b) => a.at - b.at)) {
    parts.push(bytes.subarray(done, at), Buffer.from(text))
    done = at
  }
  return Buffer.concat([...parts, bytes.subarray(done)]).toString()
}
