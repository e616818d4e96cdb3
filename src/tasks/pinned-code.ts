/** What running nodes have to know before other code answers for a contract that they read by proofs. */
import { type Address, keccak256, type StateOverride } from 'viem'

import { codeHash, type FutureContracts, readCodeBehind } from '../chain/proven/pinning.ts'
import type { Session } from './session.ts'

type Pin = 'kmsAuth' | 'app' | keyof FutureContracts

/** The names of proxies in the record, and how `pinnedCode` calls them. */
const pins: Readonly<Record<string, Pin>> = {
  kmsAuth: 'kmsAuth',
  app: 'app',
  hosts: 'hosts',
  images: 'images',
  hostBonds: 'bonds',
}

/** Of a registry that will be asked from now on. */
export async function warnAboutPinnedRegistry(
  session: Session,
  name: string,
  registry: Address,
): Promise<void> {
  if (/^0x0{40}$/.test(registry)) return
  const { proxy, code } = await readCodeBehind(session.publicClient, registry)
  say(session, [`${pins[name]}: ${code}`, `proxy: ${proxy}`])
}

/** Of code that will stand behind a proxy. @param overrides what will be there by then */
export async function warnAboutPinnedCode(
  session: Session,
  name: string,
  code: Address,
  overrides: StateOverride = [],
): Promise<void> {
  const pin = pins[name]
  // of the others no node reads anything
  if (pin === undefined) return
  const planned = overrides.find(
    ({ address }) => address.toLowerCase() === code.toLowerCase(),
  )?.code
  const hash =
    planned === undefined ? await codeHash(session.publicClient, code) : keccak256(planned)
  say(session, [`${pin}: ${hash}`])
}

function say({ say: speak }: Session, hashes: readonly string[]): void {
  speak.warning('Once this is in force, a KMS or webhook denies every boot with')
  speak.warning('CHAIN_CONTRACT_UNKNOWN unless its chainView.pinnedCode holds')
  for (const hash of hashes) speak.warning(`  ${hash}`)
  speak.line('First look into the settings of each running node. A node that lacks one')
  speak.line('needs other settings, which is another measurement: pin old and new code')
  speak.line('(assent kms pinned-code), approve that node and let it onboard; then do this.')
}
