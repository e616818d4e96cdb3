/**
 * `assent host doctor`: checks what keeps a host admitted, and what ends soon. Reads the host registry, the quote in
 * the transaction of the current proof, and a PCCS. Exit code 1 if a check failed.
 */
import type { Address } from 'viem'
import type { z } from 'zod'
import { findProofQuote, readHost } from '../../chain/registries/hosts.ts'
import { examineHost } from '../../chain/why/examine-host.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { ArgumentsOf } from '../command.ts'
import type { doctor as command } from '../host.ts'
import { readDuration } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import { exitCodeOfFindings, findingsSchema, printFindings } from '../output/findings.ts'
import { bytes32, unixTime } from '../output/json.ts'
import { progressOf } from '../output/output.ts'
import type { Session } from '../session/session.ts'
import { assess, assessmentSchema } from './assessment.ts'
import { deviceOf, readHostQuote } from './quote-file.ts'

export const schema = findingsSchema.extend({
  deviceId: bytes32,
  provenUntil: unixTime.describe('0: never proven'),
  assessment: assessmentSchema.nullable().describe('null: the quote of the proof is not known'),
})

export const exitCode = (value: z.infer<typeof schema>) => exitCodeOfFindings(value)

type DoctorArguments = ArgumentsOf<typeof command>

export async function run(args: DoctorArguments, session: Session) {
  const { publicClient, output, now } = session
  const hosts = requireDeployed(session, 'hosts')
  const within = readDuration(args.within, '--within')
  const deviceId = await resolveHost(session, args.device)
  const { expiresAt } = await readHost(publicClient, hosts, deviceId)
  const quote = await findQuote(args, session, { hosts, deviceId })
  const assessed = quote === null ? undefined : await assess(session, args, { hosts, quote })
  const findings = await examineHost(publicClient, { hosts, deviceId, now, within, assessed })
  return {
    deviceId,
    provenUntil: expiresAt,
    assessment: assessed ?? null,
    ...printFindings(output, findings),
  }
}

/** The quote of the option, or of the transaction of the current proof. */
async function findQuote(
  args: DoctorArguments,
  { publicClient, deployment, output }: Session,
  { hosts, deviceId }: { readonly hosts: Address; readonly deviceId: Hex },
): Promise<Uint8Array | null> {
  if (args.quote !== undefined) {
    const { quote } = await readHostQuote(args.quote)
    const found = deviceOf(quote)
    if (found === deviceId) return quote
    throw new AssentError('INPUT_INVALID', 'The quote is of another host.', {
      facts: { expected: deviceId, found },
    })
  }
  const { quoteDigest, attestedAt } = await readHost(publicClient, hosts, deviceId)
  if (attestedAt === 0) return null
  const fromBlock = BigInt(deployment.contracts.hosts?.block ?? 0)
  const progress = progressOf(output, 'Searching for the quote of the proof')
  return findProofQuote(publicClient, hosts, { deviceId, quoteDigest }, fromBlock, progress)
}
