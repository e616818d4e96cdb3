/**
 * `assent simulate host`: creates a simulated TDX host in a folder, or opens it: root certificate, collateral
 * and, with `--report-data`, a quote. Only a verifier with this root of trust accepts them.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { fromHex, to0x } from '../../lib/bytes.ts'
import { replaceFile } from '../../lib/files.ts'
import type { ArgumentsOf } from '../command.ts'
import { bytes32 } from '../output/json.ts'
import type { Context } from '../session/context.ts'
import type { host as command } from '../simulate.ts'
import { openSimulatedHost } from './host-folder.ts'

export const schema = z.strictObject({
  deviceId: bytes32,
  rootCertificate: z.string().describe('path'),
  collateral: z.string().describe('path'),
  quote: z.string().nullable().describe('path; null without report data'),
})

export async function run(args: ArgumentsOf<typeof command>, { output }: Context) {
  const { folder } = args
  const { simulator, host } = await openSimulatedHost(folder)
  const rootCertificate = join(folder, 'root.der')
  const collateral = join(folder, 'collateral.json')
  await replaceFile(rootCertificate, simulator.rootCertificate)
  await replaceFile(collateral, `${JSON.stringify(simulator.collateral(), null, 2)}\n`)
  const deviceId = to0x(host.deviceId)
  output.line(`device ${deviceId}`)
  if (args.reportData === undefined) return { deviceId, rootCertificate, collateral, quote: null }
  const reportData = fromHex(args.reportData, '--report-data', 64)
  const quote = join(folder, 'quote.bin')
  const bytes = host.quote({ td: { reportData } })
  await replaceFile(quote, bytes)
  output.line(`quote  ${quote}, ${bytes.length} bytes`)
  return { deviceId, rootCertificate, collateral, quote }
}
