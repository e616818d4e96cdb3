/**
 * Breaks DER, certificates, CRLs, the QE identity, the policy or SHA-384 in one place at a time and demands that the
 * contracts' own tests notice: `node scripts/mutants/quote-mutants.ts [--only NAME] [--check]`.
 *
 * In a copy without the verifier, whose compilation takes a minute.
 */
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { projectRoot } from '../run-tool.ts'
import { keepFailure, seed } from '../test-effort.ts'
import { checkAnchors, type Edit, findMissed, passes, withEdits } from './mutate.ts'

interface Mutant extends Edit {
  readonly name: string
  /** Below `contracts`. */
  readonly file: string
  /** Below `test/contracts/quote`: what has to notice. */
  readonly test: string
}

const mutants: readonly Mutant[] = [
  {
    name: 'a length may be longer than it must be',
    file: 'quote/parsing/Der.sol',
    from: 'length <= 0x7f || length >> (8 * (octets - 1)) == 0',
    to: 'false',
    test: 'Der.t.sol',
  },
  {
    name: 'an element may end behind its parent',
    file: 'quote/parsing/Der.sol',
    from: 'differ(head >> 248, tag) | isAbove(next, end)',
    to: 'differ(head >> 248, tag)',
    test: 'Der.t.sol',
  },
  {
    name: 'an integer may have octets that it does not need',
    file: 'quote/parsing/Der.sol',
    from: 'bad |= isAbove(first, 255) | (isAbove(length, 1) & isAbove(1, first));',
    to: 'bad |= isAbove(first, 255);',
    test: 'Der.t.sol',
  },
  {
    name: 'an integer may be negative',
    file: 'quote/parsing/Der.sol',
    from: 'bad |= isAbove(first, 255) |',
    to: 'bad |=',
    test: 'Der.t.sol',
  },
  {
    name: 'a serial number may have more than twenty octets',
    file: 'quote/certificates/Crl.sol',
    from: 'require(serial >> 160 == 0, Der.DerMalformed(pos));',
    to: '',
    test: 'Crl.t.sol',
  },
  {
    name: 'the last of a list is not found',
    file: 'quote/certificates/Crl.sol',
    from: 'lt(low, count)',
    to: 'lt(add(low, 1), count)',
    test: 'Crl.t.sol',
  },
  {
    name: 'an octet outside the blanks of the usual leaf does not count',
    file: 'quote/certificates/X509.sol',
    from: 'calldatacopy(add(shape, 524), zeros, 20)',
    to: 'calldatacopy(add(shape, 524), zeros, 21)',
    test: 'X509.t.sol',
  },
  {
    name: 'a QE identity of another signer is taken for the usual one',
    file: 'quote/evaluation/QeIdentityTemplate.sol',
    from: 'TcbBlob.word(blob, 36) == FROM_36 && TcbBlob.word(blob, 46) == FROM_46',
    to: 'TcbBlob.word(blob, 36) == FROM_36',
    test: 'QeIdentity.t.sol',
  },
  {
    name: 'a debug TD passes',
    file: 'types/Policy.sol',
    from: 'attributes & ~attributesAllowed != 0',
    to: 'false',
    test: 'Policy.t.sol',
  },
  {
    name: 'an old platform passes',
    file: 'types/Policy.sol',
    from: '(policy.statuses >> uint256(report.status)) & 1 == 0',
    to: 'false',
    test: 'Policy.t.sol',
  },
  {
    name: 'the rounds leave their words where a variable was',
    file: 'quote/cryptography/Sha384.sol',
    from: 'mcopy(0, add(space, KEPT), LOW)',
    to: '',
    test: 'Sha384.t.sol',
  },
]

const { values } = parseArgs({ options: { only: { type: 'string' }, check: { type: 'boolean' } } })
const chosen = mutants.filter(({ name }) => values.only === undefined || name.includes(values.only))
const place = path.join(projectRoot, '.assent', 'quote-mutants')

if (values.check) {
  checkAnchors(
    mutants.map(({ name, file, ...edit }) => ({
      name,
      file: path.join(projectRoot, 'contracts', file),
      edits: [edit],
    })),
  )
}

prepare()
const missed = await findMissed(chosen, withMutant, isGreen)
rmSync(place, { recursive: true, force: true })
if (missed.length > 0) keepFailure(`quote-mutants-${seed}`, { missed })
process.exit(missed.length === 0 ? 0 : 1)

function prepare(): void {
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { recursive: true })
  const parts = [
    'contracts/quote',
    'contracts/types',
    'test/contracts/Vm.sol',
    'test/contracts/quote',
  ]
  for (const part of [...parts, 'package.json', 'hardhat.config.ts', 'tasks', 'src', 'scripts']) {
    cpSync(path.join(projectRoot, part), path.join(place, part), { recursive: true })
  }
  for (const name of [
    'QuoteVerifier',
    'collateral/IssuerUpload',
    'collateral/DocumentUpload',
    'collateral/CollateralStore',
    'eventlog/BootLog',
  ]) {
    rmSync(path.join(place, 'contracts', 'quote', `${name}.sol`))
  }
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(place, 'node_modules'), 'dir')
}

async function withMutant({ name, file, test, ...edit }: Mutant): Promise<boolean> {
  const target = path.join(place, 'contracts', file)
  return !(await withEdits(target, { name, edits: [edit] }, () => isGreen(test)))
}

function isGreen(test: string): Promise<boolean> {
  return passes(place, ['hardhat', 'test', 'solidity', `test/contracts/quote/${test}`])
}
