/** Reads from a source file what the rules of docs/architecture.md are about, with TypeScript's own parser. */
import { join, relative } from 'node:path'

import ts from 'typescript'

/** What one file does. */
export interface SourceFacts {
  /** Path from the root, such as `src/kms/main.ts`. */
  readonly file: string
  /** Imports of our own files, as paths from the root, types included. */
  readonly files: readonly string[]
  /** Imported packages without the path in them, such as `viem` or `node:fs`. */
  readonly packages: readonly string[]
  /** Takes `exit` or `abort` from `process`. */
  readonly exits: boolean
  /** Calls a method `listen`. */
  readonly listens: boolean
  /** Takes the time of the host: `Date.now`, `Date()` or `new Date()`. */
  readonly readsClock: boolean
  /** Loads a file whose name is computed, so that no check of imports sees it. */
  readonly loadsComputed: boolean
}

const endings = new Set(['exit', 'abort', 'reallyExit'])

/** @param file path from the root */
export function readSource(file: string, text: string): SourceFacts {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest)
  const names: string[] = []
  const facts = { exits: false, listens: false, readsClock: false, loadsComputed: false }
  const visit = (node: ts.Node): void => {
    const loaded = loadedBy(node)
    if (loaded !== undefined) {
      if (ts.isStringLiteralLike(loaded)) names.push(loaded.text)
      else facts.loadsComputed = true
    }
    facts.exits ||= isExit(node)
    facts.listens ||= ts.isCallExpression(node) && memberOf(node.expression) === 'listen'
    facts.readsClock ||= isClock(node)
    ts.forEachChild(node, visit)
  }
  visit(source)
  const own = names.flatMap((name) => ownFile(file, name) ?? [])
  const packages = names.filter((name) => ownFile(file, name) === undefined).map(packageOf)
  // `createRequire` of this module loads without an import
  facts.loadsComputed ||= packages.includes('node:module')
  return { file, files: unique(own), packages: unique(packages), ...facts }
}

/** The name that a node loads: of `import`, `export … from`, `import()`, a type `import()` and `import.meta.resolve()`. */
function loadedBy(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier
  if (ts.isExternalModuleReference(node)) return node.expression
  if (ts.isImportTypeNode(node)) {
    return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node.argument
  }
  if (ts.isCallExpression(node) && isLoader(node.expression)) return node.arguments[0]
  return undefined
}

function isLoader(callee: ts.Expression): boolean {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true
  if (!ts.isPropertyAccessExpression(callee) || callee.name.text !== 'resolve') return false
  return ts.isMetaProperty(callee.expression)
}

/** Also `globalThis.process.exit`, `process['exit']`, `const { exit } = process`, and any import of `node:process`. */
function isExit(node: ts.Node): boolean {
  const member = memberOf(node)
  if (member !== undefined && endings.has(member)) {
    const { expression } = node as ts.PropertyAccessExpression
    return isProcess(expression)
  }
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name)) {
    const taken = node.name.elements.map(({ propertyName, name }) => nameOf(propertyName ?? name))
    return isProcess(node.initializer) && taken.some((name) => endings.has(name))
  }
  return ts.isImportDeclaration(node) && /^(node:)?process$/.test(nameOf(node.moduleSpecifier))
}

/** Also `Date['now']`, `globalThis.Date.now` and `const { now } = Date`. */
function isClock(node: ts.Node): boolean {
  if (memberOf(node) === 'now') return isDate((node as ts.PropertyAccessExpression).expression)
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name)) {
    return isDate(node.initializer)
  }
  if (ts.isNewExpression(node)) return isDate(node.expression) && !node.arguments?.length
  return ts.isCallExpression(node) && isDate(node.expression)
}

function isDate(node: ts.Node | undefined): boolean {
  return node !== undefined && (nameOf(node) === 'Date' || memberOf(node) === 'Date')
}

function isProcess(node: ts.Node | undefined): boolean {
  if (node === undefined) return false
  return nameOf(node) === 'process' || memberOf(node) === 'process'
}

/** `b` of `a.b`, `a?.b` and `a['b']`. */
function memberOf(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) return node.name.text
  if (ts.isElementAccessExpression(node)) return nameOf(node.argumentExpression)
  return undefined
}

function nameOf(node: ts.Node): string {
  return ts.isIdentifier(node) || ts.isStringLiteralLike(node) ? node.text : ''
}

/** Our own package by its name counts as `src/index.ts`: a part that imports it imports everything. */
function ownFile(file: string, name: string): string | undefined {
  if (name === 'assent' || name.startsWith('assent/')) return 'src/index.ts'
  return name.startsWith('.') ? relative('/', join('/', file, '..', name)) : undefined
}

function packageOf(name: string): string {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/')
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort()
}
