/** A fresh quote of this host for the registry, from the guest agent of a CVM on it. */
import { access } from 'node:fs/promises'

import type { Address } from 'viem'

import {
  bindToNewestBlock,
  type HostBinding,
  hostReportData,
} from '../../chain/registries/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import { agentSockets, createAgentClient } from '../../tee/agent.ts'
import type { RawAttestation } from '../../tee/source.ts'
import type { Session } from '../session/session.ts'

/** A TDX host under load needs seconds for a quote. */
const timeoutMs = 30_000

/**
 * Binds a quote to the newest block and to the operator.
 *
 * @param socket of the agent; default: the paths of dstack
 * @throws TEE_*, USAGE_INVALID, CHAIN_UNREACHABLE
 */
export async function makeHostQuote(
  { publicClient, output }: Session,
  { hosts, operator, socket }: { hosts: Address; operator: Address; socket: string | undefined },
): Promise<{ readonly attestation: RawAttestation; readonly binding: HostBinding }> {
  const path = socket ?? (await findSocket())
  const binding = await bindToNewestBlock(publicClient, hosts, operator)
  output.progress('asking the guest agent for a quote')
  const agent = createAgentClient({ socket: path, timeoutMs })
  return { attestation: await agent.attest(hostReportData(binding)), binding }
}

async function findSocket(): Promise<string> {
  for (const path of agentSockets) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  throw new AssentError('USAGE_INVALID', 'There is no guest agent here: --socket is missing.', {
    facts: { option: '--socket', searched: agentSockets },
    hint: 'Run the command inside a CVM of the host, or pass the socket, or the file of a quote.',
  })
}
