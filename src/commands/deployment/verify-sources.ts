/**
 * `assent deployment verify-sources`: rebuilds the compiler's input of each contract from its source files, and
 * writes the requests to Sourcify and Etherscan. With `--compile` it compiles them and compares the code. Sends
 * nothing itself.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { requireSameCode, type Solc } from '../../deploy/standard-input.ts'
import {
  readVerifications,
  toEtherscan,
  toSourcify,
  type Verification,
} from '../../deploy/verification.ts'
import { AssentError } from '../../errors/index.ts'
import { replaceFile } from '../../lib/files.ts'
import type { ArgumentsOf } from '../command.ts'
import type { verifySources } from '../deployment.ts'
import { address, bytes32 } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  contracts: z.array(
    z.strictObject({
      name: z.string(),
      address,
      transaction: bytes32,
      identifier: z.string().describe('source file and contract'),
      compilerVersion: z.string(),
      constructorArguments: z.string().regex(/^(?:[0-9a-f]{2})*$/),
      sources: z.int().describe('number of source files'),
      isCompiled: z.boolean().describe('the sources were compiled and gave the same code'),
    }),
  ),
  others: z.array(z.string()).describe('contracts with code of another commit'),
})

export async function run(args: ArgumentsOf<typeof verifySources>, session: Session) {
  const { output, deployment, chainId } = session
  const sources = await session.sources()
  output.progress('Rebuilding the compiler’s input')
  const { verifications, others } = await readVerifications(deployment, sources)
  const compiled = args.compile ? await compileAll(verifications, session) : new Set<string>()
  if (args.out !== undefined) await write(args.out, verifications, chainId)
  for (const each of verifications) {
    output.line(`${each.name} ${each.address}`)
    output.line(`  ${each.identifier}, compiler v${each.compilerVersion}`)
    if (each.constructorArguments !== '') {
      output.line(`  constructor arguments ${each.constructorArguments}`)
    }
    if (compiled.has(each.identifier)) output.line('  its sources compile to the same code')
  }
  for (const name of others) output.warning(`${name}: its code is of another commit.`)
  output.line()
  output.heading(
    args.out === undefined
      ? 'With --out FOLDER, the requests to Sourcify and Etherscan are written.'
      : `Written to ${args.out}: send NAME.sourcify.json to POST /server/v2/verify/${chainId}/ADDRESS of Sourcify, or the fields of NAME.etherscan.json to Etherscan.`,
  )
  return {
    contracts: verifications.map(({ input, ...rest }) => ({
      ...rest,
      sources: Object.keys(input.sources).length,
      isCompiled: compiled.has(rest.identifier),
    })),
    others,
  }
}

/** Compiles each contract once and compares the code. @throws CODE_MISMATCH, IN_PROCESS_CHAIN_UNAVAILABLE */
async function compileAll(
  verifications: readonly Verification[],
  session: Session,
): Promise<Set<string>> {
  const solc = await loadCompiler(verifications)
  const sources = await session.sources()
  const done = new Set<string>()
  for (const { identifier } of verifications) {
    if (done.has(identifier)) continue
    const contract = identifier.split(':')[1] ?? ''
    session.output.progress(`Compiling ${contract}`)
    const { bytecode } = await sources.artifact(contract)
    requireSameCode(solc, await sources.standardInput(contract), bytecode)
    done.add(identifier)
  }
  return done
}

async function loadCompiler(verifications: readonly Verification[]): Promise<Solc> {
  try {
    return ((await import('solc')) as { default: Solc }).default
  } catch (cause) {
    throw compilerMissing(verifications, cause)
  }
}

/** The command that installs the compiler: 0.8.35 of `0.8.35+commit.…`. */
export function compilerMissing(
  verifications: readonly Pick<Verification, 'compilerVersion'>[],
  cause: unknown,
): AssentError {
  const version = verifications[0]?.compilerVersion.replace(/\+.*/, '')
  return new AssentError('COMPILER_MISSING', 'The package solc is not installed.', {
    cause,
    ...(version === undefined
      ? {}
      : { hint: `Run npm install solc@${version}, or leave out --compile.` }),
  })
}

async function write(
  folder: string,
  verifications: readonly Verification[],
  chainId: number,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const each of verifications) {
    const place = (form: string) => join(folder, `${each.name}.${form}.json`)
    await replaceFile(place('sourcify'), JSON.stringify(toSourcify(each), null, 2))
    await replaceFile(place('etherscan'), JSON.stringify(toEtherscan(each, chainId), null, 2))
  }
}
