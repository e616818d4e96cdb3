/** Reads arguments that name a registry: an address, "deployed", or "nobody". */

import { type Address, zeroAddress, zeroHash } from 'viem'
import { hostBondsAbi, hostsAbi, imagesAbi } from '../../chain/abi.ts'
import type { Session } from '../session/session.ts'
import { readAddress } from './arguments.ts'
import { requireAnswer } from './contracts.ts'
import { requireDeployed } from './deployed.ts'

/** A function of each registry that no other contract has. */
const probes = {
  hosts: { abi: hostsAbi, functionName: 'continuityDelay', expected: 'a host registry' },
  images: {
    abi: imagesAbi,
    functionName: 'isClosed',
    args: [zeroHash],
    expected: 'an image registry',
  },
  hostBonds: { abi: hostBondsAbi, functionName: 'unbondingTime', expected: 'a HostBonds contract' },
} as const

/** @throws USAGE_INVALID, INPUT_INVALID, CONTRACT_MISSING, CONTRACT_MISMATCH, CHAIN_UNREACHABLE */
export async function readRegistry(
  session: Session,
  text: string,
  name: 'hosts' | 'images' | 'hostBonds',
): Promise<Address> {
  if (text === 'nobody') return zeroAddress
  if (text === 'deployed') return requireDeployed(session, name)
  const address = readAddress(text, name)
  await requireAnswer(session.publicClient, address, { name, ...probes[name] })
  return address
}
