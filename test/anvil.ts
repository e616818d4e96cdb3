/** A second, independent Ethereum node for tests: anvil, from its npm package or from PATH. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import path from 'node:path'

import { createTestClient, type Hex, http, publicActions, walletActions } from 'viem'
import { foundry } from 'viem/chains'

import { startChild } from './child-process.ts'

export interface Anvil {
  readonly url: string
  readonly client: ReturnType<typeof connectAnvil>
  stop(): Promise<void>
}

export interface AnvilOptions {
  /** `manual`: only `client.mine`; a number: seconds; `instant`: a block for each transaction. */
  readonly mining?: 'manual' | 'instant' | number
  readonly args?: readonly string[]
}

/** Keys of anvil's accounts, from the mnemonic that it prints. Worthless everywhere else. */
export const anvilKeys: readonly [Hex, Hex, Hex] = [
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
  '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
]

/** Path of the binary, or undefined where this machine has none. */
export function findAnvil(): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve(
      '@foundry-rs/anvil-linux-amd64/package.json',
    )
    return path.join(path.dirname(manifest), 'bin', 'anvil')
  } catch {
    return spawnSync('anvil', ['--version']).status === 0 ? 'anvil' : undefined
  }
}

export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  const binary = findAnvil()
  if (binary === undefined) throw new Error('anvil is not at hand')
  const mining = options.mining ?? 'instant'
  const miningArgs =
    mining === 'manual'
      ? ['--no-mining']
      : mining === 'instant'
        ? []
        : ['--block-time', `${mining}`]
  const args = ['--port', '0', '--hardfork', 'osaka', ...miningArgs, ...(options.args ?? [])]
  const child = startChild(binary, args)
  const url = await new Promise<string>((resolve, reject) => {
    let output = ''
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`anvil ended with ${code}: ${output}`)))
    child.stdout.on('data', (chunk) => {
      output += chunk
      const address = /Listening on (\S+:\d+)/.exec(output)?.[1]
      if (address !== undefined) resolve(`http://${address}`)
    })
  })
  return {
    url,
    client: connectAnvil(url),
    async stop() {
      child.removeAllListeners('exit')
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

function connectAnvil(url: string) {
  return createTestClient({
    mode: 'anvil',
    chain: foundry,
    transport: http(url),
    pollingInterval: 50,
  })
    .extend(publicActions)
    .extend(walletActions)
}
