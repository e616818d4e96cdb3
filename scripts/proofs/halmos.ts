/**
 * Proves the properties in `test/halmos` for all inputs with Halmos, and shows that each proof can fail: every property
 * has a mutant of the contracts for which Halmos must find a counterexample. `node scripts/proofs/halmos.ts [--only NAME]`.
 *
 * In a copy without the quote verifier, compiled without solc's IR pipeline.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { checkAnchors, type Edit, withEdits } from '../mutants/mutate.ts'
import { projectRoot } from '../run-tool.ts'
import { keepFailure, seed } from '../test-effort.ts'
import { installProofTools } from './proof-tools.ts'

interface Mutant extends Edit {
  /** From `contracts/`. */
  readonly file: string
}

const approval = 'types/Approval.sol'
const registry = 'registry/ApprovalRegistry.sol'
const app = 'registry/App.sol'

/** By property: a change of the contracts that breaks it. */
const mutants: Readonly<Record<string, Mutant>> = {
  check_DenialsNeverAllow: {
    file: approval,
    from: 'until > time && (known == 0 || until < known)',
    to: 'until > time',
  },
  check_DenialsAreImmediate: {
    file: approval,
    from: 'return _with(unmarked, SUSPENDED_SHIFT, until);',
    to: 'return _with(unmarked, EXPIRES_SHIFT, until);',
  },
  check_AllowsAreDelayed: {
    file: approval,
    from: 'if (time < self.activeFrom()) return State.Pending;',
    to: 'if (time + 1 < self.activeFrom()) return State.Pending;',
  },
  check_SuspensionsEnd: {
    file: approval,
    from: 'if (time < self.suspendedUntil())',
    to: 'if (time <= self.suspendedUntil())',
  },
  check_RevokedIsFinal: {
    file: approval,
    from: 'require(!self.isRevoked(), ApprovalStateInvalid(State.Revoked));',
    to: '',
  },
  check_VersionsCount: {
    file: approval,
    from: 'self.version() + 1, listed',
    to: 'self.version(), listed',
  },
  check_EndedStaysEnded: {
    file: approval,
    from: 'require(_isLive(found), ApprovalStateInvalid(found));\n    uint40 known = self.expiresAt();\n    require(known != 0 &&',
    to: 'require(found != State.None, ApprovalStateInvalid(found));\n    uint40 known = self.expiresAt();\n    require(known != 0 &&',
  },
  check_ApprovalsWait: {
    file: registry,
    from: 'uint40 from = activeFrom > earliest ? activeFrom : earliest;',
    to: 'uint40 from = activeFrom;',
  },
  check_SuspensionsAreBounded: {
    file: registry,
    from: 'newSuspension >= MIN_SUSPENSION && newSuspension <= MAX_SUSPENSION;',
    to: 'newSuspension >= MIN_SUSPENSION;',
  },
  check_TheGuardianCoolsDown: {
    file: registry,
    from: 'known.isSuspendedByGuardian() && block.timestamp < cooldownUntil;',
    to: 'known.isSuspendedByGuardian() && block.timestamp < cooldownUntil - 1;',
  },
  check_OnlyTheOwnerAllows: {
    file: registry,
    from: 'function lift(Kind kind, bytes32[] calldata ids, uint40 notAfter) external onlyOwner {',
    to: 'function lift(Kind kind, bytes32[] calldata ids, uint40 notAfter) external {',
  },
  check_AReleaseReadsOneEpochBack: {
    file: app,
    from: 'read = migrating ? epoch - 1 : epoch;',
    to: 'read = migrating ? epoch + 1 : epoch;',
  },
  check_TheOldEpochEnds: {
    file: app,
    from: 'bool migrating = _endOpenedEpoch && block.timestamp < _supersededAt;',
    to: 'bool migrating = _endOpenedEpoch && block.timestamp <= _supersededAt;',
  },
  check_MigrationsAreShort: {
    file: app,
    from: 'bool bounded = !nextEpoch || end <= time + MAX_MIGRATION;',
    to: 'bool bounded = !nextEpoch || end <= time + MAX_MIGRATION + 1;',
  },
  check_OneMigrationAtATime: {
    file: app,
    from: '(!pending || (!nextEpoch && end <= _supersededAt))',
    to: '(!pending || end <= _supersededAt)',
  },
}

