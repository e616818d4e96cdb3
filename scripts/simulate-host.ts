/**
 * A machine for trying things out, signed by nobody but itself: `node scripts/simulate-host.ts <folder> [report data]`.
 *
 * The folder gets root.der, to deploy with, and collateral.json; with report data, quote.bin as well. What a folder
 * began with stays: its machine is the same each time.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { fromHex, to0x, toHex } from '../src/lib/bytes.ts'
import { createSimulator, type Simulator } from '../src/tee/simulator/simulator.ts'

const [folder, reportData] = process.argv.slice(2)
if (folder === undefined) {
  console.error('usage: node scripts/simulate-host.ts <folder> [report data, 64 bytes in hex]')
  process.exit(2)
}
const simulator = await openSimulator(folder)
await writeFile(join(folder, 'root.der'), simulator.rootCertificate)
await writeFile(
  join(folder, 'collateral.json'),
  `${JSON.stringify(simulator.collateral(), null, 2)}\n`,
)
const machine = simulator.createPlatform({ name: 'try-out' })
console.log(`device ${to0x(machine.deviceId)}`)
if (reportData !== undefined) {
  const quote = machine.quote({ td: { reportData: fromHex(reportData, 'report data', 64) } })
  await writeFile(join(folder, 'quote.bin'), quote)
  console.log(`quote  ${join(folder, 'quote.bin')}, ${quote.length} bytes`)
}

/** The seed lies in the folder: anyone who can read it can act as this machine. */
async function openSimulator(into: string): Promise<Simulator> {
  await mkdir(into, { recursive: true })
  const file = join(into, 'simulator.json')
  const known = await readFile(file, 'utf8').catch(() => undefined)
  if (known !== undefined) {
    const { seed, at } = JSON.parse(known)
    return createSimulator({ seed: fromHex(seed, 'seed', 32), at })
  }
  const seed = new Uint8Array(randomBytes(32))
  const at = Math.floor(Date.now() / 1000)
  await writeFile(file, `${JSON.stringify({ seed: toHex(seed), at })}\n`, { mode: 0o600 })
  return createSimulator({ seed, at })
}
