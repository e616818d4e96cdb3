/**
 * A chain inside this process for `assent quote verify --onchain`: Hardhat's EVM, loaded only when it is needed.
 *
 * Hardhat is not a dependency of the package, because services never need it. Users of this command install it.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import type { HardhatUserConfig } from 'hardhat/config'

import type { LinkableArtifact } from '../../chain/verifier/verifier.ts'
import type { LocalChain } from '../../chain/verifier/verify-onchain.ts'
import { AssentError } from '../../errors/index.ts'

/** A development chain in this process, by Hardhat. */
export interface InProcessChain extends LocalChain {
  /** Stops the chain and frees its memory. */
  close(): Promise<void>
}

/** @throws IN_PROCESS_CHAIN_UNAVAILABLE */
export async function startInProcessChain(): Promise<InProcessChain> {
  const { createHardhatRuntimeEnvironment } = await loadHardhat()
  const config: HardhatUserConfig = {
    networks: {
      local: {
        type: 'edr-simulated',
        chainType: 'l1',
        // osaka: the P-256 precompile at 0x100 (EIP-7951)
        hardfork: 'osaka',
        // quotes are verified at past times, in any order
        initialDate: '1970-01-02T00:00:00Z',
        allowBlocksWithSameTimestamp: true,
      },
    },
  }
  // without a project root, Hardhat looks for a package.json above the current folder and fails where there is none
  const packageRoot = fileURLToPath(new URL('../../..', import.meta.url))
  const hre = await createHardhatRuntimeEnvironment(config, {}, packageRoot)
  const { provider, close } = await hre.network.create({ network: 'local' })
  return { provider, artifacts: readCompiledContract, close }
}

async function loadHardhat() {
  try {
    return await import('hardhat/hre')
  } catch (cause) {
    throw unavailable('hardhat', 'The package hardhat is not installed.', cause)
  }
}

/** In the published package, or where the compiler of a clone puts it. */
async function readCompiledContract(name: string): Promise<LinkableArtifact> {
  const places = [
    `../../artifacts/${name}.json`,
    `../../../artifacts/contracts/quote/${name}.sol/${name}.json`,
    `../../../artifacts/contracts/quote/collateral/${name}.sol/${name}.json`,
  ]
  for (const place of places) {
    const text = await readFile(new URL(place, import.meta.url), 'utf8').catch(() => undefined)
    if (text !== undefined) return JSON.parse(text) as LinkableArtifact
  }
  throw unavailable(name, `The contract ${name} is not compiled here.`)
}

function unavailable(missing: string, message: string, cause?: unknown): AssentError {
  return new AssentError('IN_PROCESS_CHAIN_UNAVAILABLE', message, { cause, facts: { missing } })
}
