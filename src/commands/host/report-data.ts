/**
 * `assent host report-data`: prints the 64 bytes of report data for the quote of a host. They bind the quote to this
 * chain, host registry, operator and newest block, so that nobody can use it elsewhere. Sends nothing.
 */
import { z } from 'zod'
import { bindToNewestBlock, hostReportData } from '../../chain/registries/hosts.ts'
import { toHex } from '../../lib/bytes.ts'
import type { ArgumentsOf } from '../command.ts'
import type { reportData as command } from '../host.ts'
import { readAddress } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { address, bytes32, decimal } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  reportData: z.string().regex(/^[0-9a-f]{128}$/),
  block: decimal,
  blockHash: bytes32,
  operator: address,
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const operator = readAddress(args.operator, 'operator')
  const hosts = requireDeployed(session, 'hosts')
  const binding = await bindToNewestBlock(session.publicClient, hosts, operator)
  const reportData = toHex(hostReportData(binding))
  session.output.line(`report data  ${reportData}`)
  session.output.line(`block        ${binding.block.number}`)
  return { reportData, block: binding.block.number, blockHash: binding.block.hash, operator }
}
