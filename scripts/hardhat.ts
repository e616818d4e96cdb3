/** Hardhat under a Node that it accepts: `npm run hardhat -- assent …`. */
import { runTool } from './run-tool.ts'

process.exitCode = (await runTool(['hardhat', ...process.argv.slice(2)])) ? 0 : 1
