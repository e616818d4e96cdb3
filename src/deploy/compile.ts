/** Compiles the contracts if they changed, on all cores; Hardhat's own task leaves one idle. */
import os from 'node:os'

import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'

/** Compiles the contracts without their tests. @throws Error if a contract does not compile */
export async function compileContracts({
  solidity,
}: Pick<HardhatRuntimeEnvironment, 'solidity'>): Promise<void> {
  const roots = await solidity.getRootFilePaths({ scope: 'contracts' })
  const results = await solidity.build(roots, {
    concurrency: os.cpus().length,
    quiet: true,
    scope: 'contracts',
    cleanupArtifacts: true,
  })
  if (!solidity.isSuccessfulBuildResult(results)) throw new Error('The contracts do not compile.')
  const failed = [...results.values()].filter(
    (result) => 'errors' in result && result.errors.some(({ severity }) => severity === 'error'),
  )
  if (failed.length > 0) throw new Error('The contracts do not compile, see above.')
}
