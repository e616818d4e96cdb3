/**
 * `assent host sign-continuity`: signs that a host has a new device id (EIP-712). Sends nothing; the signed JSON goes
 * to `assent host continue`. The signature ends at `--deadline`.
 */
import { z } from 'zod'
import { signContinuity } from '../../chain/registries/hosts.ts'
import type { ArgumentsOf } from '../command.ts'
import type { signContinuity as command } from '../host.ts'
import { readTime } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import { address, bytes, bytes32, unixTime } from '../output/json.ts'
import { printOrWrite } from '../output/print-or-write.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  chainId: z.int(),
  hosts: address,
  from: bytes32,
  to: bytes32,
  deadline: unixTime,
  signature: bytes,
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { chainId, output } = session
  const hosts = requireDeployed(session, 'hosts')
  const from = await resolveHost(session, args.old)
  const to = await resolveHost(session, args.next)
  const deadline = readTime(args.deadline, '--deadline')
  const { walletClient } = await session.signer()
  output.line(`Signs without a transaction: host ${from} continues as ${to}.`)
  output.warning(
    'Anyone who has the signed statement can submit it; the old device id is withdrawn then.',
  )
  await session.confirm()
  const registry = { chainId, registry: hosts }
  const signature = await signContinuity(walletClient, registry, { from, to, deadline })
  const signed = { chainId, hosts, from, to, deadline, signature }
  await printOrWrite(output, signed, args.out)
  return signed
}
