/** The command line as a front door: settings from options, variables and `assent.toml`, without Hardhat. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import type { Command } from '../commands/command.ts'
import type { CommonValues, Context } from '../commands/session/context.ts'
import { onDemand } from '../commands/session/on-demand.ts'
import { openContext } from '../commands/session/open-context.ts'
import { readProfile } from '../commands/session/profile.ts'
import type { Profile } from '../commands/session/settings.ts'
import type { CommandLineDoor } from './run-from-command-line.ts'

/**
 * Opens commands of the `assent` program: settings from options, variables and `assent.toml`, and a chain only for
 * commands that need one.
 */
export const door: CommandLineDoor = {
  async open(command, common, settings) {
    const profile = await readProfile(settings, process.env)
    const context = openContext(command, common, profile)
    if (command.needs === 'nothing') return context
    const opened = () => connect(command, common, context, profile)
    return command.needs === 'on-demand' ? onDemand(context, opened) : opened()
  },
}

/** viem is loaded only here. */
async function connect(
  command: Command,
  common: CommonValues,
  context: Context,
  profile: Profile,
): Promise<Context> {
  const { connectNetwork } = await import('../commands/session/network.ts')
  const { openChain, openDeployment } = await import('../commands/session/open-session.ts')
  const chain = openChain(
    context,
    await connectNetwork(profile, { announce: announceOn(context) }),
    {
      deployments: profile.deployments,
      from: common.from ?? addressOf(profile),
      sources: openSources,
    },
  )
  return command.needs === 'chain' ? chain : openDeployment(chain)
}

/** Standard output has the result, so the address of the page goes to standard error. */
function announceOn({ output }: Context): (url: string) => void {
  return (url) =>
    output.instruction(`Open this address in the browser that has your wallet:\n  ${url}`)
}

function addressOf({ account }: Profile): string | undefined {
  return account.kind === 'keystore' ? undefined : account.address
}

/** The package has compiled contracts. A checkout compiles them with Hardhat, which is installed there. */
async function openSources() {
  const { openContractSources } = await import('../deploy/contract-sources.ts')
  return openContractSources(async () => {
    const { createHardhatRuntimeEnvironment } = await import('hardhat/hre')
    const config = new URL('../../hardhat.config.ts', import.meta.url)
    const root = fileURLToPath(new URL('.', config))
    const { default: userConfig } = existsSync(config) ? await import(config.href) : { default: {} }
    return createHardhatRuntimeEnvironment(userConfig, {}, root)
  })
}
