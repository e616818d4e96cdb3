/**
 * Writes the reference pages of the package and of the contracts into `.assent/docs`: `npm run docs`.
 *
 * TypeDoc reads the public entry points (`src/public`), with the options in `typedoc.json`. The pages of the contracts are written from the NatSpec that the
 * compiler checks and returns (`devdoc`, `userdoc`); no generator reads Hardhat 3's output. Code is not generated for
 * that, so it takes seconds. Exit code 1 if TypeDoc or the compiler warns.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'

import { projectRoot, runTool } from './run-tool.ts'

const output = path.join(projectRoot, '.assent/docs')

/** A member's NatSpec. Its signature is the key. */
interface MemberDoc {
  readonly notice?: string
  readonly details?: string
  readonly params?: Readonly<Record<string, string>>
  readonly returns?: Readonly<Record<string, string>>
}

/** Overloaded errors have a list. */
type MemberDocs = Readonly<Record<string, MemberDoc | readonly MemberDoc[]>>

interface NatSpec extends MemberDoc {
  readonly title?: string
  readonly methods?: MemberDocs
  readonly events?: MemberDocs
  readonly errors?: MemberDocs
}

interface Abi {
  readonly type: string
  readonly name?: string
  readonly stateMutability?: string
  readonly inputs?: readonly Parameter[]
  readonly outputs?: readonly Parameter[]
}

interface Parameter {
  readonly name: string
  readonly type: string
  readonly internalType?: string
  readonly components?: readonly Parameter[]
}

interface CompiledContract {
  readonly abi: readonly Abi[]
  readonly userdoc: NatSpec
  readonly devdoc: NatSpec
}

interface CompilerOutput {
  readonly errors?: readonly {
    readonly severity: string
    readonly formattedMessage: string
    readonly sourceLocation?: { readonly file: string }
  }[]
  readonly contracts: Readonly<Record<string, Readonly<Record<string, CompiledContract>>>>
}

await rm(output, { recursive: true, force: true })
const typescript = await writeTypeScriptPages()
const solidity = await writeSolidityPages()
process.exit(typescript && solidity ? 0 : 1)

function writeTypeScriptPages(): Promise<boolean> {
  return runTool(['typedoc', '--out', path.join(output, 'typescript')])
}

async function writeSolidityPages(): Promise<boolean> {
  const sources = await readContracts()
  const { contracts, errors = [] } = compile(sources)
  const ours = errors.filter(
    ({ severity, sourceLocation }) =>
      severity === 'error' || sourceLocation?.file.startsWith('contracts/'),
  )
  for (const { formattedMessage } of ours) console.error(formattedMessage)

  const index: string[] = []
  for (const [file, byName] of Object.entries(contracts).sort()) {
    if (!file.startsWith('contracts/')) continue
    for (const [name, contract] of Object.entries(byName)) {
      const page = path.join('solidity', path.dirname(file), `${name}.md`)
      await mkdir(path.join(output, path.dirname(page)), { recursive: true })
      await writeFile(path.join(output, page), describeContract(name, file, contract))
      index.push(`- [${name}](${path.relative('solidity', page)}): ${firstSentence(contract)}`)
    }
  }
  await writeFile(path.join(output, 'solidity/README.md'), `# Contracts\n\n${index.join('\n')}\n`)
  console.log(
    `${index.length} contracts, interfaces and libraries: .assent/docs/solidity/README.md`,
  )
  return ours.length === 0
}

/** All sources but the tests'. */
async function readContracts(): Promise<Record<string, { content: string }>> {
  const files = await readdir(path.join(projectRoot, 'contracts'), { recursive: true })
  const names = files.filter((file) => file.endsWith('.sol') && !file.startsWith('test')).sort()
  const sources: Record<string, { content: string }> = {}
  for (const name of names) {
    const file = path.posix.join('contracts', name.split(path.sep).join('/'))
    sources[file] = { content: await readFile(path.join(projectRoot, file), 'utf8') }
  }
  return sources
}

/** Without code: only NatSpec and ABI. */
function compile(sources: Record<string, { content: string }>): CompilerOutput {
  const require = createRequire(import.meta.url)
  const solc = require('solc')
  const input = {
    language: 'Solidity',
    sources,
    settings: {
      evmVersion: 'cancun',
      outputSelection: { '*': { '*': ['abi', 'devdoc', 'userdoc'] } },
    },
  }
  const { readFileSync } = require('node:fs')
  const findImport = (name: string) => {
    try {
      return { contents: readFileSync(path.join(projectRoot, 'node_modules', name), 'utf8') }
    } catch {
      return { error: `${name} is not installed` }
    }
  }
  return JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }))
}

function firstSentence({ userdoc, devdoc }: CompiledContract): string {
  const text = userdoc.notice ?? devdoc.title ?? devdoc.details ?? ''
  return text.split(/(?<=\.)\s/)[0] ?? ''
}

function describeContract(name: string, file: string, contract: CompiledContract): string {
  const { abi, userdoc, devdoc } = contract
  const sections = [
    `# ${name}`,
    `\`${file}\``,
    ...[devdoc.title, userdoc.notice, devdoc.details].filter((text) => text !== undefined),
    ...describeMembers('Functions', 'function', abi, userdoc.methods, devdoc.methods),
    ...describeMembers('Events', 'event', abi, userdoc.events, devdoc.events),
    ...describeMembers('Errors', 'error', abi, userdoc.errors, devdoc.errors),
  ]
  return `${sections.join('\n\n')}\n`
}

function describeMembers(
  title: string,
  type: string,
  abi: readonly Abi[],
  user: MemberDocs = {},
  developer: MemberDocs = {},
): string[] {
  const members = abi.filter((item) => item.type === type)
  if (members.length === 0) return []
  const texts = members.map((item) => {
    const key = `${item.name}(${(item.inputs ?? []).map(canonicalType).join(',')})`
    return describeMember(item, { ...docOf(user[key]), ...docOf(developer[key]) })
  })
  return [`## ${title}`, ...texts]
}

function docOf(doc: MemberDocs[string] = {}): MemberDoc {
  return Array.isArray(doc) ? (doc[0] ?? {}) : (doc as MemberDoc)
}

function describeMember(item: Abi, { notice, details, params = {}, returns = {} }: MemberDoc) {
  const list = (parameters: readonly Parameter[] = []) =>
    parameters.map(({ name, type, internalType }) =>
      `${internalType?.replace(/^(struct|enum|contract) /, '') ?? type} ${name}`.trim(),
    )
  const outputs = list(item.outputs)
  const returned = outputs.length === 0 ? '' : ` returns (${outputs.join(', ')})`
  const kind = item.stateMutability === undefined ? '' : ` ${item.stateMutability}`
  const names = { ...params, ...returns }
  const rows = Object.entries(names).map(([name, text]) => `- \`${name}\`: ${text}`)
  return [
    `### ${item.name}`,
    `\`${item.name}(${list(item.inputs).join(', ')})${kind}${returned}\``,
    ...[notice, details].filter((text) => text !== undefined),
    ...(rows.length === 0 ? [] : [rows.join('\n')]),
  ].join('\n\n')
}

/** As in a signature: `(uint8,bytes32)[]` for a list of structs. */
function canonicalType({ type, components }: Parameter): string {
  if (!type.startsWith('tuple')) return type
  return `(${(components ?? []).map(canonicalType).join(',')})${type.slice('tuple'.length)}`
}
