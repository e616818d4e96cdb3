/** The proof of the key of an instance, by a quote of the CVM in which it runs. */

import {
  type InstanceProof,
  instanceProofToJson,
  parseInstanceProof,
} from '../chain/registries/instance-proof.ts'
import {
  type InstanceBinding,
  instanceReportData,
} from '../chain/registries/instance-statements.ts'
import { signInstanceBinding } from '../kms/certify-instance.ts'
import { to0x } from '../lib/bytes.ts'
import type { AgentClient } from '../tee/agent.ts'

/**
 * Gets a quote whose report data commits to the key, its app, the registry and the block.
 *
 * @param key secp256k1 private key of the instance, 32 bytes
 * @throws TEE_*, EVENT_LOG_*
 */
export async function proveInstance(
  agent: Pick<AgentClient, 'attest' | 'info'>,
  key: Uint8Array,
  binding: InstanceBinding,
): Promise<InstanceProof> {
  const { osImageHash } = await agent.info()
  const { quote, eventLog } = await agent.attest(instanceReportData(binding))
  const possession = signInstanceBinding(key, binding)
  const proof = { way: 'quote', binding, possession, quote, eventLog } as const
  return parseInstanceProof(instanceProofToJson({ ...proof, osImageHash: to0x(osImageHash) }))
}
