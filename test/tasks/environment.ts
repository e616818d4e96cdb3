import { join } from 'node:path'

import { createHardhatRuntimeEnvironment } from 'hardhat/hre'
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'

import config from '../../hardhat.config.ts'

/** Hardhat as a command line starts it, with this node as its network. */
export async function liveEnvironment(url: string): Promise<HardhatRuntimeEnvironment> {
  return createHardhatRuntimeEnvironment(
    { ...config, networks: { ...config.networks, live: { type: 'http', url } } },
    { network: 'live' },
    join(import.meta.dirname, '..', '..'),
  )
}
