import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { fromHex, to0x, toHex } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { createSimulator, type Simulator } from '../../tee/simulator/simulator.ts'
import type { ArgumentsOf } from '../command.ts'
import { bytes32 } from '../output/json.ts'
import type { Context } from '../session/context.ts'
import type { machine as command } from '../simulate.ts'

export const schema = z.strictObject({
  deviceId: bytes32,
  rootCertificate: z.string().describe('path'),
  collateral: z.string().describe('path'),
  quote: z.string().nullable().describe('path; null without report data'),
})

export async function run(args: ArgumentsOf<typeof command>, { output }: Context) {
  const { folder } = args
  const simulator = await openSimulator(folder)
  const rootCertificate = join(folder, 'root.der')
  const collateral = join(folder, 'collateral.json')
  await writeFile(rootCertificate, simulator.rootCertificate)
  await writeFile(collateral, `${JSON.stringify(simulator.collateral(), null, 2)}\n`)
  const machine = simulator.createPlatform({ name: 'try-out' })
  const deviceId = to0x(machine.deviceId)
  output.line(`device ${deviceId}`)
  if (args.reportData === undefined) return { deviceId, rootCertificate, collateral, quote: null }
  const reportData = fromHex(args.reportData, '--report-data', 64)
  const quote = join(folder, 'quote.bin')
  const bytes = machine.quote({ td: { reportData } })
  await writeFile(quote, bytes)
  output.line(`quote  ${quote}, ${bytes.length} bytes`)
  return { deviceId, rootCertificate, collateral, quote }
}

/** The seed is in the folder: anyone who can read it can act as this machine. */
async function openSimulator(folder: string): Promise<Simulator> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'simulator.json')
  const known = await readFile(file, 'utf8').catch(() => undefined)
  if (known !== undefined) {
    const { seed, at } = JSON.parse(known)
    return createSimulator({ seed: fromHex(seed, 'seed', 32), at })
  }
  const seed = new Uint8Array(randomBytes(32))
  const at = systemClock()
  await writeFile(file, `${JSON.stringify({ seed: toHex(seed), at })}\n`, { mode: 0o600 })
  return createSimulator({ seed, at })
}
