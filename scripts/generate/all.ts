/**
 * Writes every generated file that is in git, or with `--check` fails if one is out of date.
 *
 *   npm run generate                        all of them
 *   npm run generate -- --only abi,errors   some of them; --list names them
 *   npm run generate -- --except abi        all others
 *   npm run generate -- --name add_fees     the name of a new migration, after a change to the relayer's tables
 *   npm run generate -- --check             writes nothing; exit code 1 if a file differs
 *
 * `src/ethers` is generated too, but it is not in git: `npm run build` writes it.
 */
import { parseArgs } from 'node:util'

import { runTool } from '../run-tool.ts'

interface Generator {
  readonly name: string
  readonly writes: string
  readonly from: string
  /** Run before it: commands without options. */
  readonly needs?: readonly (readonly string[])[]
  readonly script: string
}

const generators: readonly Generator[] = [
  {
    name: 'abi',
    writes: 'src/chain/abi.ts',
    from: 'contracts/',
    needs: [['node', 'scripts/compile.ts']],
    script: 'scripts/generate/abi.ts',
  },
  {
    name: 'storage',
    writes: 'src/chain/simulate/storage-layouts.ts',
    from: 'contracts/',
    needs: [['node', 'scripts/compile.ts']],
    script: 'scripts/generate/storage-layouts.ts',
  },
  {
    name: 'erc7730',
    writes: 'deploy/erc7730/',
    from: 'src/chain/governance/call-descriptions/',
    script: 'scripts/generate/erc7730.ts',
  },
  {
    name: 'errors',
    writes: 'docs/errors.md',
    from: 'src/errors/',
    script: 'scripts/generate/errors.ts',
  },
  {
    name: 'commands',
    writes: 'docs/commands.md',
    from: 'src/commands/',
    script: 'scripts/generate/commands.ts',
  },
  {
    name: 'protobuf',
    writes: 'src/kms/rpc/kms_pb.ts',
    from: 'src/kms/rpc/kms.proto',
    script: 'scripts/generate/protobuf.ts',
  },
  {
    name: 'migrations',
    writes: 'src/relayer/database/migrations/',
    from: 'src/relayer/database/schema.ts',
    script: 'scripts/generate/migrations.ts',
  },
]

const { values } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    except: { type: 'string' },
    list: { type: 'boolean', default: false },
    name: { type: 'string' },
    only: { type: 'string' },
  },
})
if (values.list) {
  for (const { name, writes, from } of generators)
    console.log(`${name.padEnd(12)}${from} → ${writes}`)
  process.exit(0)
}
const named = values.only?.split(',') ?? generators.map(({ name }) => name)
const left = values.except?.split(',') ?? []
const wanted = named.filter((name) => !left.includes(name))
const unknown = [...named, ...left].filter((each) => !generators.some(({ name }) => name === each))
if (unknown.length > 0) {
  console.error(`No such file: ${unknown.join(', ')}. See npm run generate -- --list`)
  process.exit(2)
}

let ok = true
for (const generator of generators.filter(({ name }) => wanted.includes(name))) {
  if (!(await runGenerator(generator))) ok = false
}
process.exit(ok ? 0 : 1)

async function runGenerator({ name, needs = [], script }: Generator): Promise<boolean> {
  for (const command of needs) if (!(await runTool(command))) return false
  const options = values.check ? ['--check'] : []
  if (name === 'migrations' && values.name !== undefined) options.push('--name', values.name)
  return runTool(['node', script, ...options])
}
