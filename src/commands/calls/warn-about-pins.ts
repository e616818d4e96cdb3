/** Warnings before a KMS or webhook meets contract code that is not in its `pinnedCode`. */
import { type Address, keccak256, type StateOverride } from 'viem'

import { codeHash, type FutureContracts, readCodeBehind } from '../../chain/proven/pinning.ts'
import type { Session } from '../session/session.ts'

type Pin = 'kmsAuth' | 'app' | keyof FutureContracts

/** Members of `pinnedCode` by the name of the proxy in the deployment record. */
const pins: Readonly<Record<string, Pin>> = {
  kmsAuth: 'kmsAuth',
  app: 'app',
  hosts: 'hosts',
  images: 'images',
  hostBonds: 'bonds',
}

/** Warns about the code of a registry that KmsAuth or Hosts will use. */
export async function warnAboutPinnedRegistry(
  session: Session,
  name: string,
  registry: Address,
): Promise<void> {
  if (/^0x0{40}$/.test(registry)) return
  const { proxy, code } = await readCodeBehind(session.publicClient, registry)
  printPins(session, [`${pins[name]}: ${code}`, `proxy: ${proxy}`])
}

/** Warns about a new implementation. @param overrides contracts that do not exist yet */
export async function warnAboutPinnedCode(
  session: Session,
  name: string,
  code: Address,
  overrides: StateOverride = [],
): Promise<void> {
  const pin = pins[name]
  // nodes do not read the other contracts
  if (pin === undefined) return
  const planned = overrides.find(
    ({ address }) => address.toLowerCase() === code.toLowerCase(),
  )?.code
  const hash =
    planned === undefined ? await codeHash(session.publicClient, code) : keccak256(planned)
  printPins(session, [`${pin}: ${hash}`])
}

function printPins({ output }: Session, hashes: readonly string[]): void {
  output.warning('After execution, a KMS or webhook releases nothing (an outage,')
  output.warning('CHAIN_CONTRACT_UNKNOWN) unless its chainView.pinnedCode contains')
  for (const hash of hashes) output.warning(`  ${hash}`)
  output.line('Check the settings of each running node first. A node without one of them')
  output.line('needs new settings, which change its measurement: pin old and new code')
  output.line('(assent kms pinned-code), approve and onboard that node, then continue here.')
}
