/** Makes the package in `dist/`: compiled contracts' ABIs checked, ethers bindings, JavaScript, SQL. */
import { spawnSync } from 'node:child_process'
import { cp, rm } from 'node:fs/promises'

run('hardhat', 'build', '--quiet')
run('node', 'scripts/abi.ts', '--check')
run('node', 'scripts/ethers.ts')
await rm('dist', { recursive: true, force: true })
run('tsc', '-p', 'tsconfig.build.json')
// what TypeScript does not copy: read from disk by the relayer
await cp('src/relayer/migrations', 'dist/relayer/migrations', { recursive: true })

function run(command: string, ...args: string[]): void {
  const [file, fullArgs] =
    command === 'node' ? [process.execPath, args] : ['npx', ['--no-install', command, ...args]]
  const { status } = spawnSync(file, fullArgs, {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (status === 0) return
  console.error(`${[command, ...args].join(' ')} ended with ${status}`)
  process.exit(1)
}