const place = path.join(projectRoot, '.assent', 'halmos')

/** For forge: the compiler of the project as a program. */
const compiler = `#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import solc from 'solc'

if (process.argv.includes('--version')) {
  const version = solc.version().replace('.Emscripten.clang', '.Linux.g++')
  console.log('solc, the solidity compiler commandline interface\\nVersion: ' + version)
} else process.stdout.write(solc.compile(readFileSync(0, 'utf8')))
`

const foundryConfig = `[profile.default]
src = 'test/halmos'
test = 'test/halmos'
libs = ['node_modules']
remappings = ['@openzeppelin/=node_modules/@openzeppelin/']
auto_detect_remappings = false
solc = './solc.mjs'
offline = true
evm_version = 'cancun'
optimizer = true
optimizer_runs = 200
`

const { values } = parseArgs({ options: { only: { type: 'string' }, check: { type: 'boolean' } } })
if (values.check) {
  checkAnchors(
    Object.entries(mutants).map(([name, { file, ...edit }]) => ({
      name,
      file: path.join(projectRoot, 'contracts', file),
      edits: [edit],
    })),
  )
}
const properties = readProperties().filter((name) => name.includes(values.only ?? ''))
const env = installProofTools()
prepare()
const failures = proveAll()
for (const name of properties) {
  const mutant = mutants[name]
  if (mutant === undefined) failures.push(`${name} has no mutant`)
  else if (await survives(name, mutant)) failures.push(`${name} holds for its mutant too`)
}
rmSync(place, { recursive: true, force: true })
for (const each of failures) console.error(each)
console.log(`${properties.length} properties, ${failures.length} failures`)
if (failures.length > 0) keepFailure(`halmos-${seed}`, { failures })
process.exit(failures.length === 0 ? 0 : 1)

function readProperties(): string[] {
  const folder = path.join(projectRoot, 'test', 'halmos')
  const texts = readdirSync(folder).map((file) => readFileSync(path.join(folder, file), 'utf8'))
  return texts.flatMap((text) =>
    [...text.matchAll(/function (check_\w+)/g)].map(([, n]) => n ?? ''),
  )
}

function prepare(): void {
  rmSync(place, { recursive: true, force: true })
  mkdirSync(path.join(place, 'contracts', 'quote'), { recursive: true })
  const parts = ['contracts/auth', 'contracts/registry', 'contracts/types', 'test/halmos']
  for (const part of [...parts, 'contracts/quote/IQuoteVerifier.sol']) {
    cpSync(path.join(projectRoot, part), path.join(place, part), { recursive: true })
  }
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(place, 'node_modules'), 'dir')
  writeFileSync(path.join(place, 'foundry.toml'), foundryConfig)
  writeFileSync(path.join(place, 'solc.mjs'), compiler)
  chmodSync(path.join(place, 'solc.mjs'), 0o755)
}

/** @returns what is not proven */
function proveAll(): string[] {
  const output = halmos()
  return properties
    .filter((name) => !output.includes(`[PASS] ${name}(`))
    .map((name) => `${name} is not proven`)
}

/** Whether Halmos finds no counterexample although the contracts are broken. An error of a tool counts as that. */
async function survives(name: string, { file, ...edit }: Mutant): Promise<boolean> {
  const target = path.join(place, 'contracts', file)
  const output = await withEdits(target, { name, edits: [edit] }, async () => halmos(name))
  const isFound = output.includes(`[FAIL] ${name}(`) && output.includes('Counterexample')
  console.log(`${isFound ? 'detected' : 'SURVIVED'}  mutant of ${name}`)
  return !isFound
}

/** @param property all if absent */
function halmos(property = 'check_'): string {
  const { stdout, stderr } = spawnSync(
    'halmos',
    ['--match-contract', 'Proof$', '--function', property, '--solver-timeout-assertion', '120000'],
    { cwd: place, env: { ...env, NO_COLOR: '1' }, encoding: 'utf8', timeout: 1_200_000 },
  )
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Halmos colours its output also where nobody asks for it
  const output = `${stdout}${stderr}`.replaceAll(/\u001b\[\d*m/g, '')
  console.log(output.slice(-4000))
  return output
}
