/** Compiles the contracts if they changed: `node scripts/compile.ts`. */
import hre from 'hardhat'

import { compileContracts } from '../src/deploy/compile.ts'

await compileContracts(hre)
